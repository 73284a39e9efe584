"""The stage: every network and width, exact grids, the same bits again, and better than rounding alone."""

import math
import re
from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import ModelProto
from torch import Tensor, nn

from micronet.analysis.counts import count
from micronet.analysis.widths import QUANTIZERS
from micronet.architectures import find_architecture
from micronet.architectures.load import create_network
from micronet.contract import (
    NO_AUGMENTATION,
    BitWidths,
    FineTuning,
    LayerBits,
    QuantizerSettings,
    Quantizing,
    Training,
)
from micronet.data.split import Split
from micronet.errors import AlreadyQuantized, NumericalError, SettingsError
from micronet.evaluation.inputs import Inputs
from micronet.graph.capture import capture
from micronet.graph.ir import Graph
from micronet.jobs.artifact import write_artifact
from micronet.jobs.context import Context
from micronet.journal import MemoryJournal
from micronet.onnx_reader import import_graph
from micronet.onnx_writer import encode
from micronet.quantization.stage import quantize_stage
from micronet.training.fit import fit
from micronet.training.network import TrainableNetwork
from micronet.training.task import Task
from micronet.transformation.prepare import prepare
from tests.micronet.training.lessons import digits_graph, digits_task, same
from tests.micronet.training.test_fit import Dying, Killed

FOUR = BitWidths(param_bits=4, mul_bits=4)
MSE = QuantizerSettings(rule="mse", calibration_images=100)
TUNING = FineTuning(epochs=3, batch=64, augmentation=NO_AUGMENTATION)
STEP = FineTuning(epochs=1, steps=1, batch=8, learning_rate=0.05, augmentation=NO_AUGMENTATION)
WIDTHS = st.builds(LayerBits, param_bits=st.integers(2, 16), mul_bits=st.integers(2, 16))


@pytest.fixture(scope="module")
def learned() -> Graph:
    """A digits network that has learned in floating point."""
    how = Training(epochs=8, batch=64, learning_rate=0.2, augmentation=NO_AUGMENTATION)
    return fit(TrainableNetwork(prepare(digits_graph(), fuse=False)), how, digits_task(1300))[0]


def check_on_grids(graph: Graph) -> None:
    """Every value of every weight that has a grid is an integer within the grid's ends, times the step."""
    assert graph.formats
    for name, grid in graph.formats.items():
        assert grid.is_fixed_point
        steps = torch.tensor(grid.steps, dtype=torch.float64)
        shape = [-1 if axis == grid.axis else 1 for axis in range(graph.weights[name].dim())]
        integers = graph.weights[name].double() / (steps if grid.axis is None else steps.view(shape))
        assert torch.equal(integers, integers.round())
        assert (grid.low, grid.high) == (-(2 ** (grid.bits - 1)), 2 ** (grid.bits - 1) - 1)
        assert grid.low <= float(integers.min()) <= float(integers.max()) <= grid.high


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.fixed_dictionaries({"conv1": WIDTHS, "conv2": WIDTHS, "fc": WIDTHS}),
    st.sampled_from(["tensor", "channel"]),
    st.booleans(),
)
def test_every_layer_lies_on_the_grid_of_its_width(
    learned: Graph, layers: dict[str, LayerBits], granularity: str, trains: bool
) -> None:
    quantizer = MSE.model_copy(update={"granularity": granularity, "calibration_images": 25})
    how = Quantizing(layers=layers, quantizer=quantizer, train=STEP if trains else None)
    graph, report = quantize_stage(learned, how, digits_task(64))
    check_on_grids(graph)
    widths = {name.split(".")[0]: grid.bits for name, grid in graph.formats.items() if "weight" in name}
    assert set(widths.values()) <= {layer.param_bits for layer in layers.values()}
    assert {tensor.name: tensor.bits for tensor in report.tensors if tensor.kind == "activation"} == {
        "input": 12,
        "pool": 12,
        **{name: layer.mul_bits for name, layer in layers.items()},
    }
    counted = {layer.name: layer for layer in count(graph).layers}
    assert {name: counted[name].weight_bits for name in layers} == {n: layer.param_bits for n, layer in layers.items()}
    assert (counted["conv1"].activation_bits, counted["conv2"].activation_bits) == (12, layers["conv1"].mul_bits)


