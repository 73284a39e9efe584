"""Quantized weights and activations of a file: the grid that each has, wherever it is moved."""

import numpy as np
import pytest
import torch

from micronet.analysis.widths import quantizes
from micronet.errors import OnnxUnsupportedFeature
from micronet.graph.grid import Grid
from micronet.onnx_reader import import_graph
from micronet.onnx_reader.builder import Builder
from micronet.onnx_reader.operands import Operand
from micronet.onnx_reader.targets import TARGETS
from micronet.onnx_reader.values import Known, literal
from tests.micronet.onnx_reader.files import RANDOM, agreeing, array, model, node, of, targets


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int16])
@pytest.mark.parametrize("channels", [False, True])
def test_a_dequantized_weight_has_its_grid(kind: type, channels: bool) -> None:
    integers = of("w", RANDOM.integers(0, 100, (2, 3, 1, 1)), kind)
    scale = of("s", [0.5, 0.25] if channels else 0.5)
    zero = of("z", [3, 5] if channels else 3, kind)
    dequantize = node("DequantizeLinear", "w", "s", "z", output="float", axis=0)
    file = model([dequantize, node("Conv", "image", "float")], [integers, scale, zero], opset=21)
    file.ir_version = 10
    graph = agreeing(file)
    grid = graph.formats["w"]
    info = np.iinfo(kind)
    assert (grid.bits, grid.low, grid.high) == (info.bits, info.min, info.max)
    assert grid.axis == (0 if channels else None)
    assert grid.steps == ((0.5, 0.25) if channels else (0.5,))
    assert grid.zero_points == ((3, 5) if channels else (3,))


def test_a_grid_follows_its_weight_through_a_transposition() -> None:
    integers = of("w", RANDOM.integers(-8, 8, (3, 2, 1, 1)), np.int8)
    nodes = [
        node("DequantizeLinear", "w", "s", output="float", axis=1),
        node("Transpose", "float", output="turned", perm=[1, 0, 2, 3]),
        node("Conv", "image", "turned"),
    ]
    assert agreeing(model(nodes, [integers, of("s", [0.5, 0.25])])).formats["w"].axis == 0


@pytest.mark.parametrize("op", ["Gemm", "Conv"])
def test_a_dequantized_bias_keeps_the_grid_of_each_channel(op: str) -> None:
    image = node("Flatten", "image", output="flat") if op == "Gemm" else node("Identity", "image", output="flat")
    product = node(op, "flat", "w", "b", output="y", **({"transB": 1} if op == "Gemm" else {}))
    nodes = [node("DequantizeLinear", "integers", "s", output="b", axis=0), image, product]
    nodes.append(node("Reshape", "y", "shape"))
    w = array("w", *((5, 48) if op == "Gemm" else (5, 3, 4, 4)))
    weights = [w, of("integers", [1, 2, 3, 4, 5], np.int8), of("s", [0.5, 0.25, 0.5, 0.125, 1.0])]
    grid = agreeing(model(nodes, [*weights, of("shape", [0, 5, 1, 1], np.int64)])).formats["integers"]
    assert (grid.bits, grid.axis, len(grid.steps)) == (8, 0, 5)


@pytest.mark.parametrize(
    ("move", "arguments", "axis", "places"),
    [
        ("reshape", [(3, 2, 1, 1)], 0, (0, 1, 2)),
        ("reshape", [(-1, 1, 2)], 0, (0, 1, 2)),
        ("reshape", [(1, 3, 2)], 1, (0, 1, 2)),
        ("reshape", [(6,)], 0, (0, 0, 1, 1, 2, 2)),
        ("reshape", [(2, 3)], None, ()),
        ("permute", [(1, 0)], 1, (0, 1, 2)),
        ("unsqueeze", [0], 1, (0, 1, 2)),
        ("slice", [0, 1, 3, 1], 0, (1, 2)),
        ("slice", [1, 0, 1, 1], 0, (0, 1, 2)),
        ("select", [1, 1], 0, (0, 1, 2)),
        ("select", [0, 2], None, (2,)),
        ("index_select", [0, literal(torch.tensor([2, 0]))], 0, (2, 0)),
        ("index_select", [1, literal(torch.tensor([1, 0]))], 0, (0, 1, 2)),
    ],
)
def test_a_grid_follows_its_weight_where_an_axis_has_one_step_per_index(
    move: str, arguments: list[Operand], axis: int | None, places: tuple[int, ...]
) -> None:
    """3 filters of 2 weights, each filter with its own step and zero point."""
    grid = Grid(8, -128, 127, (0.5, 0.25, 2.0), (1, 2, 3), axis=0)
    build = Builder((), None)
    build.begin("the move", ("moved",))
    moved = build.emit(TARGETS[move], Known(torch.randn(3, 2), "w", counted=True, grid=grid), *arguments)
    assert isinstance(moved, Known)
    if not places:
        assert moved.grid is None
        return
    steps, zeros = (tuple(numbers[place] for place in places) for numbers in (grid.steps, grid.zero_points))
    assert moved.grid == Grid(8, -128, 127, steps, zeros, axis)


