"""A network's exact counts, summed over its layers."""

from micronet.analysis.counts import Counts, count
from micronet.analysis.parameters import total
from micronet.contract import NetworkTotals
from micronet.graph.ir import Graph


def network_totals(graph: Graph) -> NetworkTotals:
    """What `graph` stores and computes for one image. Raises UnknownOperation."""
    return totals_of(count(graph))


def totals_of(counts: Counts) -> NetworkTotals:
    """What counts add up to."""
    layers = counts.layers
    return NetworkTotals(
        parameters=sum(total(layer.parameters, "elements") for layer in layers),
        nonzero=sum(total(layer.parameters, "nonzero") for layer in layers),
        multiplications=sum(layer.operations.all_multiplications for layer in layers),
        additions=sum(layer.operations.all_additions for layer in layers),
    )