@pytest.mark.parametrize("fused", [True, False])
def test_learning_on_four_bits_beats_rounding_to_them(learned: Graph, fused: bool) -> None:
    how = Quantizing(bits=FOUR, quantizer=MSE, fuse_batchnorm=fused)
    task = digits_task(1300)
    rounded, report = quantize_stage(learned, how, task)
    assert report.training is None
    trained, after = quantize_stage(learned, how.model_copy(update={"train": TUNING}), task)
    assert after.training is not None
    assert after.training.before == task.holdout_accuracy(rounded)
    assert after.training.after == task.holdout_accuracy(trained)
    assert after.training.after.correct > after.training.before.correct
    assert trained.formats == rounded.formats
    check_on_grids(trained)
    points = [[(tensor.name, tensor.points) for tensor in one.tensors] for one in (report, after)]
    assert points[0] == points[1]
    assert all(t.relative_squared_error is None for t in after.tensors if t.kind == "weight")
    assert all(t.relative_squared_error is not None for t in after.tensors if t.kind == "activation")


@pytest.mark.parametrize("lives", [0, 1, 2])
def test_the_same_bits_for_a_seed_and_after_a_kill(learned: Graph, lives: int) -> None:
    tuning = TUNING.model_copy(update={"epochs": 2, "ema": 0.9, "keep": "best", "mixup": 0.2})
    how = Quantizing(bits=FOUR, quantizer=MSE, train=tuning)
    journal = Dying(lives)
    with pytest.raises(Killed):
        quantize_stage(learned, how, digits_task(journal=journal))
    journal.lives = -1
    resumed, report = quantize_stage(learned, how, digits_task(journal=journal))
    whole, expected = quantize_stage(learned, how, digits_task())
    assert same(whole, resumed)
    assert report == expected
    if lives == 0:
        assert not same(whole, quantize_stage(learned, how, digits_task(seed=1))[0])


def test_zeros_of_a_sparse_network_stay(learned: Graph) -> None:
    zeros = learned.weights["conv2.weight"].abs() < learned.weights["conv2.weight"].abs().median()
    kernel = learned.weights["conv2.weight"].masked_fill(zeros, 0.0)
    sparse = replace(learned, weights={**learned.weights, "conv2.weight": kernel})
    graph, _ = quantize_stage(sparse, Quantizing(quantizer=MSE, train=TUNING), digits_task())
    (name,) = [name for name in graph.weights if name.startswith("conv2.weight")]
    assert not bool(graph.weights[name][zeros].any())
    assert bool(graph.weights[name][~zeros].any())


def _small(name: str, options: Mapping[str, object]) -> tuple[Graph, Task]:
    shape = find_architecture(name).parse(options).input_shape
    with torch.no_grad():
        graph = prepare(capture(create_network(name, options, 0), shape), fuse=False)
        classes = create_network(name, options, 0).eval()(torch.zeros(1, *shape)).shape[1]
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (24, *shape), generator=generator, dtype=torch.uint8)
    split = Split.of("noise", pixels, torch.randint(classes, (24,), generator=generator))
    images = Inputs(split, (0.5,) * shape[0], (0.25,) * shape[0])
    holdout = replace(images, split=split.subset(8, 0))
    return graph, Task(images, holdout, torch.device("cpu"), journal=MemoryJournal())


def _through_onnx(graph: Graph) -> Graph:
    model = ModelProto()
    model.ParseFromString(encode(graph))
    return prepare(import_graph(model), fuse=False)


