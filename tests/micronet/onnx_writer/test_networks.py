"""Whole networks, written and read again: the same logits to the bit, the same counts, and onnxruntime agrees."""

from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import helper
from torch import Tensor, nn

from micronet.architectures.load import load_network
from micronet.graph.capture import capture
from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph
from micronet.onnx_reader import import_graph, load_model
from micronet.onnx_writer import to_model
from micronet.transformation.prepare import prepare
from micronet.transformation.quantization import Quantization
from tests.micronet.architectures.wavecomp import LAYOUTS, wavecomp_state_dict
from tests.micronet.onnx_writer.roundtrip import NETWORKS, back, by_onnxruntime, captured, facts, images, quantized

CHECKPOINTS = Path(__file__).parents[4] / "shared" / "checkpoints"
PUBLISHED = ("kaist_v2_pr15.onnx", "kaist_v2_pr45.onnx", "osi_60.onnx", "osi_60_folded.onnx")
HOW = Quantization(9, 12, "max")
HOWS = {
    "float": None,
    "9 and 12": HOW,
    "per filter": Quantization(5, 8, "max", per_filter=True),
    "weights only": Quantization(9, 32, "max"),
    "activations only": Quantization(32, 7, "max"),
    "wide": Quantization(20, 16, "max"),
}


def same(graph: Graph, fuse: bool = True) -> None:
    again = back(graph, fuse)
    batch = images(graph, 3)
    assert torch.equal(interpret(again, batch), interpret(graph, batch))
    assert facts(again) == facts(graph)


def agrees_with_onnxruntime(graph: Graph) -> None:
    """Sums differ in the last bit, so a value on the border of two steps may go to the other one."""
    batch = images(graph, 4)
    ours, theirs = interpret(graph, batch).numpy(), by_onnxruntime(graph, batch)
    spread = float(np.abs(ours).max())
    assert spread > 0
    np.testing.assert_allclose(theirs, ours, atol=0.02 * spread + 1e-5)
    assert float(np.abs(theirs - ours).mean()) < 0.004 * spread


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_comes_back_the_same(name: str, how: str) -> None:
    graph, chosen = prepare(captured(name), fuse=True), HOWS[how]
    same(graph if chosen is None else quantized(graph, chosen))


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_batch_norms_that_stay_come_back(name: str) -> None:
    same(quantized(prepare(captured(name), fuse=False), HOW), fuse=False)
    floating = prepare(captured(name), fuse=False)
    again = back(floating, fuse=False)
    assert facts(again) == facts(floating)
    batch = images(floating)
    # the epsilon of a batch norm is float32 in a file
    torch.testing.assert_close(interpret(again, batch), interpret(floating, batch), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bits", [8, 12])
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_onnxruntime_agrees(name: str, bits: int) -> None:
    graph = prepare(captured(name), fuse=True)
    np.testing.assert_allclose(by_onnxruntime(graph, images(graph)), interpret(graph, images(graph)), atol=1e-4)
    agrees_with_onnxruntime(quantized(graph, Quantization(bits, bits, "max")))


class Rows(nn.Module):
    """A linear layer on rows, whose values are laid out anew."""

    def __init__(self) -> None:
        super().__init__()
        self.rows, self.classes = nn.Linear(8, 6), nn.Linear(48, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.classes(self.rows(x.flatten(1, 2)).reshape(x.shape[0], 48))


class Branch(nn.Module):
    """A sum of two values on grids, and a maximum of it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.branch, self.classes = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 1), nn.Linear(36, 10)

    def forward(self, x: Tensor) -> Tensor:
        y = self.stem(x)
        return self.classes(torch.max_pool2d(y + self.branch(y.relu()), 2).flatten(1))


MOVED = {
    "pooled": lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.MaxPool2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(36, 10)),
    "laid out anew": Rows,
    "added and pooled": Branch,
}
"""Networks where what was put on a grid with a sign is only moved or chosen from before it is read."""


def on_grids(name: str, bits: int) -> Graph:
    torch.manual_seed(0)
    return quantized(prepare(capture(MOVED[name]().eval(), (1, 8, 8)), fuse=True), Quantization(8, bits, "max"))


@pytest.mark.parametrize("bits", [5, 8, 12])
@pytest.mark.parametrize("name", MOVED)
def test_onnxruntime_loads_what_moves_values_on_a_grid(name: str, bits: int) -> None:
    agrees_with_onnxruntime(on_grids(name, bits))


@pytest.mark.parametrize("bits", [5, 8, 12])
def test_a_zero_point_of_zero_says_what_none_says(bits: int) -> None:
    """With one at every node as files had it before, and with none at all."""
    graph = on_grids("added and pooled", bits)
    same(graph)
    everywhere, nowhere = to_model(graph), to_model(graph)
    zeros = {node.output[0]: node.input[2] for node in nowhere.graph.node if node.op_type == "QuantizeLinear"}
    types = {tensor.name: tensor.data_type for tensor in nowhere.graph.initializer}
    for node in everywhere.graph.node:
        if node.op_type in {"Cast", "Clip"}:
            zeros[node.output[0]] = zeros[node.input[0]]
        if node.op_type == "DequantizeLinear" and node.input[0] in zeros:
            node.input.append(zeros[node.input[0]])
    for node in nowhere.graph.node:
        if node.op_type == "QuantizeLinear":
            node.attribute.append(helper.make_attribute("output_dtype", types[node.input.pop()]))
    for model in (everywhere, nowhere):
        again = prepare(import_graph(model), fuse=True)
        assert again.nodes == back(graph).nodes
        assert facts(again) == facts(graph)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_pruned_pyramidnets_come_back(layout: str) -> None:
    tensors = wavecomp_state_dict(layout)  # type: ignore[arg-type]
    network = load_network("pyramidnet", {"depth": 29, "alpha": 12}, tensors, 12)
    graph = prepare(capture(network, (3, 32, 32)), fuse=True)
    same(graph)
    same(quantized(graph, HOW))


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_entries_come_back(name: str) -> None:
    if not (CHECKPOINTS / name).exists():
        pytest.skip(f"no {name} here")
    graph = prepare(import_graph(load_model(CHECKPOINTS / name)), fuse=True)
    same(graph)
    narrow = quantized(graph, HOW)
    same(narrow)
    agrees_with_onnxruntime(narrow)
