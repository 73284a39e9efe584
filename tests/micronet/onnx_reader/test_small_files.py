"""Files of a few hundred bytes that ask for long lists and products: refused before any is made."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

from micronet.errors import CorruptFile, FileTooLarge, MicronetError, OnnxInterface, OnnxUnsupportedFeature
from micronet.onnx_reader import folding
from micronet.onnx_reader.indexing import MAX_INDICES
from micronet.onnx_reader.tensors import MAX_RANK
from tests.micronet.onnx_reader.hostile_files import after, classifier, declared, integers, node, read, refusing

LONG = 2**22
"""A list of so many Python integers takes over 128 MiB."""


VECTORS = {"zero": [0], "one": [1], "pair": [1, 1], "last": [-1], "least": [-(2**63)]}


def repeated(number: int, count: int, *nodes: NodeProto) -> Callable[[], ModelProto]:
    """A file with `number`, `count` times over, as `many`, which `nodes` read, and with VECTORS."""
    made = node("ConstantOfShape", "count", output="many", value=integers("", number))
    vectors = [integers(name, *entries) for name, entries in VECTORS.items()]
    return lambda: classifier(after(made, *nodes), [integers("count", count), *vectors])


def ends_of(length: int) -> ModelProto:
    """A choice of the first and last element of rows of `length`, by stored indices."""
    pads, ends = integers("pads", *[0] * 7, length - 4), integers("ends", 0, length - 1)
    gather = node("Gather", "padded", "ends", output="logits", axis=3)
    return classifier([node("Pad", "image", "pads", output="padded"), gather], [pads, ends])


def deep_zeros(rank: int) -> TensorProto:
    """One index 0, `i`, in a tensor of `rank` dimensions."""
    return numpy_helper.from_array(np.zeros((1,) * rank, np.int64), "i")


def split(parts: int) -> ModelProto:
    model = classifier(after(node("Split", "image", axis=1, num_outputs=parts)))
    model.opset_import[0].version = 18
    return model


def split_at(version: int, sizes: list[int]) -> ModelProto:
    model = classifier(after(node("Split", "image", split=sizes)))
    model.opset_import[0].version = version
    return model


def upsampled(scales: list[float]) -> ModelProto:
    model = classifier(after(node("Upsample", "image", scales=scales)))
    model.opset_import[0].version = 8
    return model


CASES: dict[str, tuple[Callable[[], ModelProto], type[MicronetError]]] = {
    "dims": (lambda: declared(*[2**40] * 1000), FileTooLarge),
    "dims of one": (lambda: declared(*[1] * (MAX_RANK + 1)), FileTooLarge),
    "dims beside none": (lambda: declared(0, *[2**28] * 3), CorruptFile),
    "Reshape": (repeated(2**62, 20_000, node("Reshape", "image", "many")), FileTooLarge),
    "Reshape to ones": (repeated(1, MAX_RANK + 1, node("Reshape", "one", "many")), FileTooLarge),
    "Expand": (repeated(1, MAX_RANK + 1, node("Expand", "image", "many")), FileTooLarge),
    "Unsqueeze": (
        lambda: classifier(after(node("Unsqueeze", "image", "axes")), [integers("axes", *range(MAX_RANK))]),
        FileTooLarge,
    ),
    "Squeeze": (repeated(0, LONG, node("Squeeze", "image", "many")), FileTooLarge),
    "Tile": (repeated(1, LONG, node("Tile", "image", "many")), FileTooLarge),
    "Transpose": (lambda: classifier(after(node("Transpose", "image", perm=[0] * 1000))), FileTooLarge),
    "axes of an attribute": (lambda: classifier(after(node("ReduceMean", "image", axes=[0] * 2**20))), FileTooLarge),
    "numbers of a constant": (
        lambda: classifier(after(node("Constant", value_ints=[1] * (MAX_INDICES + 1)))),
        FileTooLarge,
    ),
    "parts of Split by an attribute": (lambda: split_at(11, [1] * 100_000), FileTooLarge),
    "scales of Upsample": (lambda: upsampled([1.5] * 100_000), FileTooLarge),
    "a few scales of Upsample": (lambda: upsampled([1.5] * MAX_RANK), CorruptFile),
    "Slice": (repeated(0, LONG, node("Slice", "image", "many", "many")), FileTooLarge),
    "Pad": (repeated(0, LONG, node("Pad", "image", "many")), FileTooLarge),
    "ConstantOfShape": (repeated(1, LONG, node("ConstantOfShape", "many")), FileTooLarge),
    "ReduceSum": (repeated(1, LONG, node("ReduceSum", "image", "many")), FileTooLarge),
    "sizes of Resize": (repeated(1, LONG, node("Resize", "image", "", "", "many")), FileTooLarge),
    "scales of Resize": (
        repeated(1, LONG, node("Cast", "many", output="floats", to=1), node("Resize", "image", "", "floats")),
        FileTooLarge,
    ),
    "sizes of Split": (repeated(0, LONG, node("Split", "image", "many")), FileTooLarge),
    "parts of Split": (lambda: split(2**24), CorruptFile),
    "indices": (repeated(0, LONG, node("Gather", "image", "many", axis=2)), FileTooLarge),
    "one index into a long row": (repeated(0, LONG, node("Gather", "many", "zero")), OnnxInterface),
    "both ends of a long row": (lambda: ends_of(LONG), OnnxInterface),
    "a long row backwards": (
        repeated(0, LONG, node("Slice", "many", "last", "least", "zero", "last")),
        FileTooLarge,
    ),
    "a border on a long row": (
        repeated(0, LONG, node("Pad", "many", "pair", mode="edge")),
        OnnxUnsupportedFeature,
    ),
    "indices of many dimensions": (
        lambda: classifier(after(node("Gather", "image", "i", axis=1)), [deep_zeros(MAX_RANK - 2)]),
        FileTooLarge,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_nothing_long_is_made(name: str, tmp_path: Path) -> None:
    make, error = CASES[name]
    model = make()
    with contextlib.suppress(MicronetError):
        read(model, tmp_path)  # what torch loads on first use is not this file's doing
    assert len(str(refusing(model, error, tmp_path, 16 << 20))) < 1000


def test_all_vectors_of_indices_count_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "MAX_ELEMENTS", 1000)
    gathers = [node("Gather", "image", "many", output="a", axis=2), node("Gather", "a", "many", axis=3)]
    with pytest.raises(FileTooLarge, match="constants of over 1,000 elements"):
        read(repeated(0, 600, *gathers)(), tmp_path)


def test_relative_positions_among_24_by_24_patches_are_read(tmp_path: Path) -> None:
    positions = np.random.default_rng(0).integers(0, 48, 576 * 576)
    flat = node("Flatten", "image", output="flat")
    model = classifier([flat, node("Gather", "flat", "i", output="logits", axis=1)], [integers("i", *positions)])
    read(model, tmp_path)
    assert 3 * len(positions) < MAX_INDICES
