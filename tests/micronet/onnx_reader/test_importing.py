"""What the graph of a file looks like: operations, names, and a batch that stays free."""

import numpy as np
import pytest
import torch
from onnx import ModelProto, NodeProto, helper

from micronet.errors import CorruptFile, NumericalError, OnnxUnsupportedFeature
from micronet.graph.interpret import interpret
from micronet.graph.ir import Ref
from micronet.onnx_reader import EMITS, IMPORTERS, import_graph
from micronet.onnx_reader.table import merged
from micronet.onnx_reader.targets import TARGETS
from tests.micronet.onnx_reader.files import agreeing, array, model, node, of, targets


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


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


@pytest.mark.parametrize(("kernel", "dilation"), [((1, 1), (1, 1)), ((3, 1), (2, 1)), ((1, 2), (1, 2))])
def test_a_dilation_that_spreads_nothing_is_none(kernel: tuple[int, int], dilation: tuple[int, int]) -> None:
    conv = node("Conv", "image", "w", "b", pads=[1] * 4, strides=[1, 2], dilations=[2, 2])
    graph = agreeing(model([conv], [array("w", 4, 2, *kernel), array("b", 4)], image=("N", 2, 8, 2)))
    assert [n.args[5] for n in graph.nodes if n.target is TARGETS["conv2d"]] == [dilation]


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_convolutions(auto_pad: str, stride: int) -> None:
    conv = node("Conv", "image", "w", "b", auto_pad=auto_pad, strides=[stride] * 2, group=3, name="/stem/conv")
    graph = agreeing(model([conv], [array("w", 6, 1, 3, 2), array("b", 6)], image=("N", 3, 7, 8)))
    layers = [n.layer for n in graph.nodes]
    assert "stem/conv" in layers
    assert len(set(layers)) == len(layers)


@pytest.mark.parametrize("image", [("N", 3, 4, 4), (1, 3, 4, 4), (2, 3, 4, 4)])
def test_the_batch_is_free_whatever_the_file_was_saved_for(image: tuple[object, ...]) -> None:
    saved = image[0] if isinstance(image[0], int) else 0
    nodes = [node("Reshape", "image", "flat", output="y"), node("Reshape", "y", "shape")]
    weights = [of("flat", [saved, -1], np.int64), of("shape", [saved, 6, 4, 2], np.int64)]
    graph = agreeing(model(nodes, weights, image))
    assert interpret(graph, torch.randn(7, 3, 4, 4)).shape == (7, 6)


def in_a_batch_of_two(last: NodeProto) -> ModelProto:
    """A file saved for two images, whose shapes name them, with one more operation."""
    nodes = [node("Reshape", "image", "flat", output="y"), node("Reshape", "y", "shape", output="z"), last]
    weights = [of("flat", [2, -1], np.int64), of("shape", [2, 3, 4, 4], np.int64)]
    weights += [of(name, [value] * 3) for name, value in {"one": 1.0, "negative": -1.0}.items()]
    return model(nodes, weights, (2, 3, 4, 4))


def test_the_batch_is_free_where_only_some_images_give_numbers() -> None:
    graph = import_graph(in_a_batch_of_two(node("Sqrt", "z")))
    images = torch.rand(7, 3, 4, 4)
    torch.testing.assert_close(interpret(graph, images), images.sqrt().mean(dim=(2, 3)))


def test_a_network_that_gives_no_numbers_is_not_said_to_be_of_a_fixed_batch() -> None:
    with pytest.raises(NumericalError, match="NaN or infinity"):
        import_graph(in_a_batch_of_two(node("BatchNormalization", "z", "one", "one", "one", "negative")))


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


def test_an_operation_with_two_rows_is_refused() -> None:
    """In the table of what is read, and in that of what is written."""
    with pytest.raises(ValueError, match="Relu has two rows"):
        merged([{"Relu": IMPORTERS["Relu"]}, {"Relu": IMPORTERS["Relu"]}])


def test_one_row_per_target() -> None:
    assert len(EMITS) == len(TARGETS)


@pytest.mark.parametrize(("opset", "attributes"), [(7, {}), (9, {}), (13, {}), (15, {"training_mode": 1})])
def test_a_batch_norm_that_would_learn_is_refused(opset: int, attributes: dict[str, int]) -> None:
    """Before opset 14 it is one because it gives the statistics as well."""
    given = [array(name, 3) for name in ("scale", "shift", "mean")] + [of("variance", [1, 2, 3])]
    names = ["image", *(weight.name for weight in given)]
    norm = helper.make_node("BatchNormalization", names, ["x", "new_mean", "new_variance"], **attributes)
    with pytest.raises(OnnxUnsupportedFeature, match="a batch norm in training mode"):
        import_graph(model([norm], given, opset=opset))
    del norm.output[1:]
    if not attributes:
        agreeing(model([norm], given, opset=opset))
