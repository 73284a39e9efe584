"""The shape of every value for one image."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from micronet.graph.ir import Graph, Node, Ref
from micronet.graph.meta import values_on_meta


@dataclass(frozen=True, slots=True)
class Shapes:
    """Shape of each tensor (the batch included), by value name. Sizes and lists have none.

    An operation with several results (a max pool that also gives indices) has the shape of its first. `wide` are the
    tensors that are float64, whatever the images are.
    """

    of: Mapping[str, tuple[int, ...]]
    wide: frozenset[str]

    def __getitem__(self, name: str) -> tuple[int, ...]:
        return self.of[name]

    def elements(self, name: str) -> int:
        """Number of elements of a tensor; 0 for what is no tensor."""
        count = 1
        for size in self.of.get(name, (0,)):
            count *= size
        return count


def shapes(graph: Graph, batch: int = 1) -> Shapes:
    """Shapes for `batch` images, by running the graph on torch's meta device: every rule of shape is torch's own, and
    no data moves."""
    values = values_on_meta(graph, batch)
    firsts = {name: value[0] if isinstance(value, tuple) and value else value for name, value in values.items()}
    tensors = {name: first for name, first in firsts.items() if isinstance(first, Tensor)}
    wide = frozenset(name for name, tensor in tensors.items() if tensor.dtype == torch.float64)
    return Shapes({name: tuple(tensor.shape) for name, tensor in tensors.items()}, wide)


def constants(graph: Graph) -> frozenset[str]:
    """Names of all values that no image changes: weights, sizes, and whatever is computed from these only."""
    known = set(graph.weights)
    for node in graph.nodes:
        refs = [ref.name for ref in node.refs()]
        if node.target is torch.ops.aten.sym_size.int or all(name in known for name in refs):
            known.add(node.name)
    return frozenset(known)


def unspread(makers: Mapping[str, Node], name: str) -> str:
    """Name of the tensor that was spread over more places, such as one for each image, to be the one called `name`."""
    while (maker := makers.get(name)) is not None and maker.target is torch.ops.aten.expand.default:
        name = first_ref(maker)
    return name


def tensor_refs(node: Node) -> list[str]:
    """Names a node reads, in order, without repeats."""
    return list(dict.fromkeys(ref.name for ref in node.refs()))


def first_ref(node: Node) -> str:
    """Name of the node's first operand, which must be a value."""
    operand = node.args[0]
    assert isinstance(operand, Ref)
    return operand.name
