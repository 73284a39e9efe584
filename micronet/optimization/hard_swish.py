"""Hard swish in steps, so that each of them may be narrow: x * relu6(x + 3), its sixth moved into who reads it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from micronet.graph.grid import Grid
from micronet.graph.ir import Argument, Graph, Node, Ref
from micronet.transformation.linear_layers import LinearLayer, put_back, read_layer

aten = torch.ops.aten

SIXTH = 1 / 6
LEAST_PRODUCT = -2.25
"""Of x * clip(x + 3, 0, 6), at x = -1.5."""
_WHOLE_BITS = 3
"""Bits before the point that hold 0..6."""


@dataclass(frozen=True, slots=True)
class SplitHardSwish:
    """Names of x, of x + 3, of clip(x + 3, 0, 6) and of the product of this with x."""

    x: str
    sum: str
    clip: str
    product: str


def split_hard_swish(graph: Graph) -> tuple[Graph, tuple[SplitHardSwish, ...]]:
    """Each hard swish that only layers read as an addition, a clip and a product, and the parts of each.

    Inside a hard swish nothing is on a grid, and its four operations count at full width; in steps each counts at the
    width of what it reads. The division by 6 goes into the weights of the layers, where it costs nothing. The same
    function to rounding; one of the image itself, or whose value goes anywhere but into layers with weights of their
    own, stays whole.
    """
    users, free = graph.users(), graph.names()
    parts: dict[str, tuple[SplitHardSwish, tuple[Node, ...]]] = {}
    readers: dict[str, LinearLayer] = {}
    for node in graph.nodes:
        layers = _only_layers(graph, node, users) if node.target is aten.hardswish.default else None
        if layers is None:
            continue
        gate = SplitHardSwish(
            _source(node), free.new(f"{node.name}.sum", "_"), free.new(f"{node.name}.clip", "_"), node.name
        )
        parts[node.name] = gate, _steps(node, gate)
        readers |= {name: replace(layer, weight=layer.weight * SIXTH) for name, layer in layers.items()}
    graph = put_back(graph, readers, free)
    nodes = [step for node in graph.nodes for step in (parts[node.name][1] if node.name in parts else (node,))]
    return replace(graph, nodes=tuple(nodes)), tuple(gate for gate, _ in parts.values())


def grid_of_sum(x: Grid) -> Grid:
    """Of x + 3 where x lies on grid `x`: the same step, saturating beyond what the clip tells apart."""
    half = 1 << (_WHOLE_BITS + _point(x))
    return Grid(_WHOLE_BITS + 1 + _point(x), -half, half - 1, (2.0 ** -_point(x),), (0,))


def grid_of_clip(x: Grid) -> Grid:
    """Of clip(x + 3, 0, 6): the same step, and no sign."""
    bits = _WHOLE_BITS + _point(x)
    return Grid(bits, 0, (1 << bits) - 1, (2.0 ** -_point(x),), (0,))


def _point(x: Grid) -> int:
    """At least 0: the 3 that is added has to be on the grid."""
    return max(x.points()[0], 0)


def _steps(node: Node, gate: SplitHardSwish) -> tuple[Node, ...]:
    layer = node.layer or node.name
    return (
        Node(gate.sum, aten.add.Tensor, (Ref(gate.x), 3.0), layer=f"{layer}.sum"),
        Node(gate.clip, aten.hardtanh.default, (Ref(gate.sum), 0.0, 6.0), layer=f"{layer}.clip"),
        Node(node.name, aten.mul.Tensor, (Ref(gate.x), Ref(gate.clip)), layer=layer),
    )


def _only_layers(graph: Graph, node: Node, users: Mapping[str, list[Node]]) -> dict[str, LinearLayer] | None:
    """The layers that read the node's value, by name; None where anything else does, or nothing."""
    readers = users.get(node.name, [])
    layers = {reader.name: read_layer(graph, reader, users) for reader in readers}
    found = {name: layer for name, layer in layers.items() if layer is not None and layer.source == node.name}
    apart = _source(node) != graph.input and node.name != graph.output
    return found if found and len(found) == len(layers) and apart else None


def _source(node: Node) -> str:
    source: Argument = node.args[0]
    assert isinstance(source, Ref)
    return source.name
