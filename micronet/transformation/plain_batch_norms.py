"""Batch norms as what they are in inference, and as which they are stored: a scale and a shift."""

from dataclasses import replace

import torch

from micronet.analysis.parameters import scale_and_shift
from micronet.graph.ir import Graph, Node, Ref

aten = torch.ops.aten


def plain_batch_norms(graph: Graph) -> Graph:
    """Each batch norm as scale * x + shift: mean 0, variance 1, epsilon 0, which are literals from then on."""
    weights, literals, nodes, free = dict(graph.weights), set(graph.literals), [], graph.names()
    for node in graph.nodes:
        if node.target is not aten.batch_norm.default or _is_plain(graph, node):
            nodes.append(node)
            continue
        scale, shift = scale_and_shift(graph, node)
        tensors = {"scale": scale, "shift": shift, "mean": torch.zeros_like(scale), "variance": torch.ones_like(scale)}
        names = {kind: free.new(f"{node.name}.{kind}", "_") for kind in tensors}
        weights.update({names[kind]: tensor for kind, tensor in tensors.items()})
        literals.update({names["mean"], names["variance"]})
        refs = tuple(Ref(names[kind]) for kind in ("scale", "shift", "mean", "variance"))
        nodes.append(replace(node, args=(node.args[0], *refs, False, 0.0, 0.0, False)))
    return replace(graph, nodes=tuple(nodes), weights=weights, literals=frozenset(literals)).live()


def _is_plain(graph: Graph, norm: Node) -> bool:
    """Whether a batch norm is a scale and a shift already."""
    names = [argument.name for argument in norm.args[1:5] if isinstance(argument, Ref)]
    if len(names) != 4 or norm.args[7] != 0 or not graph.literals.issuperset(names[2:]):
        return False
    mean, variance = (graph.weights[name] for name in names[2:])
    return not bool(mean.any()) and bool((variance == 1).all())
