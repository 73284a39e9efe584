"""From a graph to a program for the CPU: neighbouring operations merged, values overwritten where nobody minds.

Nothing here changes what is computed beyond the order of float32 sums. Values on a grid are bit for bit those of
`fake_quantize`, which the tests check.
"""

from collections.abc import Callable, Mapping
from typing import cast

import torch
from torch import Tensor

from micronet.analysis.shapes import Shapes, shapes
from micronet.analysis.widths import activation_grid
from micronet.evaluation.kernels import (
    NO_EPILOGUE,
    Convolution,
    Epilogue,
    Kernel,
    clip_ends,
    fused_convolution,
    pointwise_convolution,
    round_to_grid_,
    rounding_constant,
)
from micronet.evaluation.program import Program, Slots, Step
from micronet.graph.grid import Grid
from micronet.graph.ir import Argument, Graph, Node, Ref, Target

aten = torch.ops.aten

_EPILOGUES: Mapping[Target, Epilogue] = {
    aten.relu.default: Epilogue("relu"),
    aten.sigmoid.default: Epilogue("sigmoid"),
    aten.tanh.default: Epilogue("tanh"),
    aten.silu.default: Epilogue("swish"),
    aten.hardswish.default: Epilogue("hardswish"),
    aten.hardsigmoid.default: Epilogue("hardsigmoid"),
}

_IN_PLACE: Mapping[Target, Callable[..., Tensor]] = {
    aten.relu.default: torch.ops.aten.relu_.default,
    aten.sigmoid.default: torch.ops.aten.sigmoid_.default,
    aten.silu.default: torch.ops.aten.silu_.default,
    aten.hardswish.default: torch.ops.aten.hardswish_.default,
    aten.hardsigmoid.default: torch.ops.aten.hardsigmoid_.default,
    aten.hardtanh.default: torch.ops.aten.hardtanh_.default,
    aten.clamp.default: torch.ops.aten.clamp_.default,
}
_IN_PLACE_BINARY: Mapping[Target, Callable[..., Tensor]] = {
    aten.add.Tensor: torch.ops.aten.add_.Tensor,
    aten.mul.Tensor: torch.ops.aten.mul_.Tensor,
}

_FRESH: frozenset[Target] = frozenset(
    {
        aten.conv2d.default,
        aten.linear.default,
        aten.batch_norm.default,
        aten.add.Tensor,
        aten.mul.Tensor,
        aten.avg_pool2d.default,
        aten.max_pool2d.default,
        aten.cat.default,
        aten.fake_quantize_per_tensor_affine.default,
        *_EPILOGUES,
        *_IN_PLACE,
    }
)
"""Operations whose result lies in memory of its own, so that its only reader may overwrite it."""


SMALL_IMAGE = 64
"""Pixels up to which a 1x1 convolution is run as a matrix product."""


def lower(graph: Graph, batch: int, merge: bool = True) -> Program:
    """Program for batches of `batch` images (a smaller last one is right too), channels last in memory.

    Without `merge`, every value of the graph is made, for an observer to see.
    """
    return _Lowering(graph, batch, merge).program()


