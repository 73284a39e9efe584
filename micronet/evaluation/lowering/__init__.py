"""From a graph to a program for the CPU: neighbouring operations merged, values overwritten where nobody minds.

Nothing here changes what is computed beyond the order of float32 sums. Values on a grid are bit for bit those of
`fake_quantize`, which the tests check.
"""

from collections.abc import Callable

from micronet.evaluation.lowering.convolution import convolution
from micronet.evaluation.lowering.elementwise import overwriting, padded_addition
from micronet.evaluation.lowering.normalization import normalization
from micronet.evaluation.lowering.rounding import rounding
from micronet.evaluation.lowering.workspace import Workspace
from micronet.evaluation.program import Program
from micronet.graph.ir import Graph, Node

Lowerer = Callable[[Workspace, Node], bool]
"""Emits a step for a node (and perhaps for what follows it) and says true, or leaves it to the next one."""

_LOWERERS: tuple[Lowerer, ...] = (convolution, normalization, rounding, padded_addition, overwriting)


def lower(graph: Graph, batch: int, merge: bool = True) -> Program:
    """Program for batches of `batch` images (a smaller last one is right too), channels last in memory.

    Without `merge`, every value of the graph is made, for an observer to see.
    """
    space = Workspace(graph, batch, merge)
    for node in graph.nodes:
        if node.name not in space.done and not any(lowerer(space, node) for lowerer in _LOWERERS):
            space.emit_plain(node)
    return space.program()
