"""Channels that a file puts in another order count, however its indices lie; windows of an image are free."""

import pytest
from onnx import NodeProto

from micronet.analysis.counts import count
from micronet.onnx_reader import import_graph
from micronet.transformation.prepare import prepare
from tests.micronet.onnx_reader.files import model, node, of

PLACES = 6 * 6 * 4


def multiplications(nodes: list[NodeProto], *indices: object, image: tuple[object, ...] = ("N", 6, 6, 4)) -> int:
    """Without those of the mean that makes the logits."""
    shape = [0, *image[1:]]
    weights = [*(of(f"i{place}", rows, int) for place, rows in enumerate(indices)), of("shape", shape, int)]
    layers = count(prepare(import_graph(model(nodes, weights, image)), fuse=True)).layers
    return sum(layer.operations.multiplications for layer in layers if layer.op != "mean")


@pytest.mark.parametrize("rows", [[[0, 2], [1, 3]], [[0], [2], [1], [3]], [0, 2, 1, 3]])
def test_a_shuffle_of_channels_that_are_last_counts(rows: list[object]) -> None:
    """In two axes its indices were windows, and free."""
    nodes = [node("Gather", "image", "i0", axis=3, output="picked"), node("Reshape", "picked", "shape")]
    assert multiplications(nodes, rows) == PLACES


def test_so_does_one_between_transposes_of_an_image() -> None:
    nodes = [
        node("Transpose", "image", perm=[0, 2, 3, 1], output="last"),
        node("Gather", "last", "i0", axis=3, output="picked"),
        node("Reshape", "picked", "i1", output="whole"),
        node("Transpose", "whole", perm=[0, 3, 1, 2]),
    ]
    assert multiplications(nodes, [[0, 2], [1, 3]], [0, 6, 6, 4], image=("N", 4, 6, 6)) == PLACES


def test_so_does_one_within_groups_on_a_fifth_axis() -> None:
    nodes = [
        node("Reshape", "image", "i1", output="groups"),
        node("Gather", "groups", "i0", axis=4, output="picked"),
        node("Reshape", "picked", "shape"),
    ]
    shuffled = multiplications(nodes, [[0, 2], [1, 3]], [0, 6, 6, 2, 4], image=("N", 6, 6, 8))
    assert shuffled == 6 * 6 * 8


@pytest.mark.parametrize("rows", [[[0], [2], [1], [3]], [[0, 2], [1, 3]]])
def test_so_does_one_behind_rows_that_were_taken_apart_into_one(rows: list[object]) -> None:
    nodes = [
        node("Gather", "image", "i0", axis=2, output="rows"),
        node("Gather", "rows", "i1", axis=4, output="picked"),
        node("Reshape", "picked", "shape"),
    ]
    assert multiplications(nodes, [list(range(6))], rows) == PLACES


def test_so_does_one_on_a_third_axis() -> None:
    nodes = [
        node("Transpose", "image", perm=[0, 2, 1, 3], output="between"),
        node("Gather", "between", "i0", axis=2, output="picked"),
        node("Reshape", "picked", "i1", output="whole"),
        node("Transpose", "whole", perm=[0, 2, 1, 3]),
    ]
    assert multiplications(nodes, [[0], [2], [1], [3]], [0, 6, 4, 6], image=("N", 4, 6, 6)) == PLACES


@pytest.mark.parametrize("windows", [[[0, 2, 4], [1, 3, 5]], [[0, 1, 2], [1, 2, 3], [2, 3, 4]], [[0, 3], [1, 4]]])
def test_windows_along_rows_and_then_columns_are_free(windows: list[list[int]]) -> None:
    nodes = [
        node("Gather", "image", "i0", axis=2, output="rows"),
        node("Gather", "rows", "i0", axis=4, output="windows"),
        node("Reshape", "windows", "i1"),
    ]
    high, wide = len(windows), len(windows[0])
    assert multiplications(nodes, windows, [0, 4 * high * high, wide, wide], image=("N", 4, 6, 6)) == 0