class _Lowering:
    """Walks the graph once; `self._done` are nodes some earlier node already does as part of its own work."""

    def __init__(self, graph: Graph, batch: int, merge: bool) -> None:
        self._graph, self._batch, self._merge = graph, batch, merge
        self._makers, self._users = graph.by_name(), graph.users()
        self._shapes: Shapes = shapes(graph)
        self._slots: dict[str, int] = {}
        self._steps: list[tuple[Step, list[str], str]] = []
        self._done: set[str] = set()

    def program(self) -> Program:
        for name in [self._graph.input, *self._graph.weights, *(node.name for node in self._graph.nodes)]:
            self._slots[name] = len(self._slots)
        self._emit(self._channels_last, [self._graph.input], self._graph.input)
        for node in self._graph.nodes:
            if node.name not in self._done:
                self._lower(node)
        start: list[object] = [None] * len(self._slots)
        for name, weight in self._graph.weights.items():
            start[self._slots[name]] = weight
        return Program(
            tuple(step for step, _, _ in self._steps),
            self._dead(),
            tuple((writes, self._slots[writes]) for _, _, writes in self._steps),
            tuple(start),
            self._slots[self._graph.input],
            self._slots[self._graph.output],
        )

    def _channels_last(self, slots: Slots) -> None:
        slot = self._slots[self._graph.input]
        images = cast(Tensor, slots[slot])
        slots[slot] = images.contiguous(memory_format=torch.channels_last) if images.dim() == 4 else images

    def _dead(self) -> tuple[tuple[int, ...], ...]:
        """Slots each step is the last to touch."""
        seen = {self._graph.output, *self._graph.weights}
        dead: list[tuple[int, ...]] = []
        for _, reads, writes in reversed(self._steps):
            names = dict.fromkeys([writes, *reads])
            dead.append(tuple(self._slots[name] for name in names if name not in seen))
            seen.update(names)
        return tuple(reversed(dead))

    def _lower(self, node: Node) -> None:
        if self._convolution(node) or self._rounding(node) or self._overwriting(node):
            return
        self._plain(node)

    def _plain(self, node: Node) -> None:
        """The operation as it is; a view becomes a reshape, since memory is not in the order of the axes here."""
        target = aten.reshape.default if node.target is aten.view.default else node.target
        args = tuple(self._reader(argument) for argument in node.args)
        kwargs = {key: self._reader(argument) for key, argument in node.kwargs.items()}
        slot = self._slots[node.name]

        def step(slots: Slots) -> None:
            slots[slot] = target(*(read(slots) for read in args), **{key: read(slots) for key, read in kwargs.items()})

        self._emit(step, [ref.name for ref in node.refs()], node.name)

    def _convolution(self, node: Node) -> bool:
        """A convolution with constant weights, and what follows it alone: rounding, an activation function."""
        weight = self._weight(node, 1) if node.target is aten.conv2d.default else None
        shape = _convolution_of(node) if weight is not None else None
        if weight is None or shape is None or weight.dtype != torch.float32:
            return False
        bias = node.args[2] if len(node.args) > 2 else None
        if isinstance(bias, Ref) and bias.name not in self._graph.weights:
            return False
        source = cast(Ref, node.args[0])
        size = (self._batch, *self._shapes[source.name][1:])
        offset = self._graph.weights[bias.name] if isinstance(bias, Ref) else None
        if shape.is_pointwise and weight.shape[2:] == (1, 1) and size[2] * size[3] <= SMALL_IMAGE:
            self._matrix_product(node, pointwise_convolution(weight, offset), source.name)
            return True
        last, epilogue, constant = self._epilogue(node)
        kernel = fused_convolution(weight, offset, shape, epilogue, size)
        slot, read = self._slots[last.name], self._slots[source.name]

        def step(slots: Slots) -> None:
            slots[slot] = kernel(slots[read])

        def rounded(slots: Slots) -> None:
            slots[slot] = round_to_grid_(kernel(slots[read]), cast(float, constant))

        self._emit(step if constant is None else rounded, [source.name], last.name)
        return True

    def _matrix_product(self, node: Node, kernel: Kernel, source: str) -> None:
        slot, read = self._slots[node.name], self._slots[source]

        def step(slots: Slots) -> None:
            slots[slot] = kernel(slots[read])

        self._emit(step, [source], node.name)

    def _epilogue(self, node: Node) -> tuple[Node, Epilogue, float | None]:
        """The last node merged into the convolution `node`, its epilogue, and the constant that rounds the result."""
        follower = self._only_user(node)
        if follower is None:
            return node, NO_EPILOGUE, None
        if follower.target in _EPILOGUES and len(follower.args) == 1:
            self._done.add(follower.name)
            return follower, _EPILOGUES[follower.target], None
        grid, constant = _exact_rounding(follower)
        if grid is None or constant is None:
            return node, NO_EPILOGUE, None
        self._done.add(follower.name)
        low, high = clip_ends(grid)
        relu = self._only_user(follower)
        if relu is not None and relu.target is aten.relu.default:
            self._done.add(relu.name)
            return relu, Epilogue("hardtanh", (0.0, high)), constant
        return follower, Epilogue("hardtanh", (low, high)), constant

    def _rounding(self, node: Node) -> bool:
        """Onto a fixed-point grid, and through a ReLU that follows: clip and round."""
        grid, constant = _exact_rounding(node)
        if grid is None or constant is None:
            return False
        low, high = clip_ends(grid)
        last = node
        relu = self._only_user(node)
        if relu is not None and relu.target is aten.relu.default:
            self._done.add(relu.name)
            last, low = relu, 0.0
        source = cast(Ref, node.args[0]).name
        read, slot = self._slots[source], self._slots[last.name]
        clip = torch.clamp_ if self._may_overwrite(source) else torch.clamp

        def step(slots: Slots) -> None:
            slots[slot] = round_to_grid_(clip(cast(Tensor, slots[read]), low, high), constant)

        self._emit(step, [source], last.name)
        return True

    def _overwriting(self, node: Node) -> bool:
        """Element by element, into an operand that nobody else reads."""
        if node.kwargs:
            return False
        refs = [argument.name for argument in node.args if isinstance(argument, Ref)]
        place = next((name for name in refs if self._may_overwrite(name) and self._same_shape(name, node.name)), None)
        table = _IN_PLACE if len(refs) == 1 else _IN_PLACE_BINARY
        if place is None or node.target not in table or len(set(refs)) != len(refs):
            return False
        if node.target in _IN_PLACE_BINARY and len(refs) == 1:
            return False
        operation = table[node.target]
        ordered = [Ref(place), *(argument for argument in node.args if argument != Ref(place))]
        readers = tuple(self._reader(argument) for argument in ordered)
        slot = self._slots[node.name]

        def step(slots: Slots) -> None:
            slots[slot] = operation(*(read(slots) for read in readers))

        self._emit(step, refs, node.name)
        return True

    def _emit(self, step: Step, reads: list[str], writes: str) -> None:
        self._steps.append((step, reads, writes))

    def _reader(self, argument: Argument) -> Callable[[Slots], object]:
        if isinstance(argument, Ref):
            slot = self._slots[argument.name]
            return lambda slots: slots[slot]
        if isinstance(argument, tuple) and any(isinstance(item, Ref) for item in argument):
            readers = [self._reader(item) for item in argument]
            return lambda slots: [read(slots) for read in readers]
        value = list(argument) if isinstance(argument, tuple) else argument
        return lambda slots: value

    def _weight(self, node: Node, index: int) -> Tensor | None:
        argument = node.args[index]
        return self._graph.weights.get(argument.name) if isinstance(argument, Ref) else None

    def _only_user(self, node: Node) -> Node | None:
        users = self._users.get(node.name, [])
        alone = self._merge and len(users) == 1 and node.name != self._graph.output
        return users[0] if alone and users[0].args[:1] == (Ref(node.name),) else None

    def _may_overwrite(self, name: str) -> bool:
        maker = self._makers.get(name)
        return (
            maker is not None
            and maker.target in _FRESH
            and len(self._users.get(name, [])) == 1
            and name != self._graph.output
        )

    def _same_shape(self, one: str, other: str) -> bool:
        return self._shapes[one] == self._shapes[other]


def _exact_rounding(node: Node) -> tuple[Grid | None, float | None]:
    grid = activation_grid(node)
    return grid, None if grid is None else rounding_constant(grid)


def _convolution_of(node: Node) -> Convolution | None:
    """Geometry from the arguments of aten.conv2d, or None where padding is given in words."""
    defaults: tuple[Argument, ...] = (1, 0, 1, 1)
    stride, padding, dilation, groups = (*node.args[3:], *defaults[len(node.args[3:]) :])
    if isinstance(padding, str) or not isinstance(groups, int) or node.kwargs:
        return None
    return Convolution(_pair(stride), _pair(padding), _pair(dilation), groups)


def _pair(sizes: Argument) -> tuple[int, int]:
    if isinstance(sizes, int):
        return sizes, sizes
    assert isinstance(sizes, tuple)
    first, second = (sizes * 2)[:2]
    assert isinstance(first, int)
    assert isinstance(second, int)
    return first, second
