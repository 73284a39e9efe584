"""Rotations multiplied into their core, wherever the layers apart cost more than one."""

import math
from collections.abc import Iterator

import torch

from micronet.analysis.shapes import Shapes, shapes
from micronet.graph.ir import Graph, Ref
from micronet.pruning.blocks import Block, find_blocks
from micronet.pruning.pieces import Affine, Pieces, pieces_of, with_pieces


def merge(graph: Graph) -> Graph:
    """The same function to rounding, every block in its cheapest form; of equally cheap ones in that of fewest layers.

    Cost is parameters plus multiplications. A rotation out goes into any core: R (W * x + b) + c is the core R W with
    the bias R b + c. A rotation in, W * (R x + r), goes into a 1x1 or linear core and, where r is zero, into any: the
    zeros of the padding are R 0. With r, a padded core would add W r only where its taps lie inside the image.
    """
    blocks, _ = find_blocks(graph)
    known = shapes(graph)
    changes = {}
    for block in blocks:
        pieces = pieces_of(graph, block)
        best = cheapest(block, pieces, known)
        if best.form != pieces.form:
            changes[block.name] = best
    return with_pieces(graph, changes, blocks)


def cheapest(block: Block, pieces: Pieces, known: Shapes) -> Pieces:
    """The form of a block that costs least."""
    return min(forms(block, pieces), key=lambda form: (cost(block, form, known), len(form.form)))


def forms(block: Block, pieces: Pieces) -> Iterator[Pieces]:
    """Every form that is exactly the same function."""
    yield pieces
    if pieces.rotation_out is not None:
        yield _out_merged(pieces)
    if pieces.rotation_in is not None and (pieces.rotation_in.bias is None or not _is_padded(block)):
        merged = _in_merged(pieces)
        yield merged
        if merged.rotation_out is not None:
            yield _out_merged(merged)


def cost(block: Block, pieces: Pieces, known: Shapes) -> int:
    """Parameters and multiplications for one image."""
    before, after = (_positions(block, known[name]) for name in (_source(block), block.core.name))
    total = 0
    for name, part in pieces.parts():
        positions = before if name == "rotation_in" else after
        total += part.weight.numel() * (1 + positions) + (0 if part.bias is None else part.bias.numel())
    return total


def _positions(block: Block, shape: tuple[int, ...]) -> int:
    return math.prod(shape[2:] if block.is_convolution else shape[1:-1])


def _source(block: Block) -> str:
    source = block.nodes[0].args[0]
    assert isinstance(source, Ref)
    return source.name


def _is_padded(block: Block) -> bool:
    return block.is_convolution and block.padding != (0, 0)


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
