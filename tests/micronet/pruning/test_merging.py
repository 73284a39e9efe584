"""Every form of a block is the same function, and the cheapest is by hand arithmetic."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from micronet.analysis.counts import count
from micronet.analysis.shapes import shapes
from micronet.graph.capture import capture
from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph
from micronet.pruning.blocks import Block, find_blocks
from micronet.pruning.costs import Savings, Sizes, cost
from micronet.pruning.eigenbasis import Kept, restricted
from micronet.pruning.merging import cheapest, forms, merge, prices
from micronet.pruning.pieces import Affine, Pieces, pieces_of, with_pieces
from micronet.transformation.linear_layers import Cost
from tests.micronet.pruning.test_eigenbasis import some_basis

LAYERS = {
    "pointwise": lambda: nn.Conv2d(6, 8, 1),
    "strided pointwise": lambda: nn.Conv2d(6, 8, 1, stride=2, bias=False),
    "padded": lambda: nn.Conv2d(6, 8, 3, padding=1),
    "strided, dilated, padded": lambda: nn.Conv2d(6, 8, 3, stride=2, padding=2, dilation=2, bias=False),
    "without padding": lambda: nn.Conv2d(6, 8, (3, 2)),
    "linear": lambda: nn.Sequential(nn.Flatten(1), nn.Linear(150, 8)),
}

ANYTHING = Cost(10**9, 10**9, 10**9, 10**9)


def network(kind: str) -> Graph:
    torch.manual_seed(0)
    module = nn.Sequential(LAYERS[kind](), nn.Flatten()).eval()
    with torch.no_grad():
        return capture(module, (6, 5, 5))


def ranks(block: Block, graph: Graph, inner: int, outer: int, bias_in: bool = False) -> Pieces:
    """Random pieces of the block's outer shape with a core of `inner` inputs and `outer` outputs."""
    generator = torch.Generator().manual_seed(1)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64) / shape[-1]

    outputs, inputs, *kernel = pieces_of(graph, block).core.weight.shape
    return Pieces(
        Affine(random(outer, inner, *kernel), random(outer)),
        Affine(random(inner, inputs), random(inner) if bias_in else None),
        Affine(random(outputs, outer), random(outputs)),
    )


@pytest.mark.parametrize("bias_in", [False, True])
@pytest.mark.parametrize("kind", LAYERS)
def test_all_forms_compute_the_same(kind: str, bias_in: bool) -> None:
    graph = network(kind)
    (blocks, _), images = find_blocks(graph), torch.randn(2, 6, 5, 5)
    (block,) = blocks
    pieces = ranks(block, graph, 4, 5, bias_in)
    apart = with_pieces(graph, {block.name: pieces}, blocks)
    expected = interpret(apart, images)
    found = {form.form: form for form in forms(find_blocks(apart)[0][0], pieces)}
    padded = bias_in and "padded" in kind
    assert len(found) == (2 if padded else 4)
    for form in found.values():
        again = with_pieces(apart, {block.name: form}, find_blocks(apart)[0])
        torch.testing.assert_close(interpret(again, images), expected, rtol=1e-4, atol=1e-5)
        (same,), _ = find_blocks(again)
        assert pieces_of(again, same).form == form.form
        assert same.name == block.name


def counted(graph: Graph) -> Cost:
    """Of all layers that have parameters, as counting finds it."""
    found = Cost(0, 0, 0, 0)
    for layer in count(graph).layers:
        if layer.parameters:
            elements, nonzero = (sum(getattr(p, of) for p in layer.parameters) for of in ("elements", "nonzero"))
            operations = layer.operations
            found += Cost(elements, nonzero, operations.all_multiplications, operations.all_additions)
    return found