@pytest.mark.parametrize(
    ("name", "options", "onnx"),
    [
        ("pyramidnet", {"depth": 20, "alpha": 24}, False),
        ("wideresnet", {"depth": 10, "width": 1}, False),
        ("mobilenetv2", {"width_multiplier": 0.35, "image_size": 32}, False),
        ("wideresnet", {"depth": 10, "width": 1}, True),
    ],
    ids=["pyramidnet", "wideresnet", "mobilenetv2", "onnx"],
)
def test_networks_take_a_step_and_are_written(name: str, options: Mapping[str, object], onnx: bool) -> None:
    graph, task = _small(name, options)
    if onnx:
        graph = _through_onnx(graph)
    how = Quantizing(bits=BitWidths(param_bits=6, mul_bits=8), quantizer=MSE, train=STEP)
    rounded, _ = quantize_stage(graph, how.model_copy(update={"train": None}), task)
    trained, report = quantize_stage(graph, how, task)
    assert report.training is not None
    assert math.isfinite(report.training.epochs[0].loss)
    check_on_grids(trained)
    assert {grid.bits for grid in trained.formats.values()} == {6}
    assert not same(rounded, trained)
    counts = count(trained)
    assert {layer.weight_bits for layer in counts.layers if any(one.elements for one in layer.parameters)} == {6}
    assert {layer.activation_bits for layer in counts.layers if layer.op in ("conv2d", "linear")} == {8}
    assert write_artifact(trained, "quantized.onnx", Context()).size > 0


def test_activations_alone_can_be_narrow_while_weights_learn(learned: Graph) -> None:
    how = Quantizing(bits=BitWidths(param_bits=32, mul_bits=5), quantizer=MSE, fuse_batchnorm=False, train=STEP)
    graph, report = quantize_stage(learned, how, digits_task(64))
    assert not graph.formats
    assert sum(node.target in QUANTIZERS for node in graph.nodes) == 7
    assert {tensor.kind for tensor in report.tensors} == {"activation"}
    assert not torch.equal(graph.weights["conv1.weight"], learned.weights["conv1.weight"])


def test_weights_that_are_on_grids_already_do_not_learn(learned: Graph) -> None:
    graph, _ = quantize_stage(learned, Quantizing(quantizer=MSE), digits_task(64))
    again, _ = quantize_stage(graph, Quantizing(quantizer=MSE), digits_task(64))
    assert same(graph, again)
    with pytest.raises(AlreadyQuantized, match="before it was"):
        quantize_stage(graph, Quantizing(quantizer=MSE, train=STEP), digits_task(64))


def test_bfloat16_is_refused(learned: Graph) -> None:
    how = Quantizing(quantizer=MSE, train=STEP.model_copy(update={"precision": "bfloat16"}))
    with pytest.raises(SettingsError, match=r"train\.precision"):
        quantize_stage(learned, how, digits_task(64))


def spelled_rms() -> Graph:
    """x over the root of its mean square, which is far under the step of a grid that holds one large value."""

    class Rms(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(64, 10)

        def forward(self, x: Tensor) -> Tensor:
            x = x.flatten(1)
            return self.fc(x * 1e-4 / (x * 1e-4).pow(2).mean(1, keepdim=True).sqrt())

    return prepare(capture(Rms(), digits_graph().input_shape), fuse=True)


def test_a_divisor_that_becomes_zero_is_told_and_so_is_the_way_out() -> None:
    """The mean square is about 1e-8: a grid of 4 bits over 20 deviations has a step above twice that."""
    with pytest.raises(NumericalError, match=r"div gives NaN or infinity.*layers = \{\"") as raised:
        quantize_stage(spelled_rms(), Quantizing(bits=FOUR), digits_task())
    named = re.findall(r'"([^"]+)": \{"mul_bits": 32\}', str(raised.value))
    quantizer = QuantizerSettings(rule="max")
    how = Quantizing(bits=FOUR, layers=dict.fromkeys(named, LayerBits(mul_bits=32)), quantizer=quantizer)
    check_on_grids(quantize_stage(spelled_rms(), how, digits_task())[0])
