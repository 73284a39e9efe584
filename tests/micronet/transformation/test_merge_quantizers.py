"""A value is put on a grid once, whoever reads it there."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import NodeProto, TensorProto, helper, numpy_helper
from torch import Tensor

from micronet.analysis.counts import count
from micronet.analysis.widths import QUANTIZERS
from micronet.graph.capture import capture
from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph
from micronet.onnx_reader import import_graph
from micronet.transformation.merge_quantizers import merge_quantizers
from micronet.transformation.prepare import prepare
from tests.micronet.analysis.graphs import Apply, graph, quantizer, weigh
from tests.micronet.networks import IMAGE, images

quantize = torch.fake_quantize_per_tensor_affine


def of_file(layout: str, channels: bool) -> Graph:
    """A convolution and a residual addition read one value on a grid; `layout` is who shares what."""
    scale = np.full(3, 0.1, np.float32) if channels else np.float32(0.1)
    zero = np.full(3, 128, np.uint8) if channels else np.uint8(128)
    constants = {"w": np.ones((3, 3, 1, 1), np.float32), "s": scale, "z": zero}
    convert = {"axis": 1} if channels else {}

    def pair(read: str, made: str) -> list[NodeProto]:
        return [
            helper.make_node("QuantizeLinear", ["x", "s", "z"], [f"q{read}"], **convert),
            helper.make_node("DequantizeLinear", [f"q{read}", "s", "z"], [made], **convert),
        ]

    second = {
        "shared": [helper.make_node("Identity", ["a"], ["b"])],
        "one quantizes": [helper.make_node("DequantizeLinear", ["q", "s", "z"], ["b"], **convert)],
        "pairs": pair("2", "b"),
    }
    nodes = [
        *pair("", "a"),
        *second[layout],
        helper.make_node("Conv", ["a", "w"], ["c"]),
        helper.make_node("Add", ["c", "b"], ["d"]),
        helper.make_node("GlobalAveragePool", ["d"], ["p"]),
        helper.make_node("Flatten", ["p"], ["y"]),
    ]
    made = helper.make_graph(
        nodes,
        "residual",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return import_graph(helper.make_model(made, opset_imports=[helper.make_opsetid("", 21)], ir_version=10))


@pytest.mark.parametrize("layout", ["one quantizes", "pairs"])
@pytest.mark.parametrize("channels", [False, True])
def test_a_file_costs_the_same_however_it_shares_quantized_values(layout: str, channels: bool) -> None:
    shared, other = (prepare(of_file(name, channels), fuse=True) for name in ("shared", layout))
    assert weigh(count(other), "challenge") == weigh(count(shared), "challenge")
    x = torch.randn(3, 3, 8, 8)
    assert torch.equal(interpret(other, x), interpret(shared, x))


@pytest.mark.parametrize(
    ("function", "left"),
    [
        (lambda x: quantize(x, 0.5, 0, -8, 7) + quantize(x, 0.5, 0, -8, 7).relu(), 1),
        (lambda x: quantize(quantize(x, 0.5, 0, -8, 7), 2.0, 0, -8, 7) + quantize(x, 0.5, 0, -8, 7), 2),
        (lambda x: quantize(quantize(x, 0.5, 0, -8, 7), 2.0, 0, -8, 7) + quantize(x, 2.0, 0, -8, 7), 3),
        (lambda x: quantize(x, 0.5, 0, -8, 7) + quantize(x, 0.25, 0, -8, 7), 2),
        (lambda x: quantize(x, 0.5, 0, -8, 7) + quantize(x, 0.5, 1, -8, 7), 2),
        (lambda x: quantize(x, 0.5, 0, -8, 7) + quantize(x, 0.5, 0, -8, 15), 2),
        (lambda x: quantize(x, 0.5, 0, -8, 7) + quantize(x * 2, 0.5, 0, -8, 7), 2),
        (lambda x: quantize(quantize(x * 2, 0.5, 0, -8, 7), 0.5, 0, -8, 7) * quantize(x * 2, 0.5, 0, -8, 7), 2),
    ],
)
def test_quantizers_of_one_value_and_one_grid_are_merged_and_no_others(
    function: Callable[[Tensor], Tensor], left: int
) -> None:
    captured = capture(Apply(lambda x: function(x).flatten(1)), IMAGE)
    merged = merge_quantizers(captured)
    assert sum(node.target in QUANTIZERS for node in merged.nodes) == left
    assert torch.equal(interpret(merged, images(3)), interpret(captured, images(3)))


def on(x: Tensor, step: float = 0.3, zero: int = 3) -> Tensor:
    return quantize(x, step, zero, 0, 255)


@pytest.mark.parametrize(
    ("function", "left"),
    [
        (lambda x: on(on(x)), 1),
        (lambda x: on(on(x).relu()), 1),
        (lambda x: on(F.max_pool2d(on(x), 3, 2, 1)), 1),
        (lambda x: on(on(on(x).view(x.shape[0], 2, -1)).transpose(1, 2)), 1),
        (lambda x: torch.cat([on(part) for part in on(x).split(2, 1)], 1), 1),
        (lambda x: on(torch.cat([on(x), on(x * 2).relu()], 1)), 2),
        (lambda x: on(torch.cat([on(x), on(x * 2, 0.4)], 1)), 3),
        (lambda x: on(torch.cat([on(x), x], 1)), 2),
        (lambda x: on(F.pad(on(x), (1, 1))), 1),
        (lambda x: on(F.pad(on(x), (1, 1), value=0.1)), 2),
        (lambda x: on(F.avg_pool2d(on(x), 2)), 2),
        (lambda x: on(on(x) * 1.0), 1),
        (lambda x: on(on(x) * 1.5), 2),
        (lambda x: on(on(x), zero=4), 2),
        (lambda x: on(on(x), 0.15), 2),
        (lambda x: quantize(quantize(x, 2.0**-20, 0, -(2**20), 2**20 - 1), 2.0**-20, 0, -(2**20), 2**20 - 1), 2),
    ],
)
def test_a_quantizer_of_what_lies_on_its_grid_goes_and_no_other(
    function: Callable[[Tensor], Tensor], left: int
) -> None:
    captured = capture(Apply(lambda x: function(x).flatten(1)), IMAGE)
    prepared = prepare(captured, fuse=False)
    assert sum(node.target in QUANTIZERS for node in prepared.nodes) == left
    x = 40 * images(3)
    assert torch.equal(interpret(prepared, x), interpret(captured, x))


@settings(max_examples=100)
@given(st.floats(2.0**-40, 2.0**40, width=32), st.integers(0, 2**16 - 1))
def test_a_point_of_a_grid_stays_where_it_is_at_any_step(step: float, zero: int) -> None:
    """All 65,536 points of 16 bits."""
    points = (torch.arange(2**16) - zero) * torch.tensor(step)
    assert torch.equal(quantize(points, step, zero, 0, 2**16 - 1), points)


def test_a_quantizer_behind_dropout_is_merged_where_dropout_goes() -> None:
    drop = torch.nn.Dropout(0.5).eval()
    behind, beside = (
        capture(Apply(lambda x, d=d: (quantize(x, 0.5, 0, -8, 7) * quantize(d(x), 0.5, 0, -8, 7)).flatten(1)), IMAGE)
        for d in (drop, torch.nn.Identity())
    )
    ours, theirs = (prepare(one, fuse=True) for one in (behind, beside))
    assert sum(node.target in QUANTIZERS for node in ours.nodes) == 1
    assert weigh(count(ours), "challenge") == weigh(count(theirs), "challenge")


def test_a_weight_quantized_twice_is_on_the_second_grid() -> None:
    """The second quantizer reads a quantized weight, so it stays in the graph, where it is free."""

    class Twice(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.randn(4, 48))

        def forward(self, x: Tensor) -> Tensor:
            weight = quantize(quantize(self.weight, 0.125, 0, -128, 127), 0.5, 0, -8, 7)
            return torch.nn.functional.linear(x.flatten(1)[:, :48], weight)

    module = Twice()
    prepared = prepare(capture(module, IMAGE), fuse=True)
    assert [layer.weight_bits for layer in count(prepared).layers if layer.op == "linear"] == [4]
    assert torch.equal(interpret(prepared, images(3)), module(images(3)))


def test_the_output_may_be_a_quantizer_that_goes() -> None:
    merged = merge_quantizers(graph(quantizer("a", "x", 4), quantizer("b", "x", 4)))
    assert [node.name for node in merged.nodes] == ["a"] == [merged.output]
