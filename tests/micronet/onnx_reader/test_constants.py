"""Numbers, literals and parameters of a file: which of them are stored, and how often."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from onnx import NodeProto, TensorProto

from micronet.analysis.counts import count
from micronet.errors import OnnxUnsupportedFeature
from micronet.graph.interpret import interpret
from micronet.graph.ir import Ref
from micronet.onnx_reader import import_graph
from tests.micronet.onnx_reader.files import agreeing, array, model, node, of, targets


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


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


@pytest.mark.parametrize("kind", [TensorProto.INT32, TensorProto.INT64])
def test_the_number_of_images_is_no_constant_to_clip(kind: int) -> None:
    nodes = [
        node("Shape", "image", output="s"),
        node("Cast", "s", output="i", to=kind),
        node("Slice", "i", "zero", "one", output="n"),
        node("Clip", "n", "low", "high", output="c"),
        node("Cast", "c", output="k", to=TensorProto.INT64),
        node("ConstantOfShape", "k", output="full", value=of("", [2.0])),
        node("ReduceSum", "full", output="r", keepdims=1),
        node("Mul", "image", "r"),
    ]
    numpy_kind = np.int32 if kind == TensorProto.INT32 else np.int64
    ends = [of("low", 0, numpy_kind), of("high", 100, numpy_kind)]
    with pytest.raises(OnnxUnsupportedFeature, match="batch size decides"):
        import_graph(model(nodes, [*REST[:2], *ends], opset=17))


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
