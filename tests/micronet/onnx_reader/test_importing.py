"""What the graph of a file looks like: names, numbers, literals, grids, and a batch that stays free."""

from collections.abc import Sequence

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from micronet.analysis.counts import count
from micronet.analysis.widths import quantizes
from micronet.errors import CorruptFile, OnnxUnsupportedFeature
from micronet.graph.grid import Grid
from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph, Ref
from micronet.onnx_reader import EMITS, IMPORTERS, import_graph
from micronet.onnx_reader.builder import Builder
from micronet.onnx_reader.operands import Operand
from micronet.onnx_reader.table import merged
from micronet.onnx_reader.targets import TARGETS
from micronet.onnx_reader.values import Known

RANDOM = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def array(name: str, *shape: int) -> TensorProto:
    return numpy_helper.from_array(RANDOM.standard_normal(shape).astype(np.float32), name)


def of(name: str, values: object, kind: type = np.float32) -> TensorProto:
    return numpy_helper.from_array(np.array(values, kind), name)


def node(op: str, *inputs: str, output: str = "x", **attributes: object) -> NodeProto:
    return helper.make_node(op, list(inputs), [output], **attributes)


def model(
    nodes: Sequence[NodeProto],
    weights: Sequence[TensorProto] = (),
    image: Sequence[object] = ("N", 3, 4, 4),
    opset: int = 17,
) -> ModelProto:
    """A file of these nodes, which make `x` from `image`; logits are its mean over what lies behind the channels."""
    end = [node("GlobalAveragePool", "x", output="pooled"), node("Flatten", "pooled", output="logits")]
    graph = helper.make_graph(
        [*nodes, *end],
        "test",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, list(image))],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)],
        list(weights),
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def agreeing(file: ModelProto) -> Graph:
    """The graph of the file, after it said what onnxruntime says on two images and on one."""
    graph = import_graph(file)
    session = onnxruntime.InferenceSession(file.SerializeToString())
    open_batch = not isinstance(session.get_inputs()[0].shape[0], int)
    for batch in (2, 1) if open_batch else (session.get_inputs()[0].shape[0],):
        images = torch.randn(batch, *graph.input_shape)
        right = session.run(None, {"image": images.numpy()})[0]
        np.testing.assert_allclose(interpret(graph, images).numpy(), right, atol=1e-5, rtol=1e-4)
    return graph


def targets(graph: Graph) -> list[str]:
    names = {target: name for name, target in TARGETS.items()}
    return [names[node.target] for node in graph.nodes][:-2]


def test_a_number_of_a_constant_node_is_an_argument() -> None:
    three = node("Constant", output="three", value=of("", 3.0))
    graph = agreeing(model([three, node("Add", "image", "three")]))
    assert graph.nodes[0].args == (Ref("image"), 3.0)
    assert not graph.weights


def test_an_initializer_of_one_element_is_a_parameter() -> None:
    graph = agreeing(model([node("Mul", "image", "scale")], [of("scale", 3.0)]))
    assert list(graph.weights) == ["scale"]
    assert not graph.literals


@pytest.mark.parametrize(
    ("op", "first", "expected"),
    [
        ("Add", True, "add"),
        ("Sub", True, "rsub"),
        ("Sub", False, "sub"),
        ("Mul", True, "mul"),
        ("Div", True, "div"),
        ("Div", False, "div"),
        ("Max", True, "clamp"),
        ("Min", False, "clamp"),
        ("Pow", True, "number_pow"),
        ("Pow", False, "pow_number"),
    ],
)
def test_numbers_on_either_side(op: str, first: bool, expected: str) -> None:
    two = node("Constant", output="two", value_float=2.0)
    operands = ("two", "exponents") if first else ("exponents", "two")
    graph = agreeing(model([two, node("Abs", "image", output="exponents"), node(op, *operands)]))
    assert targets(graph)[-1] == expected


def test_a_constant_of_several_elements_counts_and_a_spread_number_does_not() -> None:
    several = node("Constant", output="c", value=array("", 3, 1, 1))
    assert sum(w.numel() for w in agreeing(model([several, node("Add", "image", "c")])).weights.values()) == 3
    shape = of("shape", [3, 1, 1], np.int64)
    spread = node("ConstantOfShape", "shape", output="c", value=of("", [2.0]))
    assert not agreeing(model([spread, node("Add", "image", "c")], [shape])).weights


def test_a_weight_put_together_from_single_numbers_is_a_parameter() -> None:
    """3 constants of one element each would store nothing; as the tensor they become, they are 3 parameters."""
    singles = [node("Constant", output=f"c{n}", value=of("", [float(n)])) for n in range(3)]
    joined = node("Concat", "c0", "c1", "c2", output="row", axis=0)
    nodes = [*singles, joined, node("Reshape", "row", "shape", output="w"), node("Add", "image", "w")]
    graph = agreeing(model(nodes, [of("shape", [3, 1, 1], np.int64)]))
    assert [weight.numel() for weight in graph.weights.values()] == [3]
    assert not graph.literals


