"""The plain meaning of a graph: node by node, in order. Passes are tested against it; on the CPU, evaluation uses a
faster way."""

from collections.abc import Callable

import torch
from torch import Tensor

from micronet.graph.ir import Graph, Node

Observer = Callable[[Node, object], None]


def interpret(graph: Graph, images: Tensor, observe: Observer | None = None) -> Tensor:
    """Logits (N, classes) of `images` (N, *input_shape), of the type and on the device of the graph's weights.

    `observe` sees each node's value as it is made.
    Values are dropped after their last use, so that memory is what the graph needs at its widest step.
    """
    values: dict[str, object] = {**graph.weights, graph.input: images}
    uses = last_uses(graph)
    with torch.no_grad():
        for node, dead in zip(graph.nodes, uses, strict=True):
            value = values[node.name] = node.value(values)
            if observe is not None:
                observe(node, value)
            for name in dead:
                del values[name]
    logits = values[graph.output]
    assert isinstance(logits, Tensor)
    return logits


def last_uses(graph: Graph) -> list[list[str]]:
    """For each node, the values nothing reads after it; weights and the output are kept."""
    seen = {graph.output, *graph.weights}
    dead: list[list[str]] = []
    for node in reversed(graph.nodes):
        names = dict.fromkeys([node.name, *(ref.name for ref in node.refs())])
        dead.append([name for name in names if name not in seen])
        seen.update(names)
    return dead[::-1]
