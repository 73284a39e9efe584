"""Values as integers times a step, followed through what moves, joins or pads them, or chooses among them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import reduce

import torch

from micronet.analysis.attainable import attainable
from micronet.analysis.shapes import tensor_refs
from micronet.analysis.widths import COMPARISONS, JOINS, KEEPS_WIDTH, QUANTIZERS, activation_grid, padding_value
from micronet.graph.ir import Graph, Node

aten = torch.ops.aten


@dataclass(frozen=True, slots=True)
class Integers:
    """From `low` to `high`, zero among them as borders are padded with it, times `step`, a power of two."""

    low: int
    high: int
    step: float

    def joined(self, other: "Integers") -> "Integers":
        """Whatever is of either, in the finer steps, of which the coarser are a whole number."""
        step = min(self.step, other.step)
        ends = [(one.low * int(one.step / step), one.high * int(one.step / step)) for one in (self, other)]
        return Integers(min(low for low, _ in ends), max(high for _, high in ends), step)

    def padded(self, value: float) -> "Integers | None":
        """These, and `value` around them; None where it is none of their multiples, or float32 has no such number."""
        place = value / self.step
        if not place.is_integer() or float(torch.tensor(value, dtype=torch.float32)) != value:
            return None
        return replace(self, low=min(self.low, int(place)), high=max(self.high, int(place)))


def integers(graph: Graph, fixed: frozenset[str], wanted: Iterable[str]) -> Mapping[str, Integers | str]:
    """What the values `wanted` may be, whatever the image; of one that is no such integer, what is read with it.

    `fixed` are the graph's constants. Of values that are joined the ends are those of all together.
    """
    makers, needed = graph.by_name(), set(wanted)
    for node in reversed(graph.nodes):
        if node.name in needed and node.target in KEEPS_WIDTH:
            needed.update(tensor_refs(node))
    found: dict[str, Integers | str] = {graph.input: f"images ({graph.input}), which nothing has put on a grid"}
    for node in graph.nodes:
        if node.name in needed:
            kept = node.target in KEEPS_WIDTH
            found[node.name] = _kept(node, fixed, found) if kept else _on_grid(makers, node)
    return found


def _on_grid(makers: Mapping[str, Node], node: Node) -> Integers | str:
    """What a quantizer gives."""
    grid, layer = activation_grid(node), node.path
    if node.target not in QUANTIZERS:
        return f"what {layer} computes, which nothing has put on a grid"
    if grid is None or not grid.is_fixed_point:
        return f"what {layer} puts on a grid that is no fixed point"
    low, high = attainable(makers, node, grid)
    return Integers(min(low, 0), max(high, 0), grid.steps[0])


def _kept(node: Node, fixed: frozenset[str], found: Mapping[str, Integers | str]) -> Integers | str:
    """What is among the values that the node reads, or around them.

    Sizes and indices bring in no values; a constant that is compared with or joined to them does.
    """
    names, layer = tensor_refs(node), node.path
    sources = [found[name] for name in names if name not in fixed]
    if not sources or (len(names) > len(sources) and node.target in COMPARISONS | JOINS):
        return f"constants, which {layer} joins to values or chooses among"
    parts = [part for part in sources if not isinstance(part, str)]
    if len(parts) < len(sources):
        return next(part for part in sources if isinstance(part, str))
    whole, value = reduce(Integers.joined, parts), padding_value(node)
    if node.target is aten.relu.default:
        return replace(whole, low=0)
    around = whole.padded(value)
    return f"what {layer} pads with {value:g}, which is no multiple of {whole.step:g}" if around is None else around