def test_a_weight_of_integers_that_became_floats_is_a_parameter() -> None:
    """As floats, 3 constants of one element each are 3 parameters; integers would be multiplied with by nobody."""
    singles = [node("Constant", output=f"c{n}", value=of("", [n], np.int64)) for n in range(3)]
    joined = node("Concat", "c0", "c1", "c2", output="row", axis=0)
    nodes = [*singles, joined, node("Reshape", "row", "shape", output="w"), node("Cast", "w", output="f", to=1)]
    graph = agreeing(model([*nodes, node("Mul", "image", "f")], [of("shape", [3, 1, 1], np.int64)]))
    assert [weight.numel() for weight in graph.weights.values()] == [3]
    assert not graph.literals
    with pytest.raises(OnnxUnsupportedFeature, match="mixes integers"):
        import_graph(model([*nodes, node("Mul", "image", "w")], [of("shape", [3, 1, 1], np.int64)]))


FULL = [
    node("Shape", "image", output="s"),
    node("Slice", "s", "zero", "one", output="n"),
    node("Concat", "n", "rest", output="shape", axis=0),
    node("ConstantOfShape", "shape", output="full", value=of("", [2.0])),
]
REST = [of("zero", [0], np.int64), of("one", [1], np.int64), of("rest", [3, 4, 4], np.int64)]

BACK = of("back", [-1, 3, 4, 4], np.int64)


@pytest.mark.parametrize(
    ("between", "weights", "stored"),
    [
        ([node("Identity", "full", output="y")], [], 0),
        ([node("Sqrt", "full", output="y")], [], 0),
        ([node("Cast", "full", output="i", to=7), node("Cast", "i", output="y", to=1)], [], 0),
        ([node("Add", "full", "p", output="y")], [array("p", 3, 1, 1)], 3),
        ([node("Add", "full", "p", output="y")], [array("p", 1, 3, 4, 4)], 48),
        ([node("Transpose", "full", output="t"), node("Transpose", "t", output="y")], [], 0),
        ([node("Flatten", "full", output="f"), node("Reshape", "f", "back", output="y")], [BACK], 0),
        ([node("ReduceMean", "full", output="m", axes=[0]), node("Add", "image", "m", output="z")], [], 0),
        ([node("Slice", "full", "zero", "one", "one", output="y")], [], 0),
    ],
)
def test_one_number_for_every_image_is_stored_as_one_number(
    between: Sequence[NodeProto], weights: Sequence[TensorProto], stored: int
) -> None:
    """cat(x, zeros(N, c, h, w)), the shortcut of PyramidNet, and what may happen to the zeros on their way."""
    end = [] if between[-1].output[0] == "z" else [node("Concat", "image", "y", output="z", axis=1)]
    graph = agreeing(model([*FULL, *between, *end, node("Relu", "z")], [*REST, *weights]))
    assert sum(weight.numel() for name, weight in graph.weights.items() if name not in graph.literals) == stored
    assert all(graph.weights[name].numel() == 1 for name in graph.literals)
    assert sum(parameter.elements for layer in count(graph).layers for parameter in layer.parameters) == stored


def test_one_number_for_the_only_image_of_a_file_is_one_for_every_image() -> None:
    zeros = node("ConstantOfShape", "shape", output="zeros")
    weights = [of("shape", [1, 7, 4, 4], np.int64)]
    graph = agreeing(model([zeros, node("Concat", "image", "zeros", axis=1)], weights, image=(1, 3, 4, 4)))
    assert interpret(graph, torch.randn(5, 3, 4, 4)).shape == (5, 10)
    assert [weight.numel() for weight in graph.weights.values()] == [1]


@pytest.mark.parametrize(
    ("start", "end", "step", "size"), [(1, 3, -1, 0), (2, -1, 1, 0), (-1, -9, -2, 2), (-1, 0, -1, 3)]
)
def test_slices_may_run_backwards_and_be_empty(start: int, end: int, step: int, size: int) -> None:
    weights = [of(name, [value], np.int64) for name, value in {"s": start, "e": end, "a": 2, "d": step}.items()]
    nodes = [node("Slice", "image", "s", "e", "a", "d", output="part"), node("Concat", "part", "image", axis=2)]
    graph = agreeing(model(nodes, weights))
    assert {tuple(weight.shape) for weight in graph.weights.values()} <= {(size,)}


