"""One round's cut: factors, saliencies, selection, and the graph without what was selected."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from micronet.analysis.shapes import shapes
from micronet.contract import Pruning
from micronet.evaluation.inputs import Inputs
from micronet.graph.ir import Graph
from micronet.progress import Advance, unheard
from micronet.pruning.annealing import Returning, grown, returning
from micronet.pruning.blocks import find_blocks, last_blocks
from micronet.pruning.costs import Savings, Sizes
from micronet.pruning.eigenbasis import Kept, eigenbasis, restricted, saliencies
from micronet.pruning.factors import factors, sampled
from micronet.pruning.pieces import pieces_of, with_pieces
from micronet.pruning.selection import SIDES, allowed, coming_back, indices, others, selected
from micronet.transformation.linear_layers import Cost


@dataclass(frozen=True, slots=True)
class Cut:
    """A graph with `removed` fewer directions, rotations apart, and what comes back to it before the next round.

    `asked` is how many might have gone, had they all saved something: what ratio and layer_limit allow.
    """

    graph: Graph
    asked: int
    removed: int
    back: Mapping[str, Returning]
    coming_back: int


def grow(graph: Graph, back: Mapping[str, Returning]) -> Graph:
    """`graph` with what comes back to its blocks, by their names."""
    blocks, _ = find_blocks(graph)
    changes = {b.name: grown(pieces_of(graph, b), back[b.name]) for b in blocks if b.name in back}
    assert len(changes) == len(back), "a block has lost its name"
    return with_pieces(graph, changes, blocks)


def cut(
    graph: Graph,
    how: Pruning,
    images: Inputs,
    device: torch.device,
    *,
    most: Mapping[str, Cost],
    seed: int,
    advance: Advance = unheard,
) -> Cut | None:
    """`graph` without some of its directions, by loss for what they save, or None where none saves anything.

    The factors are those of the network as it stands: of a block that was pruned before, those of its core. They are
    taken in batches of fine-tuning's size, which the device has to hold anyhow. `most` is what each block of the
    network cost as it came, and may cost in its cheapest form. A block that would not get cheaper is left alone, its
    zeros with it; a rotation leaves none, so sparsity comes after pruning. Raises NumericalError for a Fisher
    information that is zero everywhere, or no number.
    """
    blocks, _ = find_blocks(graph)
    if not blocks:
        return None
    count = min(how.factor_images, len(images))
    shown = replace(images, split=images.split.subset(count, seed))
    found = factors(graph, blocks, shown, device, sampled(count, seed), batch=how.fine_tuning.batch, advance=advance)
    bases = {name: eigenbasis(both) for name, both in found.items()}
    pieces = {block.name: pieces_of(graph, block) for block in blocks}
    worth = {name: saliencies(pieces[name].core.weight, bases[name]) for name in pieces}
    known = shapes(graph)
    sizes = {block.name: Sizes.of(block, pieces[block.name], known) for block in blocks}
    savings = {name: Savings(sizes[name], most[name]) for name in pieces}
    last = last_blocks(graph, blocks)
    gone = selected(worth, savings, how.ratio, how.layer_limit, last)
    if not gone:
        return None
    returned = coming_back(gone, savings, int(how.grow_back * len(gone)))
    changes, back = {}, {}
    for name in dict.fromkeys(direction.block for direction in gone):
        own, basis = pieces[name], bases[name]
        outputs, inputs = own.core.weight.shape[:2]
        removed, again = ([indices(some, name, side) for side in SIDES] for some in (gone, returned))
        kept = Kept(others(inputs, removed[0]), others(outputs, removed[1]))
        changes[name] = restricted(own, basis, kept)
        if any(again):
            back[name] = returning(own, basis, kept, Kept(*(torch.tensor(some, dtype=torch.int64) for some in again)))
    return Cut(
        with_pieces(graph, changes, blocks),
        allowed(worth, how.ratio, how.layer_limit, last),
        len(gone),
        back,
        len(returned),
    )
