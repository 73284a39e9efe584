"""Files made to do harm, or merely wrong: each ends in its own named error, before memory is spent."""

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import AttributeProto, ModelProto, NodeProto, helper

from micronet.errors import (
    CheckpointError,
    FileTooLarge,
    OnnxUnsupportedFeature,
    OnnxUnsupportedOperation,
)
from micronet.onnx_reader import import_graph, importing, load_model, loading, wire
from micronet.onnx_reader.call import Call
from micronet.onnx_reader.checking import MAX_NAME
from micronet.onnx_reader.values import Value
from tests.micronet.onnx_reader.hostile_files import (
    CASES,
    IMAGE,
    LOGITS,
    after,
    classifier,
    node,
    read,
    refusing,
    weight,
)


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