@pytest.mark.parametrize("kind", LAYERS)
def test_costs_are_those_that_counting_finds(kind: str) -> None:
    graph = network(kind)
    blocks, _ = find_blocks(graph)
    pieces = ranks(blocks[0], graph, 4, 5)
    pieces.core.weight[:, 0] = 0  # neither stored as non-zeros nor multiplied by
    apart = with_pieces(graph, {blocks[0].name: pieces}, blocks)
    (block,), _ = find_blocks(apart)
    assert cost(block, pieces_of(apart, block), shapes(apart)) == counted(apart) == prices(apart)[block.name]
    assert prices(apart)[block.name].nonzero < prices(apart)[block.name].elements


@pytest.mark.parametrize("bias_in", [False, True])
@pytest.mark.parametrize("fewer", [(0, 0), (1, 0), (0, 2), (3, 4)])
@pytest.mark.parametrize("kind", LAYERS)
def test_sizes_alone_say_what_every_form_costs(kind: str, fewer: tuple[int, int], bias_in: bool) -> None:
    """Of a block as it came, and of one with rotations."""
    graph = network(kind)
    (block,), known = find_blocks(graph)[0], shapes(graph)
    for pieces in (pieces_of(graph, block), ranks(block, graph, 4, 5, bias_in)):
        outputs, inputs = pieces.core.weight.shape[:2]
        left = [
            None if less == 0 else torch.arange(less, size) for less, size in zip(fewer, (inputs, outputs), strict=True)
        ]
        smaller = restricted(pieces, some_basis(pieces), Kept(*left))
        expected = {form.form: cost(block, form, known) for form in forms(block, smaller)}
        assert dict(Sizes.of(block, pieces, known).forms(*fewer)) == expected


def test_what_pays_by_hand() -> None:
    """6 -> 8 channels, 3x3 taps, 5x5 pixels, a bias: 432 weights, multiplied 25 times each.

    With 5 inputs 5 * 6 + 5 * 72 = 390 weights: 42 less, stored once and multiplied 25 times. With 7 outputs 7 * 54 +
    8 * 7 = 434, with 6 of them 372. With 5 inputs and 7 outputs 30 + 315 + 56 = 401 apart, more than 390.
    """
    graph = network("padded")
    (block,), known = find_blocks(graph)[0], shapes(graph)
    sizes, most = Sizes.of(block, pieces_of(graph, block), known), prices(graph)[block.name]
    assert (most.elements, most.multiplications) == (432 + 8, 25 * 432)
    savings = Savings(sizes, most)
    assert savings.saved(0, 0) == 0
    assert savings.saved(1, 0) == 42 * 26
    assert savings.saved(0, 1) == 0
    assert savings.saved(0, 2) == 60 * 26
    assert savings.saved(1, 1) == 0
    assert Savings(sizes, replace(most, nonzero=397)).saved(1, 0) == 0  # it came with 42 zeros
    assert Savings(sizes, replace(most, nonzero=398)).saved(1, 0) > 0


def test_what_pays_at_many_positions_may_not_at_few() -> None:
    """Of stride 2 on 5x5 pixels, padded by 2 for a dilation of 2, a rotation in computes 25 places, the core 9.

    432 weights, 9 times each: 3,888 multiplications. With 5 inputs 25 * 30 + 9 * 360 = 3,990, though the weights are 42
    fewer; with 4, 25 * 24 + 9 * 288 = 3,192.
    """
    graph = network("strided, dilated, padded")
    (block,), known = find_blocks(graph)[0], shapes(graph)
    sizes, most = Sizes.of(block, pieces_of(graph, block), known), prices(graph)[block.name]
    assert most.multiplications == 3888
    savings = Savings(sizes, most)
    assert savings.saved(1, 0) == 0
    assert savings.saved(2, 0) == (3888 - 3192) + (432 - 24 - 288)


