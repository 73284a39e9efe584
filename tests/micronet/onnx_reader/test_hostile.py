"""Files made to do harm, or merely wrong: each ends in its own named error, before memory is spent."""

import contextlib
import tempfile
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from micronet.errors import (
    CheckpointError,
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
from micronet.onnx_reader import import_graph, importing, load_model, loading, wire
from micronet.onnx_reader.call import Call
from micronet.onnx_reader.checking import MAX_NAME
from micronet.onnx_reader.values import Value

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


@pytest.mark.parametrize("name", CASES)
def test_ends_in_its_own_error(name: str, tmp_path: Path) -> None:
    make, error = CASES[name]
    model = make()
    read(classifier(), tmp_path)  # what torch loads on first use is not this file's doing
    refusing(model, error, tmp_path, 64 << 20)


def test_the_harmless_file_is_read(tmp_path: Path) -> None:
    read(classifier(), tmp_path)


def test_a_foreign_domain_may_be_named_and_not_used(tmp_path: Path) -> None:
    model = classifier()
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    read(model, tmp_path)


def test_the_error_names_operation_and_node(tmp_path: Path) -> None:
    model = classifier(after(node("Einsum", "image", equation="a->a", name="attention/scores")))
    with pytest.raises(OnnxUnsupportedOperation, match=r"Einsum node 'attention/scores'"):
        read(model, tmp_path)


@pytest.mark.parametrize("error", [ZeroDivisionError, OverflowError, IndexError, ValueError])
def test_what_no_importer_was_prepared_for_names_the_node(
    error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def importer(call: Call) -> Value:
        raise error("\x1b" * 1000)

    monkeypatch.setattr(importing, "IMPORTERS", {**importing.IMPORTERS, "Relu": importer})
    with pytest.raises(OnnxUnsupportedFeature, match=r"Relu node 'last' cannot be read") as raised:
        read(classifier(after(node("Relu", "image", name="last"))), tmp_path)
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 200


def test_files_over_the_bound_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "MAX_BYTES", 10)
    with pytest.raises(FileTooLarge):
        read(classifier(), tmp_path)


def test_many_empty_messages_are_counted_before_parsing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_FIELDS", 1000)
    model = classifier([NodeProto() for _ in range(1001)])
    with pytest.raises(FileTooLarge, match="fields"):
        read(model, tmp_path)


def with_packed(field: int, numbers: bytes) -> bytes:
    """A file with a node whose attribute has `numbers` in a field of AttributeProto, one behind the other."""

    def message(number: int, content: bytes) -> bytes:
        length, head = len(content), []
        while length > 127:
            head.append(length & 127 | 128)
            length >>= 7
        return bytes([number << 3 | 2, *head, length]) + content

    attribute = message(1, b"axes") + b"\xa0\x01" + bytes([AttributeProto.INTS]) + message(field, numbers)
    inside = message(1, message(5, attribute) + message(4, b"ReduceMean"))
    return classifier().SerializeToString() + message(7, inside)


@pytest.mark.parametrize("field", [7, 8])
def test_numbers_that_are_packed_are_counted_before_parsing(
    field: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "MAX_FIELDS", 1000)
    path = tmp_path / "model.onnx"
    path.write_bytes(with_packed(field, bytes(1000)))
    with pytest.raises(FileTooLarge, match="fields"):
        load_model(path)


LONG = "n" * (MAX_NAME + 1)


NAMES: dict[str, Callable[[str], ModelProto]] = {
    "node": lambda name: classifier([node("Flatten", "image", output="logits", name=name)]),
    "operation": lambda name: classifier([node(name, "image", output="logits")]),
    "domain": lambda name: classifier([node("Flatten", "image", output="logits", domain=name)]),
    "attribute": lambda name: classifier([node("Flatten", "image", output="logits", **{name: 1})]),
    "value": lambda name: classifier(
        [node("Relu", "image", output=name), node("Flatten", name, output="logits")],
    ),
    "operand": lambda name: classifier([node("Flatten", name, output="logits")]),
    "weight": lambda name: classifier(weights=[weight(name, 1)]),
    "image": lambda name: classifier([node("Flatten", name, output="logits")], inputs=[(name, *IMAGE[1:])]),
    "logits": lambda name: classifier([node("Flatten", "image", output=name)], outputs=[(name, *LOGITS[1:])]),
}


@pytest.mark.parametrize("name", NAMES)
def test_endless_names_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(FileTooLarge, match="1,025 characters") as raised:
        read(NAMES[name](LONG), tmp_path)
    assert len(str(raised.value)) < 300


HARMFUL = "\x1b[2J\n<b>\N{RIGHT-TO-LEFT OVERRIDE}" * 50


@pytest.mark.parametrize("name", NAMES)
def test_errors_repeat_a_name_cut_and_escaped(name: str, tmp_path: Path) -> None:
    model = NAMES[name](HARMFUL)
    model.graph.node[-1].attribute.append(helper.make_attribute("nobody reads this", 1))
    with pytest.raises(CheckpointError) as raised:
        read(model, tmp_path)
    message = str(raised.value)
    assert message.isprintable()
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in message
    assert len(message) < 500


@pytest.mark.parametrize(
    "data", [b"", b"PK\x03\x04" + bytes(30), b"\x80\x04}q\x00.", b"\x3a\xff\xff\xff\xff\x0f", b"\x3a"]
)
def test_what_is_no_model_is_corrupt(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    with pytest.raises(CheckpointError):
        load_model(path)


WHOLE = classifier(after(node("Conv", "image", "w", name="conv")), [weight("w", 3, 3, 1, 1)]).SerializeToString()


@settings(max_examples=200, deadline=None)
@given(place=st.integers(0, len(WHOLE) - 1), byte=st.integers(0, 255), cut=st.booleans())
def test_a_damaged_byte_ends_in_a_named_error_or_in_a_graph(place: int, byte: int, cut: bool) -> None:
    damaged = WHOLE[:place] + (b"" if cut else bytes([byte]) + WHOLE[place + 1 :])
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(CheckpointError):
        path = Path(folder) / "model.onnx"
        path.write_bytes(damaged)
        import_graph(load_model(path))
