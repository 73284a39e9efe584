"""What no image changes is computed once, here, and becomes a weight."""

from dataclasses import replace

import torch
from torch import Tensor

from micronet.analysis.shapes import tensor_refs
from micronet.graph.ir import Graph, substitute


def fold_constants(graph: Graph) -> Graph:
    """The same function, with every node that reads only weights, or nothing, replaced by its result.

    Arithmetic on constants is free (SCORING section 3), and a folded weight is stored in place of what it came from. A
    result made of literals only is a literal; one of a quantized weight that is merely moved keeps no grid of its own,
    so nodes that read quantized weights stay.
    """
    weights: dict[str, object] = dict(graph.weights)
    literals = set(graph.literals)
    nodes = []
    with torch.no_grad():
        for node in graph.nodes:
            names = tensor_refs(node)
            if any(name not in weights or name in graph.formats for name in names):
                nodes.append(node)
                continue
            kwargs = {key: substitute(argument, weights) for key, argument in node.kwargs.items()}
            weights[node.name] = node.target(*(substitute(argument, weights) for argument in node.args), **kwargs)
            if all(name in literals for name in names):
                literals.add(node.name)
    tensors = {name: value for name, value in weights.items() if isinstance(value, Tensor)}
    return replace(graph, nodes=tuple(nodes), weights=tensors, literals=frozenset(literals)).live()
