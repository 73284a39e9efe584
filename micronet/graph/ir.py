"""Graph, Node and Ref: a network as a list of ATen operations over named values."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import torch
from torch import Tensor
from torch._ops import OpOverload

from micronet.graph.grid import Grid
from micronet.graph.names import Names

_NO_KWARGS = MappingProxyType[str, "Argument"]({})

Target = Callable[..., object]
"""An `OpOverload` of `torch.ops.aten`, or a function of the `operator` module (getitem, arithmetic on sizes); any
function in a graph that is to be run and not counted."""


@dataclass(frozen=True, slots=True)
class Ref:
    """The value called `name`: the graph's input, a weight, or what a node gives."""

    name: str


Argument = (
    Ref | int | float | bool | str | None | torch.dtype | torch.device | torch.memory_format | tuple["Argument", ...]
)


@dataclass(frozen=True, slots=True)
class Node:
    """One operation. Its value has its `name`; `layer` is the path a person knows it by, such as layer1.0.conv1."""

    name: str
    target: Target
    args: tuple[Argument, ...]
    kwargs: Mapping[str, Argument] = field(default_factory=lambda: _NO_KWARGS)
    layer: str = ""
    _read: tuple[Ref, ...] = field(init=False, repr=False, compare=False)  # found once: every pass asks for it

    def __post_init__(self) -> None:
        object.__setattr__(self, "_read", (*_refs(self.args), *_refs(tuple(self.kwargs.values()))))

    @property
    def path(self) -> str:
        """What a person knows it by: its layer, or its name where it has none."""
        return self.layer or self.name

    def argument(self, index: int) -> Argument:
        """Argument `index` of the operation's signature: by position, by name, or else the signature's default; None
        where it has no such argument."""
        if index < len(self.args):
            return self.args[index]
        schema = self.target._schema.arguments if isinstance(self.target, OpOverload) else ()
        if index >= len(schema):
            return None
        value = self.kwargs.get(schema[index].name, schema[index].default_value)
        return tuple(value) if isinstance(value, list) else value

    def refs(self) -> tuple[Ref, ...]:
        """Every value this node reads, in order, repeats included."""
        return self._read

    def operands(self, values: Mapping[str, object]) -> tuple[tuple[object, ...], dict[str, object]]:
        """Its arguments, positional and named, with `values` in place of what it reads."""
        kwargs = {key: substitute(argument, values) for key, argument in self.kwargs.items()}
        return tuple(substitute(argument, values) for argument in self.args), kwargs

    def value(self, values: Mapping[str, object]) -> object:
        """What the operation gives for `values`."""
        args, kwargs = self.operands(values)
        return self.target(*args, **kwargs)

    def on(self, device: torch.device) -> "Node":
        """The same operation where what it makes, or moves, is to lie on `device`, whichever it names."""
        if not any(isinstance(argument, torch.device) for argument in (*self.args, *self.kwargs.values())):
            return self
        args = tuple(device if isinstance(argument, torch.device) else argument for argument in self.args)
        kwargs = {key: device if isinstance(value, torch.device) else value for key, value in self.kwargs.items()}
        return replace(self, args=args, kwargs=kwargs)

    def renamed(self, names: Mapping[str, str]) -> "Node":
        """The same operation on values called otherwise, where `names` says so."""
        kwargs = {key: rename(argument, names) for key, argument in self.kwargs.items()}
        return replace(self, args=tuple(rename(argument, names) for argument in self.args), kwargs=kwargs)


@dataclass(frozen=True, slots=True)
class Graph:
    """A network from one batch of images to one batch of logits. Never changed; passes return a new one.

    input         name of the image batch, float32 (N, *input_shape); N is free
    nodes         in an order in which every value is made before it is read
    weights       every constant tensor, float32 or indices, in a graph that is to be run and not counted float64,
                  too; a weight read by two nodes is one weight
    output        name of the logits (N, classes)
    formats       the grid of each quantized weight; a weight not named here is not quantized
    literals      weights that are no parameters: values fixed by the operation, not by training (a constant 6.0)
    """

    input: str
    input_shape: tuple[int, ...]
    nodes: tuple[Node, ...]
    weights: Mapping[str, Tensor]
    output: str
    formats: Mapping[str, Grid] = field(default_factory=dict)
    literals: frozenset[str] = frozenset()

    def on(self, device: torch.device) -> "Graph":
        """The same function of images on `device`: its weights lie there, and so does what its nodes make."""
        weights = {name: weight.to(device) for name, weight in self.weights.items()}
        return replace(self, nodes=tuple(node.on(device) for node in self.nodes), weights=weights)

    def weight(self, argument: Argument) -> Tensor | None:
        """The constant tensor that a node's argument stands for, or None."""
        return self.weights.get(argument.name) if isinstance(argument, Ref) else None

    def by_name(self) -> dict[str, Node]:
        """Node of each value that a node makes."""
        return {node.name: node for node in self.nodes}

    def names(self) -> Names:
        """Every name in use: a pass takes new ones from here."""
        return Names((self.input, *self.weights, *(node.name for node in self.nodes)))

    def users(self) -> dict[str, list[Node]]:
        """Nodes that read each value; a node that reads a value twice stands there once."""
        users: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(ref.name for ref in node.refs()):
                users.setdefault(name, []).append(node)
        return users

    def without(self, instead: Mapping[str, str]) -> "Graph":
        """The graph without the nodes that `instead` names: who read one of them reads the value that it gives.

        That may be another such node.
        """
        renamed: dict[str, str] = {}
        for node in self.nodes:
            if node.name in instead:
                renamed[node.name] = renamed.get(instead[node.name], instead[node.name])
        nodes = tuple(node.renamed(renamed) for node in self.nodes if node.name not in renamed)
        return replace(self, nodes=nodes, output=renamed.get(self.output, self.output)).live()

    def live(self) -> "Graph":
        """The same function without what never reaches the output, dead weights included."""
        needed, kept = {self.output}, []
        for node in reversed(self.nodes):
            if node.name in needed:
                kept.append(node)
                needed.update(ref.name for ref in node.refs())
        weights = {name: weight for name, weight in self.weights.items() if name in needed}
        formats = {name: grid for name, grid in self.formats.items() if name in needed}
        return replace(
            self, nodes=tuple(reversed(kept)), weights=weights, formats=formats, literals=self.literals & needed
        )


def substitute(argument: Argument, values: Mapping[str, object]) -> object:
    """`argument` with each Ref replaced by its value; tuples become lists, as ATen expects."""
    if isinstance(argument, Ref):
        return values[argument.name]
    if isinstance(argument, tuple):
        return [substitute(item, values) for item in argument]
    return argument


def rename(argument: Argument, names: Mapping[str, str]) -> Argument:
    """`argument` with every Ref whose name is a key of `names` pointing at the new name."""
    if isinstance(argument, Ref):
        return Ref(names.get(argument.name, argument.name))
    if isinstance(argument, tuple):
        return tuple(rename(item, names) for item in argument)
    return argument


def _refs(argument: Argument) -> Iterator[Ref]:
    if isinstance(argument, Ref):
        yield argument
    elif isinstance(argument, tuple):
        for item in argument:
            yield from _refs(item)