@pytest.mark.parametrize(
    ("axis", "sizes", "steps"), [(0, (1, 2), ((0.5,), (0.25, 2.0))), (1, (1, 1), ((0.5, 0.25, 2.0),) * 2)]
)
def test_each_part_of_a_split_weight_has_its_part_of_the_grid(
    axis: int, sizes: tuple[int, ...], steps: tuple[tuple[float, ...], ...]
) -> None:
    grid = Grid(8, -128, 127, (0.5, 0.25, 2.0), (0, 0, 0), axis=0)
    build = Builder((), None)
    build.begin("the split", ("parts",))
    whole = Known(torch.randn(3, 2), "w", counted=True, grid=grid)
    parts = build.emit_parts(TARGETS["split"], whole, sizes, axis)
    grids = [part.grid for part in parts if isinstance(part, Known)]
    assert [None if one is None else one.steps for one in grids] == list(steps)
    integers = Known(torch.arange(6, dtype=torch.int32).reshape(3, 2), "w", counted=True, bits=4)
    narrow = build.emit_parts(TARGETS["split"], integers, sizes, axis)
    assert [part.bits for part in narrow if isinstance(part, Known)] == [4, 4]


def test_a_dequantized_weight_that_was_reshaped_counts_with_its_bits() -> None:
    """Rows of 48 integers of 8 bits, one step per row, that become kernels."""
    nodes = [
        node("DequantizeLinear", "w", "s", output="float", axis=0),
        node("Reshape", "float", "shape", output="kernels"),
        node("Conv", "image", "kernels"),
    ]
    integers = of("w", RANDOM.integers(-8, 8, (2, 48)), np.int8)
    graph = agreeing(model(nodes, [integers, of("s", [0.5, 0.25]), of("shape", [2, 3, 4, 4], np.int64)]))
    assert graph.formats["w"].bits == 8
    assert quantizes(graph)


@pytest.mark.parametrize("channels", [False, True])
def test_a_quantized_activation_is_one_node(channels: bool) -> None:
    scale = of("s", [0.5, 0.25, 0.125] if channels else 0.125)
    zero = of("z", [3, 5, 7] if channels else 3, np.uint8)
    nodes = [
        node("QuantizeLinear", "image", "s", "z", output="q", axis=1),
        node("DequantizeLinear", "q", "s", "z", axis=1),
    ]
    graph = agreeing(model(nodes, [scale, zero]))
    assert targets(graph) == ["fake_quantize_channels" if channels else "fake_quantize"]


def test_quantizing_by_one_scale_and_back_by_another_is_refused() -> None:
    nodes = [node("QuantizeLinear", "image", "s", output="q"), node("DequantizeLinear", "q", "t")]
    with pytest.raises(OnnxUnsupportedFeature):
        import_graph(model(nodes, [of("s", 0.5), of("t", 0.25)]))


@pytest.mark.parametrize("transposed", [0, 1])
def test_a_dequantized_weight_keeps_its_grid_whatever_it_is_multiplied_with(transposed: int) -> None:
    nodes = [
        node("DequantizeLinear", "w", "s", output="float"),
        node("Flatten", "image", output="flat"),
        node("Gemm", "flat", "float", "b", output="y", transB=transposed, alpha=0.3),
        node("Reshape", "y", "shape"),
    ]
    shape = (5, 48) if transposed else (48, 5)
    weights = [of("w", RANDOM.integers(-8, 8, shape), np.int8), of("s", 0.5), array("b", 5)]
    graph = agreeing(model(nodes, [*weights, of("shape", [0, 5, 1, 1], np.int64)]))
    assert graph.formats["w"].bits == 8
