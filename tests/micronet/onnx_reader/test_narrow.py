"""Widths narrower than an integer type: proven by the graph for activations, declared and checked for weights."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
import torch
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from micronet.analysis.widths import QUANTIZERS, widths
from micronet.errors import CorruptFile, OnnxError, OnnxUnsupportedFeature
from micronet.graph.interpret import interpret
from micronet.onnx_reader import import_graph

INT16 = np.arange(-250, 250, dtype=np.int16).reshape(5, 100)


def model(
    nodes: Sequence[NodeProto], constants: Mapping[str, np.ndarray], declared: Mapping[str, str] | None = None
) -> ModelProto:
    graph = helper.make_graph(
        nodes,
        "narrow",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 1, 10, 10])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    for key, value in (declared or {}).items():
        made.metadata_props.add(key=key, value=value)
    return made


def weights(integers: np.ndarray, declared: Mapping[str, str]) -> ModelProto:
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("DequantizeLinear", ["w", "scale"], ["dequantized"]),
        helper.make_node("Gemm", ["flat", "dequantized"], ["y"], transB=1),
    ]
    return model(nodes, {"w": integers, "scale": np.float32(0.25)}, declared)


@pytest.mark.parametrize(
    ("integers", "bits", "low", "high"),
    [
        (INT16, "9", -256, 255),
        (INT16, "12", -2048, 2047),
        (INT16, "16", -(2**15), 2**15 - 1),
        ((INT16 + 250).astype(np.uint16), "9", 0, 511),
        ((INT16 // 50).astype(np.int8), "4", -8, 7),
        (INT16.astype(np.int32), "20", -(2**19), 2**19 - 1),
    ],
)
def test_a_declared_width_that_fits_is_the_width(integers: np.ndarray, bits: str, low: int, high: int) -> None:
    graph = import_graph(weights(integers, {"micronet.bits:w": bits}))
    grid = graph.formats["w"]
    assert (grid.bits, grid.low, grid.high) == (int(bits), low, high)
    assert torch.equal(graph.weights["w"], torch.from_numpy(integers.astype(np.float32)) / 4)


def test_without_a_declaration_a_weight_is_as_wide_as_its_type() -> None:
    assert import_graph(weights(INT16, {"somebody.else:w": "3"})).formats["w"].bits == 16


@pytest.mark.parametrize(
    "declared",
    [
        {"micronet.bits:w": "8"},  # -250 needs 9
        {"micronet.bits:w": "17"},
        {"micronet.bits:w": "1"},
        {"micronet.bits:w": "0"},
        {"micronet.bits:w": "-9"},
        {"micronet.bits:w": "9.0"},
        {"micronet.bits:w": "٩"},
        {"micronet.bits:w": ""},
        {"micronet.bits:w": "9" * 5000},
        {"micronet.bits:scale": "9"},
        {"micronet.bits:nobody": "9"},
        {"micronet.bits:": "9"},
    ],
)
def test_a_declaration_that_does_not_fit_is_refused(declared: Mapping[str, str]) -> None:
    with pytest.raises(CorruptFile, match="declares"):
        import_graph(weights(INT16, declared))


def test_two_declarations_are_refused() -> None:
    made = weights(INT16, {"micronet.bits:w": "9"})
    made.metadata_props.add(key="micronet.bits:w", value="10")
    with pytest.raises(CorruptFile, match="twice"):
        import_graph(made)


def quantizer(
    low: float | None,
    high: float | None,
    kind: int = TensorProto.INT16,
    between: Sequence[int] = (TensorProto.INT32,),
    zero: int = 0,
) -> ModelProto:
    """Quantize, cast to each of `between`, clip, cast back, dequantize."""
    types = [kind, *between, *([kind] if between else [])]
    nodes = [helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q0"])]
    value, inner = "q0", helper.tensor_dtype_to_np_dtype(types[len(between)])
    constants = {"scale": np.float32(0.25), "zero": np.array(zero, helper.tensor_dtype_to_np_dtype(kind))}
    for index, target in enumerate(between, 1):
        nodes.append(helper.make_node("Cast", [value], [f"q{index}"], to=target))
        value = f"q{index}"
    ends = []
    for name, end in (("low", low), ("high", high)):
        if end is not None:
            constants[name] = np.array(end, inner if float(end).is_integer() else np.float32)
        ends.append(name if end is not None else "")
    nodes.append(helper.make_node("Clip", [value, *ends], ["clipped"]))
    value = "clipped"
    if between:
        nodes.append(helper.make_node("Cast", [value], ["back"], to=kind))
        value = "back"
    nodes += [
        helper.make_node("DequantizeLinear", [value, "scale", "zero"], ["d"]),
        helper.make_node("Flatten", ["d"], ["y"]),
    ]
    return model(nodes, constants)


@pytest.mark.parametrize(
    ("low", "high", "kind", "between", "bits"),
    [
        (-2048, 2047, TensorProto.INT16, (TensorProto.INT32,), 12),
        (-2048, 2047, TensorProto.INT16, (), 12),
        (-8, 7, TensorProto.INT8, (), 4),
        (0, 7, TensorProto.INT8, (), 3),
        (-127, 127, TensorProto.INT8, (), 8),
        (None, 31, TensorProto.UINT8, (TensorProto.INT32, TensorProto.INT16), 5),
        (-(2**40), 2**40, TensorProto.INT16, (), 16),
    ],
)
def test_clipped_integers_prove_their_width(
    low: int | None, high: int, kind: int, between: Sequence[int], bits: int
) -> None:
    wide = abs(high) > 2**31
    made = quantizer(None if wide else low, None if wide else high, kind, between)
    graph = import_graph(made)
    (node,) = (node for node in graph.nodes if node.target in QUANTIZERS)
    assert widths(graph)[node.name] == bits
    images = torch.linspace(-40, 40, 100).reshape(1, 1, 10, 10)
    least, most = node.args[-2:]
    expected = (images / 0.25).round().clamp(least, most) * 0.25
    assert torch.equal(interpret(graph, images), expected.flatten(1))


@pytest.mark.parametrize(
    ("low", "high", "error"),
    [
        (100, 115, OnnxUnsupportedFeature),  # 16 values, of which each needs 7 bits
        (-100, 20, OnnxUnsupportedFeature),  # 121 values, of which the least needs 8 bits
        (5, 5, OnnxUnsupportedFeature),
        (7, 3, OnnxUnsupportedFeature),
        (0.5, 7, CorruptFile),
    ],
)
def test_ranges_that_would_count_too_narrow_are_refused(low: float, high: float, error: type[Exception]) -> None:
    with pytest.raises(error):
        import_graph(quantizer(low, high, TensorProto.INT8, ()))


@pytest.mark.parametrize(("low", "high", "zero"), [(1, 127, 0), (-8, 7, 20), (0, 7, -1), (0, 7, 8)])
def test_a_range_without_the_zero_point_is_refused(low: int, high: int, zero: int) -> None:
    with pytest.raises(OnnxUnsupportedFeature, match=f"without their zero point {zero}"):
        import_graph(quantizer(low, high, TensorProto.INT8, (), zero))


def test_a_range_without_the_zero_point_of_one_channel_is_refused() -> None:
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"], axis=2),
        helper.make_node("Clip", ["q", "low", "high"], ["clipped"]),
        helper.make_node("DequantizeLinear", ["clipped", "scale", "zero"], ["d"], axis=2),
        helper.make_node("Flatten", ["d"], ["y"]),
    ]
    zeros = np.array([*[0] * 9, 9], np.int8)
    ends = {"low": np.int8(-8), "high": np.int8(7)}
    constants = {"scale": np.full(10, 0.25, np.float32), "zero": zeros, **ends}
    with pytest.raises(OnnxUnsupportedFeature, match="without their zero point 9"):
        import_graph(model(nodes, constants))


def test_a_range_that_ends_at_the_zero_point_is_read() -> None:
    graph = import_graph(quantizer(-8, 7, TensorProto.INT8, (), 7))
    images = torch.linspace(-4, 4, 100).reshape(1, 1, 10, 10)
    expected = ((images / 0.25).round() + 7).clamp(-8, 7).sub(7) * 0.25
    assert torch.equal(interpret(graph, images), expected.flatten(1))


def quantized_constants(
    ends: tuple[int | None, int | None], integers: np.ndarray, floating: bool, declared: Mapping[str, str] | None = None
) -> ModelProto:
    """Integers, or floats through QuantizeLinear, clipped, dequantized and multiplied."""
    nodes = [helper.make_node("Flatten", ["x"], ["flat"])]
    named = {name: end for name, end in zip(("low", "high"), ends, strict=True) if end is not None}
    constants = {name: np.array(end, integers.dtype) for name, end in named.items()}
    constants |= {"scale": np.float32(0.25), "zero": np.zeros((), integers.dtype)}
    constants["w"] = integers.astype(np.float32) / 4 if floating else integers
    if floating:
        nodes.append(helper.make_node("QuantizeLinear", ["w", "scale", "zero"], ["q"]))
    operands = [name if name in named else "" for name in ("low", "high")]
    nodes += [
        helper.make_node("Clip", ["q" if floating else "w", *operands], ["clipped"]),
        helper.make_node("DequantizeLinear", ["clipped", "scale", "zero"], ["d"]),
        helper.make_node("Gemm", ["flat", "d"], ["y"], transB=1),
    ]
    return model(nodes, constants, declared)


@pytest.mark.parametrize("floating", [False, True])
@pytest.mark.parametrize(
    ("low", "high", "kind", "ends"),
    [
        (-8, 7, np.int8, (4, -8, 7)),
        (-7, 7, np.int8, (4, -8, 7)),
        (None, None, np.int8, (8, -128, 127)),
        (-8, None, np.int8, (8, -128, 127)),
        (0, 7, np.int8, (4, -8, 7)),  # in two's complement, as the type is
        (0, 15, np.uint8, (4, 0, 15)),
        (None, 15, np.uint8, (4, 0, 15)),
        (0, 1, np.uint8, (1, 0, 1)),
        (-16, 15, np.int32, (5, -16, 15)),
        (-16, None, np.int32, (32, -(2**31), 2**31 - 1)),
        (None, 15, np.int32, (32, -(2**31), 2**31 - 1)),
    ],
)
def test_clipped_constants_are_as_narrow_as_their_range(
    low: int | None, high: int | None, kind: type[np.integer], ends: tuple[int, int, int], floating: bool
) -> None:
    """Of 500 integers from -250 to 249, what the type holds of them."""
    integers = INT16.clip(np.iinfo(kind).min, np.iinfo(kind).max).astype(kind)
    graph = import_graph(quantized_constants((low, high), integers, floating))
    [(name, grid)] = graph.formats.items()
    assert (grid.bits, grid.low, grid.high) == ends
    least, most = (-500 if low is None else low, 500 if high is None else high)
    expected = torch.from_numpy(integers.clip(least, most).astype(np.float32) / 4)
    assert torch.equal(graph.weights[name], expected)


@pytest.mark.parametrize(("declared", "bits"), [("12", 9), ("5", 5)])
def test_of_a_declared_and_a_clipped_width_the_narrower_counts(declared: str, bits: int) -> None:
    integers = INT16 // 20
    made = quantized_constants((-256, 255), integers, False, {"micronet.bits:w": declared})
    assert import_graph(made).formats["w"].bits == bits


@pytest.mark.parametrize(
    ("back", "bits"), [(TensorProto.INT16, 4), (TensorProto.INT8, 4), (TensorProto.INT32, 4), (TensorProto.UINT8, 8)]
)
def test_a_width_outlives_a_cast_to_a_type_that_holds_it(back: int, bits: int) -> None:
    """Runtimes clip no 16-bit integers, so they go through 32 bits; what is below zero is another number unsigned."""
    kind = helper.tensor_dtype_to_np_dtype(back)
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("Cast", ["w"], ["wide"], to=TensorProto.INT32),
        helper.make_node("Clip", ["wide", "low", "high"], ["clipped"]),
        helper.make_node("Cast", ["clipped"], ["back"], to=back),
        helper.make_node("DequantizeLinear", ["back", "scale", "zero"], ["d"]),
        helper.make_node("Gemm", ["flat", "d"], ["y"], transB=1),
    ]
    ends = {"low": np.int32(-8), "high": np.int32(7)}
    graph = import_graph(model(nodes, {"w": INT16, "scale": np.float32(1), "zero": np.zeros((), kind), **ends}))
    assert graph.formats["w"].bits == bits
    assert torch.equal(graph.weights["w"], torch.from_numpy(INT16.clip(-8, 7).astype(kind).astype(np.float32)))


@pytest.mark.parametrize("clip", [True, False])
def test_a_width_outlives_a_move(clip: bool) -> None:
    """Of integers that were clipped, and of those that a file declares to be narrow."""
    integers = np.arange(-8, 8, dtype=np.int8).repeat(25).reshape(100, 4)
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("Clip" if clip else "Identity", ["w", "low", "high"] if clip else ["w"], ["narrow"]),
        helper.make_node("Transpose", ["narrow"], ["turned"], perm=[1, 0]),
        helper.make_node("Gather", ["turned", "order"], ["picked"], axis=0),
        helper.make_node("DequantizeLinear", ["picked", "scale", "zero"], ["d"]),
        helper.make_node("Gemm", ["flat", "d"], ["y"], transB=1),
    ]
    constants = {"w": integers, "scale": np.float32(1), "zero": np.int8(0), "order": np.array([2, 0, 3])}
    ends = {"low": np.int8(-8), "high": np.int8(7)} if clip else {}
    graph = import_graph(model(nodes, constants | ends, None if clip else {"micronet.bits:w": "4"}))
    assert {grid.bits for grid in graph.formats.values()} == {4}
    (weight,) = (graph.weights[name] for name in graph.formats)
    assert torch.equal(weight, torch.from_numpy(integers.T[[2, 0, 3]].astype(np.float32)))


def test_a_constant_clipped_to_no_integer_is_refused() -> None:
    made = quantized_constants((-8, 7), (INT16 // 50).astype(np.int8), False)
    for index, initializer in enumerate(made.graph.initializer):
        if initializer.name == "low":
            made.graph.initializer[index].CopyFrom(numpy_helper.from_array(np.float32(-7.5), "low"))
    with pytest.raises(CorruptFile, match="no integers"):
        import_graph(made)


def test_a_type_too_small_for_quantized_values_is_refused() -> None:
    with pytest.raises(OnnxError, match="do not all fit"):
        import_graph(quantizer(-8, 7, TensorProto.INT16, (TensorProto.INT8,)))
    with pytest.raises(OnnxError):
        import_graph(quantizer(-8, 7, TensorProto.INT16, (TensorProto.FLOAT,)))


def test_only_clip_and_cast_may_stand_between() -> None:
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        helper.make_node("Relu", ["q"], ["r"]),
        helper.make_node("DequantizeLinear", ["r", "scale", "zero"], ["d"]),
        helper.make_node("Flatten", ["d"], ["y"]),
    ]
    with pytest.raises(OnnxUnsupportedFeature):
        import_graph(model(nodes, {"scale": np.float32(0.25), "zero": np.zeros((), np.int8)}))
