"""A captured network in float32, whatever it computed in."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from micronet.errors import UnsupportedTensor
from micronet.graph.interpret import interpret
from micronet.graph.ir import Argument, Graph, Node, Ref, Target
from micronet.graph.meta import on_meta

aten = torch.ops.aten

_OTHERS = frozenset({torch.float16, torch.bfloat16, torch.float64})
_CONVERSIONS: frozenset[Target] = frozenset({aten.to.dtype, aten.to.other, aten.type_as.default})


def in_float32(graph: Graph) -> Graph:
    """The network with every half, bfloat16 or double precision number in float32, and no conversions among these.

    Its weights are float32 before. Integers and truth values stay, and become float32 where they became floats. Raises
    UnsupportedTensor for complex numbers.
    """
    nodes = tuple(_node(node) for node in graph.nodes)
    graph = replace(graph, nodes=nodes)
    return _without_conversions(graph) if any(node.target in _CONVERSIONS for node in nodes) else graph


def _node(node: Node) -> Node:
    """The same operation, of float32."""
    if any(
        isinstance(argument, torch.dtype) and argument.is_complex for argument in (*node.args, *node.kwargs.values())
    ):
        raise UnsupportedTensor(
            f"{node.layer or node.name} makes complex numbers, and costs are known of real ones. Compute with the real "
            "and imaginary parts."
        )
    args = tuple(map(_argument, node.args))
    kwargs: Mapping[str, Argument] = {key: _argument(argument) for key, argument in node.kwargs.items()}
    return node if (args, kwargs) == (node.args, dict(node.kwargs)) else replace(node, args=args, kwargs=kwargs)


def _argument(argument: Argument) -> Argument:
    return torch.float32 if argument in _OTHERS else argument


def _without_conversions(graph: Graph) -> Graph:
    """Without those from float32 to float32."""
    kinds: dict[str, torch.dtype] = {name: weight.dtype for name, weight in graph.weights.items()}
    kinds[graph.input] = torch.float32

    def observe(node: Node, value: object) -> None:
        if isinstance(value, Tensor):
            kinds[node.name] = value.dtype

    weights = {name: weight.to("meta") for name, weight in graph.weights.items()}
    interpret(replace(graph, weights=weights), torch.empty(1, *graph.input_shape, device="meta"), observe, on_meta)
    renamed: dict[str, str] = {}
    nodes = []
    for node in graph.nodes:
        source = node.args[0] if node.args else None
        if node.target in _CONVERSIONS and isinstance(source, Ref) and kinds[source.name] == kinds[node.name]:
            renamed[node.name] = renamed.get(source.name, source.name)
        else:
            nodes.append(node.renamed(renamed))
    return replace(graph, nodes=tuple(nodes), output=renamed.get(graph.output, graph.output)).live()
