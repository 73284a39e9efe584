"""Evaluation whose sums are exact: float64 holds every sum of fixed-point products that fits 53 bits, float32 many."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from micronet.analysis.accumulators import exact_bits, unproven
from micronet.analysis.dot_products import DOT_PRODUCTS
from micronet.analysis.shapes import shapes
from micronet.analysis.widths import activation_grid, grid_tensors
from micronet.errors import SettingsError
from micronet.evaluation.quotients import with_exact_quotients
from micronet.evaluation.single_precision import single_precision
from micronet.graph.ir import Argument, Graph, Node, Ref

aten = torch.ops.aten

EXACT_BITS = 53
"""Integers up to 2^53 are exact in float64. Where a sum lies within 53 bits of two's complement, so that its ends are
less than 2^53 apart, no sum on the way to it, with the bias or without, is farther from zero than that."""


def check_exact(graph: Graph) -> None:
    """Raise SettingsError unless every dot product sums fixed-point products of few enough bits."""
    known = shapes(graph)
    proofs, faults = exact_bits(graph, known), unproven(graph, known)
    for node in graph.nodes:
        if node.target not in DOT_PRODUCTS:
            continue
        name = node.path
        if node.name in faults:
            raise SettingsError(
                f"bit_true: {name} multiplies {faults[node.name]}, so its sums cannot be exact. Quantize weights and "
                "activations (bits) to measure bit-true accuracy; pad and join with multiples of their steps."
            )
        needed = max(proofs[node.name], default=0)
        if needed > EXACT_BITS:
            raise SettingsError(
                f"bit_true: sums of {name} may need {needed} bits, float64 is exact to {EXACT_BITS}. Use fewer bits."
            )


def widen(graph: Graph) -> Graph:
    """The graph in float64, but for what torch takes in float32 alone; to be run, not counted, on any device.

    Its quotients are correctly rounded where the kernels of a device round them otherwise.
    """
    kept = grid_tensors(graph)
    weights = {name: w if name in kept else _tensor_in_float64(w) for name, w in graph.weights.items()}
    return with_exact_quotients(replace(graph, weights=weights))


def exactly(graph: Graph) -> Graph:
    """The graph that gives, for float32 images, what `widen` gives for the same in float64, and faster.

    Whatever float32 cannot spoil is computed in float32, to the same bits; `in_float64` and `onto_grid` lead there and
    back. It is to be run, not counted, and on the CPU: other kernels may give up bits of float32 for speed.
    """
    return _Mixed(graph).graph()


def in_float64(value: object) -> object:
    """Float32 tensors, alone or in a tuple, in float64; anything else as it is."""
    if isinstance(value, tuple):
        return tuple(in_float64(one) for one in value)
    return _tensor_in_float64(value) if isinstance(value, Tensor) else value


def onto_grid(values: Tensor, step: float, low: int, high: int) -> Tensor:
    """float32: `values` in float64 on a fixed-point grid that float32 holds; what fake_quantize says they are."""
    return (values / step).round_().clamp_(low, high).mul_(step).add_(0.0).float()  # no zero with a sign


class _Mixed:
    """A graph, node by node: what is not the same in float32 reads its operands in float64."""

    def __init__(self, graph: Graph) -> None:
        self._graph, self._narrow = graph, single_precision(graph)
        self._free, self._kept, self._wide = graph.names(), grid_tensors(graph), dict[str, str]()
        self._weights = dict(graph.weights)

    def graph(self) -> Graph:
        nodes = tuple(made for node in self._graph.nodes for made in self._made(node))
        return replace(self._graph, nodes=nodes, weights=self._weights).live()

    def _made(self, node: Node) -> Iterator[Node]:
        wide = any(ref.name not in self._narrow for ref in node.refs())
        if node.name not in self._narrow:
            for ref in node.refs():
                yield from self._widened(ref.name)
            yield node.renamed(self._wide)
        elif wide:
            grid = activation_grid(node)
            assert grid is not None, "of operands in float64, only quantizers make a float32 value"
            args: tuple[Argument, ...] = (node.args[0], grid.steps[0], grid.low, grid.high)
            yield Node(node.name, onto_grid, args, layer=node.layer)
        else:
            yield node

    def _widened(self, name: str) -> Iterator[Node]:
        """Where the value is found in float64."""
        if name not in self._narrow or name in self._wide or name in self._kept:
            return
        self._wide[name] = self._free.new(f"{name}.float64", "_")
        if name in self._graph.weights:
            self._weights[self._wide[name]] = _tensor_in_float64(self._graph.weights[name])
        else:
            yield Node(self._wide[name], in_float64, (Ref(name),))


def _tensor_in_float64(tensor: Tensor) -> Tensor:
    return tensor.double() if tensor.dtype == torch.float32 else tensor