def test_spreading_a_parameter_does_not_make_more_of_it() -> None:
    nodes = [node("Expand", "w", "shape", output="wide"), node("Mul", "image", "wide")]
    graph = agreeing(model(nodes, [of("w", [2.0]), of("shape", [3, 4, 4], np.int64)]))
    assert sum(weight.numel() for weight in graph.weights.values()) == 1


def test_a_weight_read_twice_is_one_weight_also_when_turned() -> None:
    turn = [node("Transpose", "w", output=f"t{i}", perm=[1, 0, 2, 3]) for i in range(2)]
    nodes = [*turn, node("Conv", "image", "t0", output="y"), node("Conv", "y", "t1")]
    graph = agreeing(model(nodes, [array("w", 3, 3, 1, 1)]))
    assert list(graph.weights) == ["w"]


@pytest.mark.parametrize("transposed", [0, 1])
@pytest.mark.parametrize("bias", [(5,), (1, 5), (1,), (), None])
@pytest.mark.parametrize("alpha", [1.0, 0.5])
def test_gemm(transposed: int, bias: tuple[int, ...] | None, alpha: float) -> None:
    flat = node("Flatten", "image", output="flat")
    operands = ["flat", "w"] if bias is None else ["flat", "w", "b"]
    product = node("Gemm", *operands, output="y", transB=transposed, alpha=alpha, beta=2.0)
    back = node("Reshape", "y", "shape")
    weights = [array("w", *((5, 48) if transposed else (48, 5))), of("shape", [0, 5, 1, 1], np.int64)]
    weights += [] if bias is None else [array("b", *bias)]
    graph = agreeing(model([flat, product, back], weights))
    linear = next(n for n in graph.nodes if n.target is TARGETS["linear"])
    assert linear.args[1] == Ref("w")
    assert graph.weights["w"].shape == (5, 48)


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect"])
@pytest.mark.parametrize("pads", [[0, 0, 1, 2, 0, 0, 3, 0], [0, 1, 0, 0, 0, 2, 0, 0], [0, 0, -1, 0, 0, 0, 0, -1]])
def test_pads(mode: str, pads: list[int]) -> None:
    if mode != "constant" and min(pads) < 0:
        pytest.skip("onnxruntime has its own view of these")
    agreeing(model([node("Pad", "image", "pads", mode=mode)], [of("pads", pads, np.int64)]))


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [4, 5])
def test_pools(op: str, auto_pad: str, stride: int, size: int) -> None:
    options = {"ceil_mode": 1, "pads": [1, 0, 0, 1]} if auto_pad == "NOTSET" else {"auto_pad": auto_pad}
    pool = node(op, "image", kernel_shape=[3, 2], strides=[stride, stride], **options)
    agreeing(model([pool], image=("N", 3, size, size)))


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_convolutions(auto_pad: str, stride: int) -> None:
    conv = node("Conv", "image", "w", "b", auto_pad=auto_pad, strides=[stride] * 2, group=3, name="/stem/conv")
    graph = agreeing(model([conv], [array("w", 6, 1, 3, 2), array("b", 6)], image=("N", 3, 7, 8)))
    layers = [n.layer for n in graph.nodes]
    assert "stem/conv" in layers
    assert len(set(layers)) == len(layers)


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


@pytest.mark.parametrize("image", [("N", 3, 4, 4), (1, 3, 4, 4), (2, 3, 4, 4)])
def test_the_batch_is_free_whatever_the_file_was_saved_for(image: tuple[object, ...]) -> None:
    saved = image[0] if isinstance(image[0], int) else 0
    nodes = [node("Reshape", "image", "flat", output="y"), node("Reshape", "y", "shape")]
    weights = [of("flat", [saved, -1], np.int64), of("shape", [saved, 6, 4, 2], np.int64)]
    graph = agreeing(model(nodes, weights, image))
    assert interpret(graph, torch.randn(7, 3, 4, 4)).shape == (7, 6)


def test_an_image_with_channels_last_is_turned() -> None:
    nodes = [node("Transpose", "image", perm=[0, 3, 1, 2])]
    graph = import_graph(model(nodes, image=("N", 5, 4, 3)))
    assert graph.input_shape == (3, 5, 4)
    images = torch.randn(2, 3, 5, 4)
    torch.testing.assert_close(interpret(graph, images), images.mean(dim=(2, 3)))


def test_weights_of_half_and_double_precision_become_float32() -> None:
    for kind in (np.float16, np.float64):
        nodes = [
            node("Cast", "image", output="y", to=helper.np_dtype_to_tensor_dtype(np.dtype(kind))),
            node("Mul", "y", "w"),
        ]
        graph = import_graph(model(nodes, [of("w", 0.5, kind)]))
        assert graph.weights["w"].dtype == torch.float32


