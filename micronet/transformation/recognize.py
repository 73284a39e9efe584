"""Activation functions that a file spells out step by step, given back their names.

Exporters write x * relu6(x + 3) / 6 for a hard swish. Both cost the same (SCORING section 3); named, it is one layer to
quantize, one row to read, and one kernel to run.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import torch

from micronet.graph.ir import Argument, Graph, Node, Ref

aten = torch.ops.aten

_CLIPS = frozenset({aten.hardtanh.default, aten.clamp.default})
_SIXTH = 1 / 6


def recognize(graph: Graph) -> Graph:
    """The same function to rounding, with hard sigmoid, hard swish and swish as one node each."""
    for pattern in (_hard_sigmoid, _swish, _hard_swish, _hard_swish_divided_last, _hard_swish_divided_first):
        graph = _rewrite(graph, pattern)
    return graph


Pattern = Callable[["_Chain", Node], Node | None]


class _Chain:
    """Looks backwards through values that only one node reads, since others would still need them."""

    def __init__(self, graph: Graph) -> None:
        self._nodes = graph.by_name()
        self._uses = {name: len(users) for name, users in graph.users().items()}
        self._output = graph.output

    def maker(self, argument: Argument, target: object) -> Node | None:
        """The node that made `argument`, if it is a `target` and nothing else reads its value."""
        node = self._nodes.get(argument.name) if isinstance(argument, Ref) else None
        if node is None or node.target is not target or node.kwargs:
            return None
        return node if self._uses.get(node.name, 0) == 1 and node.name != self._output else None

    def relu6_of_plus_three(self, argument: Argument) -> Ref | None:
        """x where `argument` is clip(x + 3, 0, 6)."""
        clip = self.maker(argument, aten.relu6.default)
        if clip is None:
            clip = next((node for target in _CLIPS if (node := self.maker(argument, target)) is not None), None)
            if clip is None or clip.args[1:] != (0, 6):
                return None
        add = self.maker(clip.args[0], aten.add.Tensor)
        if add is None or add.args[1] != 3:
            return None
        return add.args[0] if isinstance(add.args[0], Ref) else None

    def six_times(self, argument: Argument) -> Argument:
        """y where `argument` is y / 6, which only one node reads."""
        return next(
            (
                _six_times(node)
                for target in (aten.div.Tensor, aten.mul.Tensor)
                if (node := self.maker(argument, target)) is not None
            ),
            None,
        )


def _rewrite(graph: Graph, pattern: Pattern) -> Graph:
    chain = _Chain(graph)
    nodes = tuple(pattern(chain, node) or node for node in graph.nodes)
    return replace(graph, nodes=nodes).live()


def _named(node: Node, target: Callable[..., object], operand: Ref) -> Node:
    return Node(node.name, target, (operand,), layer=node.layer)


def _six_times(node: Node) -> Argument:
    """y where `node` is y / 6, by division or by a factor; else None."""
    divided = node.target is aten.div.Tensor and node.args[1] == 6 and not node.kwargs
    factor = node.args[1] if node.target is aten.mul.Tensor else None
    scaled = isinstance(factor, float) and math.isclose(factor, _SIXTH, rel_tol=1e-7)
    return node.args[0] if divided or scaled else None


def _hard_sigmoid(chain: _Chain, node: Node) -> Node | None:
    """clip(x + 3, 0, 6) / 6."""
    operand = chain.relu6_of_plus_three(_six_times(node))
    return None if operand is None else _named(node, aten.hardsigmoid.default, operand)


def _swish(chain: _Chain, node: Node) -> Node | None:
    """x * sigmoid(x)."""
    return _gated(chain, node, aten.sigmoid.default, aten.silu.default)


def _hard_swish(chain: _Chain, node: Node) -> Node | None:
    """x * hard_sigmoid(x)."""
    return _gated(chain, node, aten.hardsigmoid.default, aten.hardswish.default)


def _hard_swish_divided_last(chain: _Chain, node: Node) -> Node | None:
    """(x * clip(x + 3, 0, 6)) / 6."""
    product = chain.maker(_six_times(node), aten.mul.Tensor)
    if product is None:
        return None
    for x, gate in (product.args, product.args[::-1]):
        if isinstance(x, Ref) and chain.relu6_of_plus_three(gate) == x:
            return _named(node, aten.hardswish.default, x)
    return None


def _hard_swish_divided_first(chain: _Chain, node: Node) -> Node | None:
    """(x / 6) * clip(x + 3, 0, 6)."""
    if node.target is not aten.mul.Tensor:
        return None
    for sixth, gate in (node.args, node.args[::-1]):
        x = chain.six_times(sixth)
        if isinstance(x, Ref) and chain.relu6_of_plus_three(gate) == x:
            return _named(node, aten.hardswish.default, x)
    return None


def _gated(chain: _Chain, node: Node, gate: object, named: Callable[..., object]) -> Node | None:
    """x * gate(x), either way round."""
    if node.target is not aten.mul.Tensor:
        return None
    for x, factor in (node.args, node.args[::-1]):
        maker = chain.maker(factor, gate)
        if isinstance(x, Ref) and maker is not None and maker.args == (x,):
            return _named(node, named, x)
    return None
