"""What no image changes is computed once, here, and becomes a weight."""

from dataclasses import replace

import torch
from torch import Tensor
from torch._ops import OpOverload

from micronet.analysis.shapes import tensor_refs
from micronet.analysis.widths import QUANTIZERS, weight_grid
from micronet.errors import FINITE_MASK, NotFinite, UnknownOperation
from micronet.graph.ir import Graph, Node


def fold_constants(graph: Graph) -> Graph:
    """The same function, with every node that reads only weights, or nothing, replaced by its result.

    Arithmetic on constants is free (SCORING section 3), and a folded weight is stored in place of what it came from,
    also where that had fewer elements (factors, a codebook): what the layers multiply by is what is counted, rounded
    and stored. A result made of literals only, or of nothing, is a literal where it holds one number however often, or
    indices; other tables (of sines, of places as floats) are stored, as they are in a file. A quantizer's result on a
    weight is a quantized weight; moved, that would lose its grid, so nodes that read quantized weights stay. Raises
    UnknownOperation for numbers drawn at random: drawn once, they would be weights that nobody stores; and NotFinite
    where one that is stored comes out as NaN or infinity.
    """
    values: dict[str, object] = dict(graph.weights)
    tensors = dict(graph.weights)
    formats = dict(graph.formats)
    literals = set(graph.literals)
    nodes = []
    with torch.no_grad():
        for node in graph.nodes:
            names = tensor_refs(node)
            if any(name not in values or name in formats for name in names):
                nodes.append(node)
                continue
            _check_no_chance(node)
            value = values[node.name] = node.value(values)
            if isinstance(value, Tensor):
                tensors[node.name] = value
            grid = weight_grid(node, tensors) if node.target in QUANTIZERS else None
            if grid is not None:
                formats[node.name] = grid
            if literals.issuperset(names) and _takes_no_memory(value):
                literals.add(node.name)
    folded = replace(graph, nodes=tuple(nodes), weights=tensors, formats=formats, literals=frozenset(literals)).live()
    _check_finite(folded, given=graph)
    return folded


def _check_finite(folded: Graph, given: Graph) -> None:
    """Of what was computed; what was given has been checked where it was read."""
    paths = {node.name: node.path for node in given.nodes}
    for name in folded.weights.keys() - given.weights.keys() - folded.literals:
        weight = folded.weights[name]
        if weight.is_floating_point() and not weight.is_meta and not bool(weight.isfinite().all()):
            raise NotFinite(f"what {paths[name]} computes of constants holds NaN or infinity. {FINITE_MASK}")


def _takes_no_memory(value: object) -> bool:
    """Whether there is one number, however often, or none, or places, which arithmetic makes again."""
    if not isinstance(value, Tensor) or not value.is_floating_point() or value.numel() <= 1:
        return True
    return not value.is_meta and bool((value == value.reshape(-1)[0]).all())


def _check_no_chance(node: Node) -> None:
    if isinstance(node.target, OpOverload) and torch.Tag.nondeterministic_seeded in node.target.tags:
        raise UnknownOperation(
            f"{node.path} draws random numbers ({node.target}), and a score must repeat. Store what it draws."
        )
