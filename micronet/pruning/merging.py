"""Rotations multiplied into their core, wherever the layers apart cost more than one."""

from collections.abc import Iterator, Mapping

import torch

from micronet.analysis.shapes import Shapes, shapes
from micronet.graph.ir import Graph
from micronet.pruning.blocks import Block, find_blocks
from micronet.pruning.costs import cost, is_padded, price
from micronet.pruning.pieces import Affine, Pieces, pieces_of, with_pieces
from micronet.transformation.linear_layers import Cost


def merge(graph: Graph, most: Mapping[str, Cost]) -> Graph:
    """The same function to rounding, every block in its cheapest form; of equally cheap ones in that of fewest layers.

    Cost is non-zeros plus multiplications. A rotation out goes into any core: R (W * x + b) + c is the core R W with
    the bias R b + c. A rotation in, W * (R x + r), goes into a 1x1 or linear core and, where r is zero, into any: the
    zeros of the padding are R 0. With r, a padded core would add W r only where its taps lie inside the image. `most`:
    what each block may cost, by its name: nothing of it is more, as long as there is such a form.
    """
    blocks, _ = find_blocks(graph)
    known, changes = shapes(graph), {}
    for block in blocks:
        pieces = pieces_of(graph, block)
        best = cheapest(block, pieces, known, most[block.name])
        if best.form != pieces.form:
            changes[block.name] = best
    return with_pieces(graph, changes, blocks)


def cheapest(block: Block, pieces: Pieces, known: Shapes, most: Cost) -> Pieces:
    """The form of a block that costs least, of those of which nothing costs more than `most`, where there are any."""
    costs = [(form, cost(block, form, known)) for form in forms(block, pieces)]
    allowed = [one for one in costs if one[1].is_at_most(most)]
    return min(allowed or costs, key=lambda one: (price(one[1]), len(one[0].form)))[0]


def prices(graph: Graph) -> dict[str, Cost]:
    """What each block costs as it is, by its name."""
    known = shapes(graph)
    return {block.name: cost(block, pieces_of(graph, block), known) for block in find_blocks(graph)[0]}


def forms(block: Block, pieces: Pieces) -> Iterator[Pieces]:
    """Every form that is exactly the same function."""
    yield pieces
    if pieces.rotation_out is not None:
        yield _out_merged(pieces)
    if pieces.rotation_in is not None and (pieces.rotation_in.bias is None or not is_padded(block)):
        merged = _in_merged(pieces)
        yield merged
        if merged.rotation_out is not None:
            yield _out_merged(merged)


def _out_merged(pieces: Pieces) -> Pieces:
    core, after = pieces.core, pieces.rotation_out
    assert after is not None
    bias = after.bias
    if core.bias is not None:
        moved = after.weight @ core.bias
        bias = moved if bias is None else bias + moved
    return Pieces(Affine(torch.einsum("oi...,po->pi...", core.weight, after.weight), bias), pieces.rotation_in)


def _in_merged(pieces: Pieces) -> Pieces:
    core, before = pieces.core, pieces.rotation_in
    assert before is not None
    bias = core.bias
    if before.bias is not None:
        moved = core.weight.flatten(2).sum(2) @ before.bias if core.weight.dim() > 2 else core.weight @ before.bias
        bias = moved if bias is None else bias + moved
    weight = torch.einsum("oi...,ij->oj...", core.weight, before.weight)
    return Pieces(Affine(weight, bias), None, pieces.rotation_out)