@pytest.mark.parametrize("bias_in", [False, True])
@pytest.mark.parametrize("kind", LAYERS)
def test_what_many_save_is_what_each_number_of_them_does(kind: str, bias_in: bool) -> None:
    """Of a block as it came, and of one with rotations; with all that it cost, and less, as of one that was sparse."""
    graph = network(kind)
    (block,), known = find_blocks(graph)[0], shapes(graph)
    for pieces in (pieces_of(graph, block), ranks(block, graph, 4, 5, bias_in)):
        outputs, inputs = pieces.core.weight.shape[:2]
        dense = cost(block, pieces_of(graph, block), known)
        for most in (dense, replace(dense, nonzero=4 * dense.nonzero // 5)):
            savings = Savings(Sizes.of(block, pieces, known), most)
            for fewer in range(outputs):
                expected = [savings.saved(n, fewer) for n in range(inputs)]
                assert savings.along("inputs", fewer, inputs - 1).tolist() == expected
            for fewer in range(inputs):
                expected = [savings.saved(fewer, n) for n in range(outputs)]
                assert savings.along("outputs", fewer, outputs - 1).tolist() == expected


def test_a_side_may_pay_only_where_more_of_the_other_are_gone() -> None:
    """64 -> 64, 3x3, 8x8 pixels: 36,864 weights, 65 times each. With 7 inputs less 57 * 64 + 57 * 576 = 36,480.

    Nine outputs less, alone: 55 * 576 + 64 * 55 = 35,200. With both 57 * 64 + 55 * 57 * 9 + 64 * 55 = 35,383, so that
    the inputs would go for nothing; with eight of them 56 * 64 + 55 * 56 * 9 + 64 * 55 = 34,824.
    """
    sizes = Sizes(64, 64, 9, 64, 64, 64, 64, False, False, frozenset(), True)
    (most,) = (cost for _, cost in sizes.forms(0, 0))
    savings = Savings(sizes, most)
    assert savings.saved(7, 0) == (36_864 - 36_480) * 65
    assert savings.saved(0, 9) == (36_864 - 35_200) * 65
    assert (savings.saved(7, 9), savings.saved(8, 9)) == (0, (36_864 - 34_824) * 65)


@pytest.mark.parametrize(
    ("inner", "outer", "form"),
    [
        # 6 -> 8 channels, 3x3 taps, 5x5 pixels: each weight counts 1 + 25 times, whatever the form; a bias once
        (6, 8, ("core",)),  # 36 + 432 + 64 weights apart, 432 as one
        (1, 8, ("rotation_in", "core")),  # 6 + 72 with the rotation in apart, 432 as one
        (6, 1, ("core", "rotation_out")),  # 54 + 8
        (
            2,
            2,
            ("rotation_in", "core", "rotation_out"),
        ),  # 12 + 36 + 16 = 64; in and core 12 + 144, core and out 108 + 16
    ],
)
def test_the_cheapest_form_by_hand(inner: int, outer: int, form: tuple[str, ...]) -> None:
    graph = network("padded")
    (block,), _ = find_blocks(graph)
    apart = with_pieces(graph, {block.name: ranks(block, graph, inner, outer)}, (block,))
    (again,), _ = find_blocks(apart)
    assert cheapest(again, pieces_of(apart, again), shapes(apart), ANYTHING).form == form
    merged = merge(apart, {block.name: ANYTHING})
    assert pieces_of(merged, find_blocks(merged)[0][0]).form == form
    assert sum(bool(layer.parameters) for layer in count(merged).layers) == len(form)


def test_no_form_is_taken_that_costs_more_than_a_block_may() -> None:
    """Apart, 6 inputs around 5 of 6 -> 8: fewer weights than as one layer, but more multiplications."""
    graph = network("strided, dilated, padded")
    most = prices(graph)
    (block,), _ = find_blocks(graph)
    apart = with_pieces(graph, {block.name: replace(ranks(block, graph, 5, 8), rotation_out=None)}, (block,))
    merged = merge(apart, most)
    assert pieces_of(merged, find_blocks(merged)[0][0]).form == ("core",)
    assert not prices(apart)[block.name].is_at_most(most[block.name])


def test_merging_what_is_merged_changes_nothing() -> None:
    graph = network("padded")
    assert merge(graph, prices(graph)).nodes == graph.nodes
