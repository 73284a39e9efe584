"""Maximum transient activation size (MTAS): the memory a network needs beside its weights."""

from collections.abc import Mapping

from micronet.analysis.rules import FREE, RULES
from micronet.analysis.shapes import Shapes, constants
from micronet.analysis.widths import QUANTIZERS
from micronet.graph.ir import Graph, Node


def transient_bytes(graph: Graph, shapes: Shapes, widths: Mapping[str, int]) -> int:
    """Largest sum, over the steps of the graph, of all activations that must still be kept, in bytes rounded up.

    A step keeps its inputs, its result, and whatever a later step reads. What only moves or renames its one input
    (a reshape, a slice, a quantizer, which is the way its input is stored) takes no room of its own.
    """
    storage = _storage(graph)
    fixed = constants(graph)
    bits: dict[str, int] = {}
    for name in [graph.input, *(node.name for node in graph.nodes)]:
        if name not in fixed and storage[name] == name:
            bits[name] = shapes.elements(name) * widths[name]
    for node in graph.nodes:
        if node.target in QUANTIZERS and node.name not in fixed:
            owner = storage[node.name]
            bits[owner] = shapes.elements(owner) * widths[node.name]
    last = {storage[graph.output]: len(graph.nodes)}
    for step, node in reversed(list(enumerate(graph.nodes))):
        for name in {storage[ref.name] for ref in node.refs() if ref.name in storage}:
            last.setdefault(name, step)
    peak, alive = 0, {graph.input}
    for step, node in enumerate(graph.nodes):
        alive.add(storage[node.name])
        peak = max(peak, sum(bits.get(name, 0) for name in alive))
        alive = {name for name in alive if last.get(name, -1) > step}
    return -(-peak // 8)


def _storage(graph: Graph) -> dict[str, str]:
    """Name of the value whose memory each value lies in."""
    storage = {graph.input: graph.input}
    for node in graph.nodes:
        source = _moved(node, storage)
        storage[node.name] = node.name if source is None else storage[source]
    return storage


def _moved(node: Node, storage: Mapping[str, str]) -> str | None:
    """The one value `node` merely moves, or None where it makes a new one."""
    if RULES.get(node.target) is not FREE and node.target not in QUANTIZERS:
        return None
    values = [ref.name for ref in node.refs() if ref.name in storage]
    grows = "pad" in str(node.target) or "expand" in str(node.target) or "upsample" in str(node.target)
    return values[0] if len(values) == 1 and not grows else None
