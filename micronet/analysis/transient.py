"""Maximum transient activation size (MTAS): the memory a network needs beside its weights."""

from collections import Counter
from collections.abc import Mapping

from micronet.analysis.formulas import FREE
from micronet.analysis.rules import RULES
from micronet.analysis.shapes import Shapes, constants, tensor_refs
from micronet.analysis.widths import JOINS, QUANTIZERS
from micronet.graph.ir import Graph, Node


def transient_bytes(graph: Graph, shapes: Shapes, widths: Mapping[str, int]) -> int:
    """Largest sum, over the steps of the graph, of all activations that must still be kept, in bytes rounded up.

    A step keeps its inputs, its result, and whatever a later step reads. What only moves or renames its one input
    (a reshape, a slice, a quantizer, which is the way its input is stored) takes no room of its own.
    """
    fixed = constants(graph)
    storage, bits = _storage(graph, shapes, widths, fixed)
    last = {storage[graph.output]: len(graph.nodes)}
    for step, node in reversed(list(enumerate(graph.nodes))):
        if node.name not in fixed:
            for name in {storage[ref.name] for ref in node.refs() if ref.name in storage}:
                last.setdefault(name, step)
    peak, alive = 0, {graph.input}
    for step, node in enumerate(graph.nodes):
        if node.name in storage:
            alive.add(storage[node.name])
        peak = max(peak, sum(bits[name] for name in alive))
        alive = {name for name in alive if last.get(name, -1) > step}
    return -(-peak // 8)


def _storage(
    graph: Graph, shapes: Shapes, widths: Mapping[str, int], fixed: frozenset[str]
) -> tuple[dict[str, str], dict[str, int]]:
    """Name of the value whose memory each value lies in, and the bits of each such memory; constants have none.

    A quantizer stores its input narrower where nothing else reads that input, or the memory it lies in.
    """
    storage = {graph.input: graph.input}
    bits = {graph.input: shapes.elements(graph.input) * widths[graph.input]}
    readers = Counter(name for node in graph.nodes if node.name not in fixed for name in tensor_refs(node))
    narrows = {graph.input} if readers[graph.input] == 1 else set()
    for node in graph.nodes:
        if node.name in fixed:
            continue
        source = _moved(node, storage)
        fits = source is not None and shapes.elements(node.name) <= shapes.elements(storage[source])
        if source is None or not fits or (node.target in QUANTIZERS and source not in narrows):
            source = None
        owner = storage[node.name] = node.name if source is None else storage[source]
        if source is None or node.target in QUANTIZERS:
            bits[owner] = shapes.elements(owner) * widths[node.name]
        fills = shapes.elements(node.name) == shapes.elements(owner) and readers[node.name] == 1
        if fills and (source is None or source in narrows):
            narrows.add(node.name)
    return storage, bits


def _moved(node: Node, storage: Mapping[str, str]) -> str | None:
    """The one value `node` merely moves, or None where it makes a new one."""
    if (RULES.get(node.target) is not FREE and node.target not in QUANTIZERS) or node.target in JOINS:
        return None
    values = [name for name in tensor_refs(node) if name in storage]
    return values[0] if len(values) == 1 else None
