"""Call: one node of the graph, as the rule that writes it sees it."""

from collections.abc import Callable, Mapping, Sequence

from micronet.errors import NotWritable
from micronet.graph.ir import Argument, Node, Ref
from micronet.onnx_writer.draft import Draft, Sizes, Value


class Call:
    """A node's arguments by the position they have in the operation's signature, and the draft to write to."""

    def __init__(self, node: Node, draft: Draft) -> None:
        self.node, self.draft = node, draft

    def refuse(self, why: str) -> NotWritable:
        """The error that says this node has no words in standard ONNX."""
        return NotWritable(f"{self.node.path} ({self.node.target}): {why}")

    # arguments

    def argument(self, index: int) -> Argument:
        """Argument at `index` of the operation's signature, or its default."""
        return self.node.argument(index)

    def is_value(self, index: int) -> bool:
        """Whether argument `index` is a tensor, not a number or nothing."""
        return isinstance(self.argument(index), Ref)

    def name(self, index: int) -> str:
        """Name in the graph of the tensor at `index`."""
        argument = self.argument(index)
        if not isinstance(argument, Ref):
            raise self.refuse(f"argument {index} is no tensor.")
        return argument.name

    def value(self, index: int) -> str:
        """Name in the file of the tensor or number at `index`."""
        argument = self.argument(index)
        if isinstance(argument, int | float) and not isinstance(argument, bool):
            return self.draft.number(float(argument))
        return self.draft.value(self.name(index))

    def number(self, index: int) -> float:
        """The number at `index`."""
        argument = self.argument(index)
        if not isinstance(argument, int | float):
            raise self.refuse(f"argument {index} is no number.")
        return argument

    def whole(self, index: int) -> int:
        """The integer at `index`."""
        argument = self.argument(index)
        if not isinstance(argument, int):
            raise self.refuse(f"argument {index} is no integer.")
        return argument

    def integers(self, index: int, count: int | None = None) -> tuple[int, ...]:
        """The integers at `index`; one is meant for all `count`, where that is given."""
        argument = self.argument(index)
        entries = argument if isinstance(argument, tuple) else (argument,)
        numbers = tuple(entry for entry in entries if isinstance(entry, int))
        if len(numbers) != len(entries):
            raise self.refuse(f"argument {index} depends on the batch.")
        return numbers * count if count is not None and len(numbers) == 1 else numbers

    def sizes(self, index: int) -> Sizes:
        """Shape of the tensor at `index`, None where the batch is."""
        return self.draft.sizes(self.name(index))

    @property
    def result(self) -> Sizes:
        """Shape of what the node gives."""
        return self.draft.sizes(self.node.name)

    def axis(self, index: int) -> int:
        """The axis at `index`, counted from 0, of the first argument."""
        return self.whole(index) % len(self.sizes(0))

    def fixed(self, of: int, axis: int) -> int:
        """Size of an axis that is not the batch."""
        size = self.sizes(of)[axis]
        if size is None:
            raise self.refuse("it parts or moves images of the batch.")
        return size

    def made(self, axis: int) -> int:
        """Size of an axis of the result that is not the batch."""
        size = self.result[axis]
        if size is None:
            raise self.refuse("its result has the batch in another place.")
        return size

    # results

    def emit(self, op: str, *inputs: str, **attributes: int | float | str | Sequence[int]) -> str:
        """Append a node that makes one tensor; its name in the file."""
        (made,) = self.draft.emit(op, self.node.name, inputs, 1, attributes)
        return made

    def emit_parts(self, op: str, count: int, *inputs: str, axis: int) -> tuple[str, ...]:
        """Append a node that makes `count` tensors."""
        return self.draft.emit(op, self.node.name, inputs, count, {"axis": axis})


Writer = Callable[[Call], Value]
"""Writes one node; what its value is called in the file."""

Writers = Mapping[Callable[..., object], Writer]
