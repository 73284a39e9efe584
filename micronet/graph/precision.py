"""A captured network in float32, whatever it computed in."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from micronet.errors import UnsupportedTensor
from micronet.graph.ir import Argument, Graph, Node, Ref, Target
from micronet.graph.meta import values_on_meta

aten = torch.ops.aten

_OTHERS = frozenset({torch.float16, torch.bfloat16, torch.float64})
_CONVERSIONS: frozenset[Target] = frozenset({aten.to.dtype, aten.to.other, aten.type_as.default})
_ARITHMETIC: frozenset[Target] = frozenset({aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor, aten.div.Tensor})


def in_float32(graph: Graph) -> Graph:
    """The network with every half, bfloat16 or double precision number in float32, and no conversions among these.

    Its weights are float32 before. Integers and truth values that numbers are computed with become float32 first.
    Raises UnsupportedTensor for complex numbers.
    """
    graph = replace(graph, nodes=tuple(_node(node) for node in graph.nodes))
    plain = all(weight.dtype == torch.float32 for weight in graph.weights.values())
    if plain and all(node.refs() and node.target not in _CONVERSIONS for node in graph.nodes):
        return graph
    kinds = {name: value.dtype for name, value in values_on_meta(graph).items() if isinstance(value, Tensor)}
    return _converted(_without_conversions(graph, kinds), kinds)


def _node(node: Node) -> Node:
    """The same operation, of float32."""
    if any(
        isinstance(argument, torch.dtype) and argument.is_complex for argument in (*node.args, *node.kwargs.values())
    ):
        raise UnsupportedTensor(
            f"{node.path} makes complex numbers, and costs are known of real ones. Compute with the real "
            "and imaginary parts."
        )
    args = tuple(map(_argument, node.args))
    kwargs: Mapping[str, Argument] = {key: _argument(argument) for key, argument in node.kwargs.items()}
    return node if (args, kwargs) == (node.args, dict(node.kwargs)) else replace(node, args=args, kwargs=kwargs)


def _argument(argument: Argument) -> Argument:
    return torch.float32 if argument in _OTHERS else argument


def _without_conversions(graph: Graph, kinds: Mapping[str, torch.dtype]) -> Graph:
    """Without those to the type that is there."""
    conversions = (node for node in graph.nodes if node.target in _CONVERSIONS)
    read = ((node.name, node.args[0]) for node in conversions)
    return graph.without({name: of.name for name, of in read if isinstance(of, Ref) and kinds[of.name] == kinds[name]})


def _converted(graph: Graph, kinds: Mapping[str, torch.dtype]) -> Graph:
    """With conversions where an operation makes them itself: in files its operands are of one type."""
    names = graph.names()
    nodes: list[Node] = []
    for node in graph.nodes:
        computes = node.target in _ARITHMETIC and kinds[node.name] == torch.float32
        others = [ref for ref in node.refs() if computes and kinds.get(ref.name, torch.float32) != torch.float32]
        converted = {ref.name: names.new(ref.name, "_") for ref in others}
        nodes += [
            Node(made, aten.to.dtype, (Ref(name), torch.float32), layer=node.layer) for name, made in converted.items()
        ]
        nodes.append(node.renamed(converted))
    return replace(graph, nodes=tuple(nodes))
