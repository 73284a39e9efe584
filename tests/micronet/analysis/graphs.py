"""Small graphs, and their totals."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from micronet.analysis.counts import Counts, count
from micronet.graph.capture import capture
from micronet.graph.grid import Grid
from micronet.graph.ir import Argument, Graph, Node, Ref, Target
from micronet.scoring.policies import POLICIES, UNQUANTIZED, Accumulators, Encoding, Terms, Widths

aten = torch.ops.aten
X = Ref("x")


class Apply(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def dense(layer: nn.Module) -> nn.Module:
    """The layer with no weight zero."""
    for parameter in layer.parameters():
        nn.init.constant_(parameter, 0.5)
    return layer


def captured(network: nn.Module | Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> Graph:
    return capture(network if isinstance(network, nn.Module) else Apply(network), shape)


def node(name: str, target: Target, *args: Argument, **kwargs: Argument) -> Node:
    """A node."""
    return Node(name, target, args, kwargs)


def quantizer(name: str, source: str, bits: int, step: float = 1.0) -> Node:
    """Two's complement of `bits` bits."""
    half = 1 << (bits - 1)
    return node(name, aten.fake_quantize_per_tensor_affine.default, Ref(source), step, 0, -half, half - 1)


def graph(
    *nodes: Node,
    weights: Mapping[str, Tensor] | None = None,
    formats: Mapping[str, Grid] | None = None,
    shape: tuple[int, ...] = (4, 6, 6),
    literals: frozenset[str] = frozenset(),
) -> Graph:
    """A graph whose last node gives the output."""
    return Graph("x", shape, nodes, weights or {}, nodes[-1].name, formats or {}, literals)


def totals(counts: Counts | Graph) -> tuple[int, int]:
    """Multiplications and additions."""
    layers = (count(counts) if isinstance(counts, Graph) else counts).layers
    return (
        sum(layer.operations.all_multiplications for layer in layers),
        sum(layer.operations.all_additions for layer in layers),
    )


def parameters_of(counts: Counts) -> tuple[int, int]:
    """Elements, and non-zero ones."""
    stored = [parameter for layer in counts.layers for parameter in layer.parameters]
    return sum(p.elements for p in stored), sum(p.nonzero for p in stored)


def weigh(
    counts: Counts,
    policy: str,
    encoding: Encoding = "cheapest",
    widths: Widths = UNQUANTIZED,
    accumulators: Accumulators = "declared",
) -> tuple[int, int]:
    """Bit-operations, and bits stored."""
    terms = Terms(widths, encoding, accumulators)
    weighed = [POLICIES[policy](counts, layer, terms) for layer in counts.layers]
    return sum(part.math_bits for part in weighed), sum(part.storage_bits for part in weighed)


def channel_shuffle(x: Tensor, groups: int = 2) -> Tensor:
    """Channel shuffle as ShuffleNet writes it."""
    n, c, h, w = x.shape
    return x.view(n, groups, c // groups, h, w).transpose(1, 2).contiguous().view(n, c, h, w)
