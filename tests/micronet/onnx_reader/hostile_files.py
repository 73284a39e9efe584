"""Files made to do harm, or merely wrong, and the error that each has to end in."""

import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from micronet.errors import (
    CorruptFile,
    FileTooLarge,
    MicronetError,
    NotFinite,
    OnnxExternalData,
    OnnxForeignDomain,
    OnnxInterface,
    OnnxUnsupportedFeature,
    OnnxUnsupportedOperation,
    OnnxUnsupportedVersion,
)
from micronet.onnx_reader import import_graph, load_model

IMAGE = ("image", TensorProto.FLOAT, ["N", 3, 4, 4])
LOGITS = ("logits", TensorProto.FLOAT, ["N", 48])


def classifier(
    nodes: Sequence[NodeProto] | None = None,
    weights: Sequence[TensorProto] = (),
    inputs: Sequence[tuple[str, int, list[object]]] = (IMAGE,),
    outputs: Sequence[tuple[str, int, list[object]]] = (LOGITS,),
) -> ModelProto:
    """A file that flattens its image, or has these nodes."""
    nodes = [helper.make_node("Flatten", ["image"], ["logits"])] if nodes is None else nodes
    graph = helper.make_graph(
        list(nodes),
        "test",
        [helper.make_tensor_value_info(*value) for value in inputs],
        [helper.make_tensor_value_info(*value) for value in outputs],
        list(weights),
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def read(model: ModelProto, folder: Path) -> None:
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    import_graph(load_model(path))


def weight(name: str, *shape: int) -> TensorProto:
    return numpy_helper.from_array(np.ones(shape, np.float32), name)


def integers(name: str, *values: int) -> TensorProto:
    return numpy_helper.from_array(np.array(values, np.int64), name)


def after(*nodes: NodeProto) -> list[NodeProto]:
    """Nodes that make `x` from the image or from nothing, and then logits that need it."""
    return [*nodes, helper.make_node("Flatten", ["x"], ["logits"])]


def node(op: str, *inputs: str, output: str = "x", **attributes: object) -> NodeProto:
    return helper.make_node(op, list(inputs), [output], **attributes)


def external() -> ModelProto:
    model = classifier(after(node("Add", "image", "w")), [weight("w", 1)])
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    return model


def external_in_attribute() -> ModelProto:
    model = classifier(after(node("Constant", output="c", value=weight("c", 2)), node("Add", "image", "c")))
    model.graph.node[0].attribute[0].t.data_location = TensorProto.EXTERNAL
    return model


def with_subgraph() -> ModelProto:
    branch = helper.make_graph([], "branch", [], [])
    return classifier(after(node("If", "image", then_branch=branch, else_branch=branch)))


def with_function() -> ModelProto:
    model = classifier()
    model.functions.add(name="f", domain="")
    return model


def with_training() -> ModelProto:
    model = classifier()
    model.training_info.add()
    return model


def with_sparse() -> ModelProto:
    model = classifier()
    model.graph.sparse_initializer.add()
    return model


def declared(*dims: int) -> ModelProto:
    """A weight of one element that declares `dims`."""
    model = classifier(after(node("Add", "image", "w")), [weight("w", 1)])
    del model.graph.initializer[0].dims[:]
    model.graph.initializer[0].dims.extend(dims)
    return model


def opset(version: int) -> ModelProto:
    return at_opset(version, classifier())


def at_opset(version: int, model: ModelProto) -> ModelProto:
    model.opset_import[0].version = version
    return model


def foreign_node() -> ModelProto:
    return classifier([node("FusedConv", "image", output="logits", domain="com.microsoft")])


def of(*values: float) -> TensorProto:
    return numpy_helper.from_array(np.array(values, np.float32), "w")


BIG = 10**12
HUGE_SHAPE = integers("shape", 10**6, 10**6)

CASES: dict[str, tuple[Callable[[], ModelProto], type[MicronetError]]] = {
    "external data": (external, OnnxExternalData),
    "external data in an attribute": (external_in_attribute, OnnxExternalData),
    "an operation of a foreign domain": (foreign_node, OnnxForeignDomain),
    "control flow": (with_subgraph, OnnxUnsupportedFeature),
    "functions": (with_function, OnnxUnsupportedFeature),
    "training": (with_training, OnnxUnsupportedFeature),
    "sparse weights": (with_sparse, OnnxUnsupportedFeature),
    "opset 6": (lambda: opset(6), OnnxUnsupportedVersion),
    "opset 99": (lambda: opset(99), OnnxUnsupportedVersion),
    "an unknown operation": (
        lambda: classifier(after(node("Einsum", "image", equation="a->a"))),
        OnnxUnsupportedOperation,
    ),
    "too few elements": (lambda: declared(2), CorruptFile),
    "negative dims": (lambda: declared(-1, -1), CorruptFile),
    "dims past counting": (lambda: declared(2**40, 2**40), FileTooLarge),
    "no element, endless": (lambda: declared(2**40, 0), FileTooLarge),
    "NaN": (lambda: classifier(after(node("Add", "image", "w")), [of(float("nan"))]), NotFinite),
    "infinity": (lambda: classifier(after(node("Add", "image", "w")), [of(float("inf"))]), NotFinite),
    "no graph": (lambda: ModelProto(ir_version=8), CorruptFile),
    "an undefined input": (lambda: classifier(after(node("Relu", "nowhere"))), CorruptFile),
    "a cycle": (lambda: classifier(after(node("Relu", "y"), node("Relu", "x", output="y"))), CorruptFile),
    "one name twice": (lambda: classifier(after(node("Relu", "image"), node("Relu", "image"))), CorruptFile),
    "two weights of one name": (lambda: classifier(weights=[weight("w", 1), weight("w", 1)]), CorruptFile),
    "an output nobody makes": (lambda: classifier([node("Relu", "image")]), CorruptFile),
    "two images": (lambda: classifier(inputs=[IMAGE, ("more", *IMAGE[1:])]), OnnxInterface),
    "no image": (lambda: classifier(after(node("Relu", "w")), [weight("w", 1)], inputs=[]), OnnxInterface),
    "two outputs": (lambda: classifier(outputs=[LOGITS, ("image", *IMAGE[1:])]), OnnxInterface),
    "logits of four dimensions": (lambda: classifier([node("Relu", "image", output="logits")]), OnnxInterface),
    "logits that are a constant": (
        lambda: classifier([node("Relu", "w", output="logits")], [weight("w", 1, 48)]),
        OnnxInterface,
    ),
    "an image of unknown size": (lambda: classifier(inputs=[("image", 1, ["N", 3, "H", "W"])]), OnnxInterface),
    "an image of integers": (lambda: classifier(inputs=[("image", TensorProto.INT64, ["N", 3, 4, 4])]), OnnxInterface),
    "softmax along no axis": (lambda: classifier(after(node("Softmax", "image", axis=7))), CorruptFile),
    "log-softmax along no axis": (lambda: classifier(after(node("LogSoftmax", "image", axis=-5))), CorruptFile),
    "a bias for other filters": (
        lambda: classifier(after(node("Conv", "image", "w", "b")), [weight("w", 2, 3, 1, 1), weight("b", 5)]),
        CorruptFile,
    ),
    "a stride past counting": (
        lambda: classifier(after(node("MaxPool", "image", kernel_shape=[2, 2], strides=[2**63 - 1, 1]))),
        CorruptFile,
    ),
    "a mask that fits nothing": (
        lambda: classifier(
            after(node("Where", "m", "c", "image")),
            [numpy_helper.from_array(np.ones(5, bool), "m"), weight("c", 1)],
        ),
        CorruptFile,
    ),
    "ConstantOfShape": (lambda: classifier(after(node("ConstantOfShape", "shape")), [HUGE_SHAPE]), FileTooLarge),
    "Expand": (
        lambda: classifier(after(node("Expand", "w", "shape")), [weight("w", 1), HUGE_SHAPE]),
        FileTooLarge,
    ),
    "Expand of the image": (
        lambda: classifier(after(node("Expand", "image", "s")), [integers("s", BIG, 1, 3, 4, 4)]),
        FileTooLarge,
    ),
    "Tile": (lambda: classifier(after(node("Tile", "image", "s")), [integers("s", 1, BIG, 1, 1)]), FileTooLarge),
    "Tile of a weight": (
        lambda: classifier(after(node("Tile", "w", "s")), [weight("w", 1), integers("s", BIG)]),
        FileTooLarge,
    ),
    "Pad": (
        lambda: classifier(after(node("Pad", "image", "s")), [integers("s", 0, 0, BIG, BIG, 0, 0, BIG, BIG)]),
        FileTooLarge,
    ),
    "Pad within each bound": (
        lambda: classifier(after(node("Pad", "image", "s")), [integers("s", 0, 0, 2**27, 2**27, 0, 0, 0, 0)]),
        FileTooLarge,
    ),
    "Resize": (
        lambda: classifier(after(node("Resize", "image", "", "", "s")), [integers("s", 1, 3, 2**20, 2**20)]),
        FileTooLarge,
    ),
    "Resize past any image": (
        lambda: classifier(after(node("Resize", "image", "", "", "s")), [integers("s", 1, 3, BIG, BIG)]),
        OnnxUnsupportedFeature,
    ),
    "a convolution with endless padding": (
        lambda: classifier(after(node("Conv", "image", "w", pads=[BIG] * 4)), [weight("w", 1, 3, 1, 1)]),
        FileTooLarge,
    ),
    "a matrix product of weights": (
        lambda: classifier(after(node("MatMul", "w", "v")), [weight("w", 2**15, 1), weight("v", 1, 2**15)]),
        FileTooLarge,
    ),
    "a kernel of another width": (
        lambda: classifier(after(node("Conv", "image", "w")), [weight("w", 8, 5, 3, 3)]),
        CorruptFile,
    ),
    "division by zero": (
        lambda: classifier(after(node("Div", "a", "b")), [integers("a", 1), integers("b", 0)]),
        CorruptFile,
    ),
    "an attribute nobody reads": (
        lambda: classifier([helper.make_node("Flatten", ["image"], ["logits"], secret=1)]),
        OnnxUnsupportedFeature,
    ),
    "axes to reduce that do not exist": (
        lambda: classifier(after(node("ReduceMean", "image", axes=[7]))),
        CorruptFile,
    ),
    "axes to reduce from before the first": (
        lambda: classifier(after(node("ReduceMean", "image", axes=[-9]))),
        CorruptFile,
    ),
    "an axis to reduce twice": (
        lambda: classifier(after(node("ReduceMax", "image", axes=[2, -2]))),
        CorruptFile,
    ),
    "the mean of integers": (
        lambda: classifier(after(node("ReduceMean", "w"), node("Flatten", "x", output="y")), [integers("w", 1, 2)]),
        OnnxUnsupportedFeature,
    ),
    "the negative of a boolean": (
        lambda: classifier(
            after(node("Cast", "w", output="b", to=TensorProto.BOOL), node("Neg", "b")), [integers("w", 1)]
        ),
        OnnxUnsupportedFeature,
    ),
    "a kernel of integers": (
        lambda: classifier(
            after(node("Conv", "image", "w")), [numpy_helper.from_array(np.ones((8, 3, 1, 1), np.int64), "w")]
        ),
        OnnxUnsupportedFeature,
    ),
    "integers as factors": (
        lambda: classifier(after(node("Mul", "image", "w")), [integers("w", 1, 2, 3, 4)]),
        OnnxUnsupportedFeature,
    ),
    "integers among activations": (
        lambda: classifier(
            after(node("Concat", "image", "w", axis=0)),
            [numpy_helper.from_array(np.ones((1, 3, 4, 4), np.int8), "w")],
        ),
        OnnxUnsupportedFeature,
    ),
    "a choice for every image": (
        lambda: classifier(
            after(
                node("Shape", "image", output="s"),
                node("ConstantOfShape", "s", output="i", value=integers("", 0)),
                node("Gather", "image", "i", axis=1),
            )
        ),
        OnnxUnsupportedFeature,
    ),
    "a power for every image": (
        lambda: classifier(
            after(
                node("Shape", "image", output="s"),
                node("ConstantOfShape", "s", output="z"),
                node("Pow", "z", "z"),
            )
        ),
        OnnxUnsupportedFeature,
    ),
    "the batch size as a number": (
        lambda: classifier(
            after(node("Shape", "image", output="s"), node("Cast", "s", output="f", to=1), node("Add", "image", "f"))
        ),
        OnnxUnsupportedFeature,
    ),
}


def refusing(model: ModelProto, error: type[MicronetError], directory: Path, most: int) -> MicronetError:
    """What reading the file raises: this very kind, with less than `most` bytes of Python's memory at any time."""
    tracemalloc.start()
    with pytest.raises(MicronetError) as raised:
        read(model, directory)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert type(raised.value) is error, raised.value
    assert peak < most
    return raised.value


NAN, INFINITY = float("nan"), float("inf")
PIXELS = [node("Reshape", "image", "row", output="pixels")]


def number(value: float, name: str = "c") -> NodeProto:
    """A constant that is no initializer, of which none may be infinite."""
    return node("Constant", output=name, value_float=value)


CASES |= {
    "Resize of a number": (
        lambda: classifier(after(number(1.0), node("Resize", "c", "", "", "s", axes=[0])), [integers("s", 3)]),
        CorruptFile,
    ),
    "Resize along an axis twice": (
        lambda: classifier(after(node("Resize", "image", "", "", "s", axes=[2, -2])), [integers("s", 3, 3)]),
        CorruptFile,
    ),
    "group norm without channels": (
        lambda: classifier(
            after(*PIXELS, node("GroupNormalization", "pixels", "w", "w", num_groups=1)),
            [weight("w", 1), integers("row", -1)],
        ),
        CorruptFile,
    ),
    "instance norm without channels": (
        lambda: classifier(
            after(*PIXELS, node("InstanceNormalization", "pixels", "w", "w")), [weight("w", 1), integers("row", -1)]
        ),
        CorruptFile,
    ),
    "layer norm over axes that do not exist": (
        lambda: classifier(after(node("LayerNormalization", "image", "w", axis=-9)), [weight("w", 1)]),
        CorruptFile,
    ),
    "softmax over an axis that does not exist": (
        lambda: at_opset(11, classifier(after(node("Softmax", "image", axis=99)))),
        CorruptFile,
    ),
    "NaN as the end of a clip": (lambda: classifier(after(number(NAN), node("Clip", "image", "c"))), CorruptFile),
    "NaN as the end of integers": (
        lambda: classifier(after(number(NAN), node("Clip", "w", "c")), [integers("w", 1)]),
        CorruptFile,
    ),
    "a half as the end of integers": (
        lambda: classifier(after(number(0.5), node("Clip", "w", "c")), [integers("w", 1)]),
        CorruptFile,
    ),
    "NaN as a slope": (lambda: classifier(after(node("LeakyRelu", "image", alpha=NAN))), CorruptFile),
    "attention of no depth": (
        lambda: classifier(after(node("Attention", "q", "q", "q")), [weight("q", 1, 1, 2, 0)]),
        CorruptFile,
    ),
    "steps of infinity": (
        lambda: classifier(
            after(
                number(INFINITY),
                node("QuantizeLinear", "image", "c", output="q"),
                node("DequantizeLinear", "q", "c"),
            )
        ),
        CorruptFile,
    ),
}
