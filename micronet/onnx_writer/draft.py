"""Draft: an ONNX graph while it is written, with its constants, its names and the widths it declares."""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from onnx import NodeProto, TensorProto, helper, numpy_helper
from torch import Tensor

from micronet.analysis.counts import layer_names
from micronet.analysis.shapes import shapes
from micronet.errors import FINITE_MASK, NotWritable
from micronet.graph.ir import Graph
from micronet.graph.names import Names
from micronet.onnx_writer.stored import stored

Value = str | tuple[str, ...]
"""What a graph's value is called in the file: one name, or several for a list of tensors."""

Attributes = Mapping[str, int | float | str | Sequence[int] | TensorProto]

Sizes = tuple[int | None, ...]
"""A shape; None where the batch is."""

_SHAPING = frozenset({"Reshape", "Squeeze"})

MAX_LITERAL = 2**16
"""Most indices of one constant that are written one by one."""


class Draft:
    """Nodes, initializers and declared widths so far; graph values by the name they have in the file.

    Parameters become initializers, through DequantizeLinear where they are on a grid. What is no parameter becomes
    Constant and ConstantOfShape nodes, for initializers count as stored.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes: list[NodeProto] = []
        self.initializers: list[TensorProto] = []
        self.declared: dict[str, int] = {}
        self.values: dict[str, Value] = {graph.input: graph.input}
        self._one, self._three = shapes(graph), shapes(graph, 3)
        self._names = graph.names()
        self._counted = layer_names(graph)
        self._layers = Names(self._counted.values())
        self._constants: dict[tuple[object, ...], str] = {}
        self._begun = 0

    # values

    def value(self, name: str) -> str:
        """Name in the file of the tensor `name`; a weight is written down when it is first read."""
        if name not in self.values:
            self.values[name] = self._weight(name, self.graph.weights[name])
        value = self.values[name]
        assert isinstance(value, str), f"{name} is a list of tensors"
        return value

    def sizes(self, name: str) -> Sizes:
        """Shape of the tensor `name`."""
        return tuple(
            one if one == three else None for one, three in zip(self._one[name], self._three[name], strict=True)
        )

    def images_per_size(self, name: str, axis: int) -> int:
        """How many times N the size of `axis` is."""
        return self._one[name][axis]

    def number(self, number: float, kind: type[np.generic] = np.float32) -> str:
        """A single number that is no parameter."""
        key = ("number", number, math.copysign(1, number), kind)
        if key not in self._constants:
            self._constants[key] = self._constant(np.array(number, dtype=kind))
        return self._constants[key]

    def vector(self, entries: Iterable[int]) -> str:
        """Sizes, axes or places, int64."""
        array = np.array(tuple(entries), dtype=np.int64)
        return self.shared("vector", array)

    def index(self, place: int) -> str:
        """One place, as a number without an axis."""
        return self.shared("index", np.array(place, dtype=np.int64))

    def shared(self, name: str, array: np.ndarray) -> str:
        """An initializer with these elements; the same one for the same elements."""
        key = ("shared", array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = self.initializer(self._names.new(name, "_"), array)
        return self._constants[key]

    def initializer(self, name: str, array: np.ndarray) -> str:
        """Write `array` down as `name`."""
        self.initializers.append(numpy_helper.from_array(np.asarray(array, order="C"), name))
        return name

    def filled(self, number: Tensor, shape: Sequence[int], name: str = "constant") -> str:
        """One number (1,), everywhere in `shape`, that is no parameter."""
        value = numpy_helper.from_array(number.numpy())
        return self._plain("ConstantOfShape", [self.vector(shape)], name, {"value": value})

    # nodes

    def begin(self) -> None:
        """The nodes to come belong to the next node of the graph."""
        self._begun = len(self.nodes)

    def emit(self, op: str, name: str, inputs: Sequence[str], outputs: int, attributes: Attributes) -> tuple[str, ...]:
        """Append a node; what it makes gets new names, made of `name`."""
        made = tuple(self._names.new(f"{name}.{op}", "_") for _ in range(outputs))
        self._append(op, inputs, made, "", attributes)
        return made

    def end(self, name: str, layer: str, value: Value) -> None:
        """The graph's node `name` is written, as `value`.

        Of the nodes since `begin` the last one that does more than change a shape takes over the layer, the others get
        a suffix; what the last one makes takes over the name.
        """
        self.values[name] = value
        own = [node for node in self.nodes[self._begun :] if not node.name]
        if not own:
            return
        main = next((node for node in reversed(own) if node.op_type not in _SHAPING), own[-1])
        for node in own:
            if node is not main:
                node.name = self._layers.new(f"{layer}.{node.op_type}", ".")
        main.name = self._counted[name] if name in self._counted else self._layers.new(layer, ".")
        if list(own[-1].output) == [value]:
            own[-1].output[0] = self.values[name] = name

    # constants

    def _constant(self, array: np.ndarray, name: str = "constant") -> str:
        made = self._names.new(name, "_")
        value = numpy_helper.from_array(np.asarray(array, order="C"))
        self._append("Constant", (), (made,), self._layers.new(name, "."), {"value": value})
        return made

    def _weight(self, name: str, weight: Tensor) -> str:
        if weight.dtype not in (torch.float32, torch.int64):
            raise NotWritable(
                f"constant {name!r} is of {weight.dtype}; float32 and int64 are written. Convert it: .float(), .long()."
            )
        if name in self.graph.literals:
            return self._literal(name, weight)
        if not bool(torch.isfinite(weight).all()):
            raise NotWritable(
                f"constant {name!r} holds NaN or infinity, and files with these are not read. {FINITE_MASK}"
            )
        grid = self.graph.formats.get(name)
        if grid is None:
            return self.initializer(name, weight.numpy())
        parts = stored(name, weight, grid)
        if parts.declared is not None:
            self.declared[name] = parts.declared
        inputs = [self.initializer(name, parts.integers), self.shared("scale", parts.scales)]
        if parts.zero_points is not None:
            inputs.append(self.shared("zero_point", parts.zero_points))
        axis = {} if grid.axis is None else {"axis": grid.axis}
        return self._plain("DequantizeLinear", inputs, f"{name}.dequantized", axis)

    def _literal(self, name: str, weight: Tensor) -> str:
        """What the operation fixes: one number however often, or indices one by one."""
        flat = weight.reshape(-1)
        if weight.dim() == 0:
            return self._constant(weight.numpy(), name)
        if len(flat) and bool((flat == flat[0]).all()):
            return self.filled(flat[:1], tuple(weight.shape), name)
        if weight.is_floating_point() or len(flat) > MAX_LITERAL:
            raise NotWritable(
                f"constant {name!r} holds several numbers that no training set; in a file they would be parameters. "
                "Store them as one: register_buffer in the module."
            )
        parts = [self._index(int(index)) for index in flat.tolist()]
        joined = self._plain("Concat", parts, name, {"axis": 0})
        if weight.dim() == 1:
            return joined
        return self._plain("Reshape", [joined, self.vector(weight.shape)], f"{name}.shaped", {})

    def _index(self, index: int) -> str:
        """One index, in a vector of its own."""
        key = ("index", index)
        if key not in self._constants:
            self._constants[key] = self._constant(np.array([index], dtype=np.int64), "index")
        return self._constants[key]

    def _plain(self, op: str, inputs: Sequence[str], name: str, attributes: Attributes) -> str:
        """A node of a constant, under a layer name of its own."""
        made = self._names.new(name, "_")
        self._append(op, inputs, (made,), self._layers.new(made, "."), attributes)
        return made

    def _append(
        self, op: str, inputs: Sequence[str], outputs: Sequence[str], name: str, attributes: Attributes
    ) -> None:
        node = helper.make_node(op, inputs, outputs, name=name)
        node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
        self.nodes.append(node)
