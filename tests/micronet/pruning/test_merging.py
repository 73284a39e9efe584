"""Every form of a block is the same function, and the cheapest is by hand arithmetic."""

import pytest
import torch
from torch import Tensor, nn

from micronet.analysis.counts import count
from micronet.analysis.shapes import shapes
from micronet.graph.capture import capture
from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph
from micronet.pruning.blocks import Block, find_blocks
from micronet.pruning.merging import cheapest, cost, forms, merge
from micronet.pruning.pieces import Affine, Pieces, pieces_of, with_pieces

LAYERS = {
    "pointwise": lambda: nn.Conv2d(6, 8, 1),
    "strided pointwise": lambda: nn.Conv2d(6, 8, 1, stride=2, bias=False),
    "padded": lambda: nn.Conv2d(6, 8, 3, padding=1),
    "strided, dilated, padded": lambda: nn.Conv2d(6, 8, 3, stride=2, padding=2, dilation=2, bias=False),
    "without padding": lambda: nn.Conv2d(6, 8, (3, 2)),
    "linear": lambda: nn.Sequential(nn.Flatten(1), nn.Linear(150, 8)),
}


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


def test_costs_are_those_that_counting_finds() -> None:
    for kind in LAYERS:
        graph = network(kind)
        blocks, _ = find_blocks(graph)
        apart = with_pieces(graph, {blocks[0].name: ranks(blocks[0], graph, 4, 5)}, blocks)
        (block,), _ = find_blocks(apart)
        layers = [layer for layer in count(apart).layers if layer.parameters]
        counted = sum(sum(p.elements for p in layer.parameters) + layer.operations.multiplications for layer in layers)
        assert cost(block, pieces_of(apart, block), shapes(apart)) == counted


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
    assert cheapest(again, pieces_of(apart, again), shapes(apart)).form == form
    merged = merge(apart)
    assert pieces_of(merged, find_blocks(merged)[0][0]).form == form
    assert sum(bool(layer.parameters) for layer in count(merged).layers) == len(form)


def test_merging_what_is_merged_changes_nothing() -> None:
    graph = network("padded")
    assert merge(graph).nodes == graph.nodes
