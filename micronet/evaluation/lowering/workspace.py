"""What lowering knows of a graph, and the program as it grows."""

from collections.abc import Callable

import torch
from torch import Tensor

from micronet.analysis.shapes import constants, shapes
from micronet.evaluation.lowering.bounds import bounds
from micronet.evaluation.program import Program, Slots, Step
from micronet.graph.ir import Argument, Graph, Node, Ref, Target

aten = torch.ops.aten

FRESH: frozenset[Target] = frozenset(
    {
        aten.conv2d.default,
        aten.linear.default,
        aten.batch_norm.default,
        aten.add.Tensor,
        aten.mul.Tensor,
        aten.avg_pool2d.default,
        aten.max_pool2d.default,
        aten.cat.default,
        aten.relu.default,
        aten.sigmoid.default,
        aten.tanh.default,
        aten.silu.default,
        aten.hardswish.default,
        aten.hardsigmoid.default,
        aten.hardtanh.default,
        aten.clamp.default,
        aten.fake_quantize_per_tensor_affine.default,
    }
)
"""Operations whose result lies in memory of its own, so that its only reader may overwrite it."""


class Workspace:
    """Slots, steps so far, and questions about the graph; `done` are nodes whose work another node's step does."""

    def __init__(self, graph: Graph, batch: int, merge: bool) -> None:
        self.graph, self.batch = graph, batch
        self.makers, self.shapes, self.bounds = graph.by_name(), shapes(graph), bounds(graph)
        self.done: set[str] = set()
        self._merge = merge
        self._users = graph.users()
        self._fixed = constants(graph)
        names = [graph.input, *graph.weights, *(node.name for node in graph.nodes)]
        self._slots = {name: slot for slot, name in enumerate(names)}
        self._steps: list[tuple[Step, list[str], str]] = []
        self._emit_channels_last()

    def program(self) -> Program:
        """The steps emitted so far as a program."""
        start: list[object] = [None] * len(self._slots)
        for name, weight in self.graph.weights.items():
            start[self._slots[name]] = weight
        return Program(
            tuple(step for step, _, _ in self._steps),
            self._dead(),
            tuple((writes, self._slots[writes]) for _, _, writes in self._steps),
            tuple(start),
            self._slots[self.graph.input],
            self._slots[self.graph.output],
        )

    def emit(self, compute: Callable[..., object], operands: tuple[Argument, ...], writes: str) -> None:
        """A step that gives `compute(*operands)` the name `writes`."""
        slot = self._slots[writes]
        readers = [self._reader(operand) for operand in operands]
        if len(operands) == 1 and isinstance(operands[0], Ref):
            only = self._slots[operands[0].name]

            def step(slots: Slots) -> None:
                slots[slot] = compute(slots[only])
        else:

            def step(slots: Slots) -> None:
                slots[slot] = compute(*(read(slots) for read in readers))

        reads = [ref.name for operand in operands for ref in Node("", compute, (operand,)).refs()]
        self._steps.append((step, reads, writes))

    def emit_plain(self, node: Node) -> None:
        """The operation as it is; a view becomes a reshape, since memory is not in the order of the axes here."""
        target = aten.reshape.default if node.target is aten.view.default else node.target
        keys, count = tuple(node.kwargs), len(node.args)

        def compute(*operands: object) -> object:
            return target(*operands[:count], **dict(zip(keys, operands[count:], strict=True)))

        self.emit(compute, (*node.args, *node.kwargs.values()), node.name)

    def only_user(self, node: Node) -> Node | None:
        """The one node that reads `node`'s value, as its first operand, and may be merged with it; else None."""
        reader = self.only_reader(node)
        return reader if reader is not None and reader.args[:1] == (Ref(node.name),) else None

    def may_overwrite(self, name: str) -> bool:
        """Whether the value lies in memory of its own, for this batch, and its one reader is the node at hand."""
        maker = self.makers.get(name)
        return (
            maker is not None
            and maker.target in FRESH
            and name not in self._fixed
            and len(self._users.get(name, [])) == 1
            and name != self.graph.output
        )

    def only_reader(self, node: Node) -> Node | None:
        """The one node that reads `node`'s value, as any operand, and may be merged with it; else None."""
        users = self._users.get(node.name, [])
        return users[0] if self._merge and len(users) == 1 and node.name != self.graph.output else None

    def _emit_channels_last(self) -> None:
        def channels_last(images: Tensor) -> Tensor:
            return images.contiguous(memory_format=torch.channels_last) if images.dim() == 4 else images

        self.emit(channels_last, (Ref(self.graph.input),), self.graph.input)

    def _dead(self) -> tuple[tuple[int, ...], ...]:
        """Slots each step is the last to touch."""
        seen = {self.graph.output, *self.graph.weights}
        dead: list[tuple[int, ...]] = []
        for _, reads, writes in reversed(self._steps):
            names = dict.fromkeys([writes, *reads])
            dead.append(tuple(self._slots[name] for name in names if name not in seen))
            seen.update(names)
        return tuple(reversed(dead))

    def _reader(self, argument: Argument) -> Callable[[Slots], object]:
        if isinstance(argument, Ref):
            slot = self._slots[argument.name]
            return lambda slots: slots[slot]
        if isinstance(argument, tuple) and any(isinstance(item, Ref) for item in argument):
            readers = [self._reader(item) for item in argument]
            return lambda slots: [read(slots) for read in readers]
        value = list(argument) if isinstance(argument, tuple) else argument
        return lambda slots: value
