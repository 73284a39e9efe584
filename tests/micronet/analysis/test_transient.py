"""Maximum transient activation size, by hand. Images have 4x6x6 = 144 values: 576 bytes at 32 bits."""

import pytest
import torch
from torch import nn

from micronet.analysis.counts import count
from micronet.graph.ir import Graph, Node, Ref
from tests.micronet.analysis.graphs import X, aten, captured, graph, node, quantizer
from tests.micronet.analysis.naive_counter import Branches, Residual

IMAGE = 144 * 4


def mtas(of: Graph | nn.Module) -> int:
    return count(of if isinstance(of, Graph) else captured(of, (4, 6, 6))).mtas_bytes


def relu(name: str, source: str) -> Node:
    return node(name, aten.relu.default, Ref(source))


def test_a_chain_keeps_two_values_at_a_time() -> None:
    """4 channels in, 8, then 2: the widest step holds 4 + 8 channels of 36 values, then 8 + 2."""
    wide = nn.Sequential(nn.Conv2d(4, 8, 1), nn.Conv2d(8, 2, 1), nn.Conv2d(2, 1, 1))
    assert mtas(wide) == (4 + 8) * 36 * 4
    late = nn.Sequential(nn.Conv2d(4, 1, 1), nn.Conv2d(1, 9, 1), nn.Conv2d(9, 2, 1))
    assert mtas(late) == (9 + 2) * 36 * 4


def test_a_residual_block_keeps_its_input_to_the_end() -> None:
    """In the middle: input 4, first 8, second 8 channels."""
    block = Residual(nn.Conv2d(4, 8, 1), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 4, 1))
    assert mtas(block) == (4 + 8 + 8) * 36 * 4


def test_branches_wait_for_their_concatenation() -> None:
    """When joined: 3 + 5 channels and the 8 of both; before, with the input: 4 + 3 + 5."""
    assert mtas(Branches([nn.Conv2d(4, 3, 1), nn.Conv2d(4, 5, 1)])) == (3 + 5 + 8) * 36 * 4


def test_moving_takes_no_room_and_growing_does() -> None:
    flat = nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Dropout())
    assert mtas(flat) == 2 * IMAGE
    size = node("n", aten.sym_size.int, Ref("a"), 0)
    view = node("y", aten.view.default, Ref("a"), (Ref("n"), -1))
    assert mtas(graph(relu("a", "x"), size, view)) == 2 * IMAGE
    assert mtas(nn.Upsample(scale_factor=2)) == IMAGE + 4 * IMAGE
    assert mtas(graph(node("y", aten.repeat.default, X, (1, 3, 1, 1)))) == IMAGE + 3 * IMAGE
    assert (
        mtas(graph(node("y", aten.cat.default, (X, Ref("w")), 1), weights={"w": torch.ones(1, 4, 6, 6)})) == 3 * IMAGE
    )


def test_joining_a_part_with_a_constant_makes_something_new() -> None:
    """Half of the image and as much of a constant are as large as the image, and are not in its place."""
    half = node("half", aten.slice.Tensor, X, 1, 0, 2)
    joined = node("y", aten.cat.default, (Ref("half"), Ref("w")), 1)
    assert mtas(graph(half, joined, weights={"w": torch.ones(1, 2, 6, 6)})) == 2 * IMAGE


def test_a_size_keeps_nothing_alive() -> None:
    """The size is read early and used late; the image is gone by then."""
    steps = [node("n", aten.sym_size.int, X, 0), node("a", aten.mean.dim, X, (2, 3), True), relu("b", "a")]
    late = node("y", aten.view.default, Ref("c"), (Ref("n"), -1))
    big = node("c", aten.upsample_nearest2d.default, Ref("b"), (12, 12))
    assert mtas(graph(*steps, big, late)) == max(IMAGE + 16, 16 + 4 * 144 * 4)


def test_a_size_read_late_keeps_nothing_alive_either() -> None:
    steps = [node("a", aten.mean.dim, X, (2, 3), True), node("c", aten.upsample_nearest2d.default, Ref("a"), (12, 12))]
    size = node("n", aten.sym_size.int, X, 0)
    late = node("y", aten.view.default, Ref("c"), (Ref("n"), -1))
    assert mtas(graph(*steps, size, late)) == 16 + 4 * 144 * 4


def test_quantized_values_are_kept_as_narrow_as_they_are() -> None:
    """Input of 4 bits, result of 8: 144 * (4 + 8) bits."""
    steps = [quantizer("q", "x", 4), relu("a", "q"), node("b", aten.add.Tensor, Ref("a"), 1.0), quantizer("y", "b", 8)]
    # the sum is not quantized when it is made, and is stored as its quantizer leaves it
    assert mtas(graph(*steps)) == 144 * (4 + 8) // 8
    assert mtas(graph(quantizer("q", "x", 4), relu("y", "q"))) == 144 * (4 + 4) // 8
    assert mtas(graph(quantizer("q", "x", 3), relu("y", "q"), shape=(1, 1, 1))) == 1  # 6 bits


@pytest.mark.parametrize("moved", [False, True])
def test_what_others_read_wide_stays_wide(moved: bool) -> None:
    """The sum is read at 4 bits by one and at 32 by another: both are kept."""
    steps = [node("a", aten.add.Tensor, X, 1.0)]
    if moved:
        steps.append(node("m", aten.view.default, Ref("a"), (-1, 4, 6, 6)))
    steps += [quantizer("q", steps[-1].name, 4), relu("b", "q"), node("y", aten.add.Tensor, Ref("a"), Ref("b"))]
    # at the relu: the wide sum, its narrow copy, and the result of 4 bits; at the end two wide and a narrow one
    assert mtas(graph(*steps)) == 144 * (32 + 32 + 4) // 8


def test_a_quantizer_of_a_part_does_not_narrow_the_whole() -> None:
    steps = [node("half", aten.slice.Tensor, X, 1, 0, 2), quantizer("q", "half", 4)]
    assert mtas(graph(*steps, relu("y", "q"))) == max(144 * 32 + 72 * 4, 72 * 4 + 72 * 4) // 8


def test_a_view_then_a_quantizer_is_stored_narrow() -> None:
    steps = [node("v", aten.view.default, X, (-1, 144)), quantizer("q", "v", 4)]
    assert mtas(graph(*steps, relu("y", "q"))) == 144 * (4 + 4) // 8


def test_parts_of_a_split_lie_in_what_was_split() -> None:
    """The input whole until both halves are read; the first half plus one; the second; and their joint result last."""
    assert mtas(captured(lambda x: torch.cat([part + 1 for part in x.split(2, 1)], 1), (4, 6, 6))) == 2 * IMAGE


def test_a_pool_that_also_gives_indices_keeps_its_values() -> None:
    assert mtas(nn.AdaptiveMaxPool2d(3)) == IMAGE + 4 * 9 * 4