def test_names_do_not_clash() -> None:
    """A node's value, cleaned, has the name of a weight; two nodes have one name."""
    first = node("Add", "image", "a_b", output="a/b", name="n")
    nodes = [first, node("Relu", "a/b", output="a.b", name="n"), node("Relu", "a.b")]
    graph = import_graph(model(nodes, [array("a_b", 3, 1, 1)]))
    names = [*graph.weights, graph.input, *(n.name for n in graph.nodes)]
    assert len(set(names)) == len(names)
    assert all(n.name.isidentifier() for n in graph.nodes)
    assert [n.layer for n in graph.nodes][:2] == ["n", "n.1"]


def test_the_batch_in_second_place_of_an_open_file_stays_there() -> None:
    """(N, 3, 4, 4) -> (3, N, 16) -> (3, -1) -> back: -1 is 16 N, and no guess is made."""
    nodes = [
        node("Reshape", "image", "rows", output="a"),
        node("Transpose", "a", output="b", perm=[1, 0, 2]),
        node("Reshape", "b", "flat", output="c"),
        node("Reshape", "c", "split", output="d"),
        node("Transpose", "d", output="e", perm=[1, 0, 2]),
        node("Reshape", "e", "image_again"),
    ]
    weights = [
        of("rows", [0, 3, 16], np.int64),
        of("flat", [3, -1], np.int64),
        of("split", [3, -1, 16], np.int64),
        of("image_again", [0, 3, 4, 4], np.int64),
    ]
    agreeing(model(nodes, weights))


def test_a_class_token_follows_the_batch() -> None:
    """Shape -> Gather -> Concat -> Expand, as exporters write `token.expand(n, -1, -1)`; twice the batch as well."""
    nodes = [
        node("Shape", "image", output="s"),
        node("Gather", "s", "zero", output="n"),
        node("Mul", "n", "two", output="n2"),
        node("Concat", "n2", "rest", output="wide", axis=0),
        node("Expand", "token", "wide", output="y"),
        node("Reshape", "y", "back", output="z"),
        node("Concat", "image", "z", axis=1),
    ]
    weights = [
        of("zero", [0], np.int64),
        of("two", [2], np.int64),
        of("rest", [3, 4, 4], np.int64),
        of("back", [-1, 6, 4, 4], np.int64),
        array("token", 1, 3, 1, 1),
    ]
    graph = agreeing(model(nodes, weights))
    assert {"sym_size", "times", "expand"} <= set(targets(graph))


def test_the_prelu_of_one_slope_per_channel() -> None:
    assert "prelu" in targets(agreeing(model([node("PRelu", "image", "w")], [array("w", 3, 1, 1)])))


@pytest.mark.parametrize(
    ("written", "opset", "probability"),
    [
        (node("Dropout", "image", "share"), 17, 0.25),
        (node("Dropout", "image", "share", "training"), 17, 0.25),
        (node("Dropout", "image"), 17, 0.5),
        (node("Dropout", "image", ratio=0.75), 10, 0.75),
    ],
)
def test_a_dropout_stays_for_training(written: NodeProto, opset: int, probability: float) -> None:
    weights = [of("share", 0.25), of("training", False, np.bool_)]
    graph = agreeing(model([written], weights if opset == 17 else [], opset=opset))
    (dropout,) = (node for node in graph.nodes if node.target is TARGETS["dropout"])
    assert dropout.args[1:] == (probability, False)


@pytest.mark.parametrize("ratio", [-0.5, 1.0])
def test_a_dropout_of_everything_or_less_than_nothing_is_refused(ratio: float) -> None:
    with pytest.raises(CorruptFile, match="ratio"):
        import_graph(model([node("Dropout", "image", "share")], [of("share", ratio)]))


def test_one_index_is_a_selection_and_several_are_stored() -> None:
    one = [node("Gather", "image", "i", output="y", axis=1), node("Unsqueeze", "y", "axes")]
    graph = agreeing(model(one, [of("i", -1, np.int64), of("axes", [1], np.int64)]))
    assert targets(graph) == ["select", "unsqueeze"]
    graph = agreeing(model([node("Gather", "image", "i", axis=1)], [of("i", [2, 0, 1], np.int64)]))
    assert targets(graph) == ["index_select"]
    assert graph.weights["i"].tolist() == [2, 0, 1]
    assert not graph.literals  # a permutation the file stores is one that inference needs


def test_an_operation_with_two_importers_is_refused() -> None:
    with pytest.raises(ValueError, match="Relu"):
        merged([{"Relu": IMPORTERS["Relu"]}, {"Relu": IMPORTERS["Relu"]}])


def test_one_row_per_target() -> None:
    assert len(EMITS) == len(TARGETS)
