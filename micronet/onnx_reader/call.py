"""Call: one ONNX node with its operands, as an importer sees it; nothing it says may go unread."""

import math
from collections.abc import Callable, Mapping, Sequence

from onnx import AttributeProto, NodeProto
from torch import Tensor

from micronet.errors import CorruptFile, FileTooLarge, OnnxUnsupportedFeature
from micronet.onnx_reader.builder import Builder
from micronet.onnx_reader.operands import Operand
from micronet.onnx_reader.targets import TARGETS
from micronet.onnx_reader.tensors import MAX_RANK, to_torch
from micronet.onnx_reader.values import Floating, Known, Quantized, Value, multiple_of_batch
from micronet.shown import show


class Call:
    """One node: operands by position, attributes by name, and the builder to write to.

    op       the ONNX operation
    what     how errors name this node
    opset    version of ONNX's own operations the file was written for
    """

    def __init__(
        self, node: NodeProto, what: str, opset: int, operands: Sequence[Value | None], build: Builder
    ) -> None:
        self.op, self.what, self.opset, self.build = node.op_type, what, opset, build
        self.output_count = len(node.output)
        self._operands = operands
        self._attributes = {attribute.name: attribute for attribute in node.attribute}
        self._read_operands: set[int] = set()
        self._read_attributes: set[str] = set()

    def emit(self, name: str, *args: Operand, **kwargs: Operand) -> Floating:
        """Value of the operation `TARGETS[name]`."""
        return self.build.emit(TARGETS[name], *args, **kwargs)

    def unsupported(self, why: str) -> OnnxUnsupportedFeature:
        """The error that says this node is used in a way that is not read."""
        return OnnxUnsupportedFeature(f"{self.what}: {why}")

    def corrupt(self, why: str) -> CorruptFile:
        """The error that says this node breaks the rules of ONNX."""
        return CorruptFile(f"{self.what}: {why}")

    # operands

    @property
    def count(self) -> int:
        """How many operands are written down, absent ones at the end not included."""
        present = [index for index, operand in enumerate(self._operands) if operand is not None]
        return present[-1] + 1 if present else 0

    def value(self, index: int) -> Value | None:
        """Operand `index` of any kind, None if it is absent."""
        self._read_operands.add(index)
        return self._operands[index] if index < len(self._operands) else None

    def optional(self, index: int) -> Floating | None:
        """Operand `index`, None if it is absent. OnnxUnsupportedFeature if it is a quantized activation."""
        value = self.value(index)
        if isinstance(value, Quantized):
            raise self.unsupported("it reads quantized activations; only DequantizeLinear may.")
        return value

    def tensor(self, index: int) -> Floating:
        """Operand `index`. CorruptFile if it is absent."""
        value = self.optional(index)
        if value is None:
            raise self.corrupt(f"operand {index} is missing.")
        return value

    def tensors(self) -> list[Floating]:
        """All operands of an operation that takes any number."""
        if not self._operands:
            raise self.corrupt("it has no operands.")
        return [self.tensor(index) for index in range(len(self._operands))]

    def known(self, index: int) -> Known | None:
        """Operand `index` if present. OnnxUnsupportedFeature if it is made at run time, or is one for each image."""
        value = self.optional(index)
        if isinstance(value, Known) and any(map(multiple_of_batch, value.shape)):
            raise self.unsupported(
                f"operand {index} is as large as the batch; only a constant of a fixed shape is read."
            )
        if value is None or isinstance(value, Known):
            return value
        raise self.unsupported(f"operand {index} depends on the image; only a constant is read there.")

    def integers(self, index: int, most: int = MAX_RANK) -> tuple[int, ...] | None:
        """Entries of the vector `index`, None if it is absent. Raises FileTooLarge for more than `most`.

        An operand of a few bytes may have endless entries, and a shape needs no more than a value has dimensions.
        """
        known = self.known(index)
        if known is None:
            return None
        if (entries := known.tensor.numel()) > most:
            raise FileTooLarge(f"{self.what}: operand {index} has {entries:,} entries; at most {most:,} are allowed.")
        if known.tensor.is_floating_point() or known.tensor.dim() > 1:
            raise self.corrupt(f"operand {index} is no vector of integers.")
        return tuple(int(entry) for entry in known.tensor.reshape(-1).tolist())

    def number(self, index: int) -> float | None:
        """The one element of the constant `index`, None if it is absent. CorruptFile for NaN."""
        known = self.known(index)
        if known is None or known.tensor.numel() == 0:
            return None
        if known.tensor.numel() != 1:
            raise self.corrupt(f"operand {index} is no single number.")
        return self._no_nan(float(known.tensor.item()), f"operand {index}")

    def _no_nan(self, number: float, what: str) -> float:
        if math.isnan(number):
            raise self.corrupt(f"{what} is NaN; a number is right.")
        return number

    # attributes

    def has(self, name: str) -> bool:
        """Whether the attribute is written down."""
        return name in self._attributes

    def ignore(self, *names: str) -> None:
        """These attributes do not change what an image gives."""
        self._read_attributes.update(names)

    def whole(self, name: str, default: int) -> int:
        """An attribute of one integer."""
        attribute = self._attribute(name, AttributeProto.INT)
        return default if attribute is None else int(attribute.i)

    def real(self, name: str, default: float) -> float:
        """An attribute of one float. CorruptFile for NaN, which only makes more of it."""
        attribute = self._attribute(name, AttributeProto.FLOAT)
        return default if attribute is None else self._no_nan(float(attribute.f), f"attribute {name!r}")

    def text(self, name: str, default: str) -> str:
        """A string attribute."""
        attribute = self._attribute(name, AttributeProto.STRING)
        return default if attribute is None else attribute.s.decode("utf-8", "replace")

    def ints(self, name: str, most: int = 2 * MAX_RANK) -> tuple[int, ...] | None:
        """An attribute of several integers, None if it is absent. Raises FileTooLarge for more than `most`."""
        attribute = self._attribute(name, AttributeProto.INTS)
        if attribute is None:
            return None
        self._check_count(name, len(attribute.ints), most)
        return tuple(int(entry) for entry in attribute.ints)

    def floats(self, name: str, most: int = MAX_RANK) -> tuple[float, ...] | None:
        """An attribute of several floats, None if it is absent. Raises FileTooLarge for more than `most`."""
        attribute = self._attribute(name, AttributeProto.FLOATS)
        if attribute is None:
            return None
        self._check_count(name, len(attribute.floats), most)
        return tuple(float(entry) for entry in attribute.floats)

    def _check_count(self, name: str, count: int, most: int) -> None:
        if count > most:
            raise FileTooLarge(f"{self.what}: attribute {name!r} has {count:,} entries; at most {most:,} are allowed.")

    def tensor_attribute(self, name: str) -> tuple[Tensor, int] | None:
        """A tensor attribute and its element type in the file, None if it is absent."""
        attribute = self._attribute(name, AttributeProto.TENSOR)
        return None if attribute is None else (to_torch(attribute.t), int(attribute.t.data_type))

    def _attribute(self, name: str, kind: int) -> AttributeProto | None:
        self._read_attributes.add(name)
        attribute = self._attributes.get(name)
        if attribute is not None and attribute.type != kind:
            raise self.corrupt(f"attribute {show(name)} is of the wrong type.")
        return attribute

    def check_all_read(self) -> None:
        """OnnxUnsupportedFeature if the node has an operand or attribute its importer did not look at."""
        for index, operand in enumerate(self._operands):
            if operand is not None and index not in self._read_operands:
                raise self.unsupported(f"operand {index} is not read.")
        unread = self._attributes.keys() - self._read_attributes
        if unread:
            raise self.unsupported(f"attribute {show(min(unread))} is not read.")


Importer = Callable[[Call], "Value | Sequence[Value]"]
Importers = Mapping[str, Importer]
