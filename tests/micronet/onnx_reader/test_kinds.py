"""Integers are what their type holds, whatever type holds them here, and operands are of one type, as ONNX has it."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from onnx import ModelProto, NodeProto, TensorProto, helper

from micronet.errors import CorruptFile, MicronetError, OnnxUnsupportedFeature
from micronet.graph.ir import Graph
from micronet.onnx_reader import IMPORTERS, import_graph
from micronet.onnx_reader.builder import Builder
from micronet.onnx_reader.call import Call
from micronet.onnx_reader.kinds import INTEGERS, converted
from micronet.onnx_reader.values import Known, literal
from tests.micronet.onnx_reader.files import RANDOM, agreeing, model, node, of

WIDE = RANDOM.integers(-(2**40), 2**40, (2, 3, 1, 1))
BYTES = RANDOM.integers(-100, 100, (2, 3, 1, 1))


def four_bits(name: str, *values: int) -> TensorProto:
    return helper.make_tensor(name, TensorProto.INT4, [len(values)], list(values))


def weight(nodes: Sequence[NodeProto], constants: Sequence[TensorProto], zero: TensorProto | None = None) -> ModelProto:
    """A convolution whose weight is dequantized from `q`, which `nodes` make of the constants."""
    operands = ["q", "s"] if zero is None else ["q", "s", "zero"]
    ends = [node("DequantizeLinear", *operands, output="w"), node("Conv", "image", "w")]
    made = model([*nodes, *ends], [*constants, of("s", 0.5), *([] if zero is None else [zero])], opset=21)
    made.ir_version = 10
    return made


def stored(graph: Graph) -> torch.Tensor:
    """The integers of the only quantized weight."""
    [name] = graph.formats
    return graph.weights[name] / 0.5


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int16, np.uint16, np.int32])
def test_a_cast_wraps_integers_and_they_count_at_their_type(kind: type[np.integer]) -> None:
    made = weight(
        [node("Cast", "wide", output="q", to=helper.np_dtype_to_tensor_dtype(np.dtype(kind)))],
        [of("wide", WIDE, np.int64)],
    )
    graph = agreeing(made)
    assert torch.equal(stored(graph), torch.from_numpy(WIDE.astype(kind).astype(np.float32)))
    assert [grid.bits for grid in graph.formats.values()] == [np.iinfo(kind).bits]


@pytest.mark.parametrize("kind", INTEGERS)
def test_what_a_type_holds_is_what_it_was(kind: int) -> None:
    ends = torch.tensor(INTEGERS[kind])
    assert converted(ends, kind, "it").tolist() == list(INTEGERS[kind])


@pytest.mark.parametrize(
    ("kind", "value", "cut"),
    [(TensorProto.INT8, -128.9, -128), (TensorProto.UINT8, -0.5, 0), (TensorProto.INT64, 2.0**62, 2**62)],
)
def test_floats_are_cut_to_integers(kind: int, value: float, cut: int) -> None:
    assert converted(torch.tensor(value), kind, "it").item() == cut


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (TensorProto.INT8, 128.0),
        (TensorProto.UINT8, -1.0),
        (TensorProto.INT16, float("nan")),
        (TensorProto.INT32, float("inf")),
        (TensorProto.INT64, 2.0**63),
        (TensorProto.UINT64, -1),
    ],
)
def test_what_no_integer_of_the_type_is_is_refused(kind: int, value: float) -> None:
    with pytest.raises(OnnxUnsupportedFeature, match="it "):
        converted(torch.tensor(value), kind, "it")


INT16 = node("Cast", "wide", output="q", to=TensorProto.INT16)
W = of("a", BYTES, np.int8)

REFUSED: dict[str, tuple[ModelProto, type[MicronetError], str]] = {
    "4 bits and 8": (
        weight([node("Add", "b", "a", output="q")], [four_bits("b", 0), W]),
        CorruptFile,
        "mixes INT4 and INT8",
    ),
    "8 bits and 4": (
        weight([node("Sub", "a", "b", output="q")], [four_bits("b", 0), W]),
        CorruptFile,
        "mixes INT4 and INT8",
    ),
    "4 bits beside 8": (
        weight(
            [node("Concat", "b", "a", output="q", axis=0)],
            [helper.make_tensor("b", TensorProto.INT4, [1, 3, 1, 1], [0] * 3), W],
        ),
        CorruptFile,
        "mixes INT4 and INT8",
    ),
    "floats and integers": (
        weight([node("Mul", "b", "a", output="q")], [of("b", np.full((2, 3, 1, 1), 0.5)), W]),
        CorruptFile,
        "mixes FLOAT and INT8",
    ),
    "a choice of two types": (
        weight([node("Where", "b", "a", "c", output="q")], [of("b", True, np.bool_), W, of("c", 1, np.int16)]),
        CorruptFile,
        "mixes INT16 and INT8",
    ),
    "a product": (
        weight([node("Mul", "a", "b", output="q")], [of("a", BYTES, np.int16), of("b", 30_000, np.int16)]),
        OnnxUnsupportedFeature,
        "INT16 does not hold",
    ),
    "a sum of 4 bits": (
        weight(
            [node("Add", "b", "b", output="sum"), node("Cast", "sum", output="q", to=TensorProto.INT8)],
            [four_bits("b", 7)],
        ),
        OnnxUnsupportedFeature,
        "INT4 does not hold",
    ),
    "a border": (
        weight(
            [node("Pad", "b", "pads", "fill", output="q")],
            [four_bits("b", 0), of("pads", [0, 1], np.int64), of("fill", 100, np.int8)],
        ),
        OnnxUnsupportedFeature,
        "INT4 does not hold",
    ),
    "the number of images": (
        weight([node("Shape", "image", output="n"), node("Cast", "n", output="q", to=TensorProto.INT16)], []),
        OnnxUnsupportedFeature,
        "the batch size as INT16",
    ),
    "the number of images in 32 bits": (
        weight([node("Shape", "image", output="n"), node("Cast", "n", output="q", to=TensorProto.INT32)], []),
        OnnxUnsupportedFeature,
        "batch size decides",
    ),
    "a zero point of floats": (
        weight([], [of("q", BYTES, np.int8)], of("zero", 0.7)),
        CorruptFile,
        "of the type FLOAT",
    ),
    "a zero point of 64 bits": (
        weight([], [of("q", BYTES, np.int8)], of("zero", 2**62, np.int64)),
        CorruptFile,
        "of the type INT64",
    ),
    "the least by -1": (
        weight([node("Div", "a", "b", output="q")], [of("a", [1, -(2**63)], np.int64), of("b", -1, np.int64)]),
        CorruptFile,
        "divided by -1",
    ),
    "clipped to what is not there": (
        weight([node("Clip", "a", "", "b", output="q")], [W, of("b", -200, np.int16)]),
        OnnxUnsupportedFeature,
        "INT8 does not hold",
    ),
    "a row of two types": (
        weight(
            [node("Range", "a", "b", "c", output="q")],
            [of(n, v, k) for n, v, k in (("a", 0, np.int16), ("b", 9, np.int64), ("c", 1, np.int64))],
        ),
        CorruptFile,
        "one type",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_integers_that_would_count_too_few_bits_are_refused(name: str) -> None:
    made, error, words = REFUSED[name]
    with pytest.raises(error, match=words):
        import_graph(made)


@pytest.mark.parametrize("zero", [of("zero", 200, np.uint8), of("zero", 0.5)])
def test_a_zero_point_of_another_type_than_its_integers_is_refused(zero: TensorProto) -> None:
    nodes = [
        node("QuantizeLinear", "image", "s", "zero", output="q", output_dtype=TensorProto.INT8),
        node("DequantizeLinear", "q", "s", "zero"),
    ]
    made = model(nodes, [of("s", 0.05), zero], opset=21)
    made.ir_version = 10
    with pytest.raises(CorruptFile, match="both must be of one"):
        import_graph(made)


@pytest.mark.parametrize("chosen", [True, False])
def test_a_choice_keeps_the_type_of_what_it_chooses_from(chosen: bool) -> None:
    choice = node("Where", "which", "a", "b", output="q")
    graph = agreeing(weight([choice], [of("which", chosen, np.bool_), W, of("b", -BYTES, np.int8)]))
    assert [grid.bits for grid in graph.formats.values()] == [8]
    assert torch.equal(stored(graph), torch.from_numpy((BYTES if chosen else -BYTES).astype(np.float32)))


def test_a_power_has_the_type_of_its_base() -> None:
    graph = agreeing(weight([node("Pow", "a", "b", output="q")], [of("a", BYTES, np.int32), of("b", 2, np.int64)]))
    assert torch.equal(stored(graph), torch.from_numpy((BYTES**2).astype(np.float32)))


def test_integers_their_width_does_not_hold_are_no_weight() -> None:
    dequantize = helper.make_node("DequantizeLinear", ["w", "s"], ["x"])
    operands = [Known(torch.tensor([100], dtype=torch.int8), "w", True, TensorProto.INT4), literal(torch.tensor(0.5))]
    call = Call(dequantize, "this", 21, operands, Builder((), None))
    with pytest.raises(OnnxUnsupportedFeature, match=r"outside of -8\.\.7"):
        IMPORTERS["DequantizeLinear"](call)
