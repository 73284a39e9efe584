"""Where float32 is as exact as float64: values of few enough bits, proven without looking at an image.

A float32 number holds 24 bits. Values on grids, their products and sums, as long as these need no more, come out the
same to the bit in either precision, in whatever order they are summed; float32 is many times faster.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from micronet.analysis.accumulators import exact_bits
from micronet.analysis.shapes import Shapes, first_ref, shapes
from micronet.analysis.widths import KEEPS_WIDTH, activation_grid, is_size
from micronet.graph.geometry import per_axis
from micronet.graph.ir import Argument, Graph, Node, Ref, Target

aten = torch.ops.aten

BITS = 24
"""Of the significand of a float32 number."""


@dataclass(frozen=True, slots=True)
class Multiples:
    """Numbers that are whole multiples of `step`, a power of two, and no farther from zero than `reach`."""

    step: float
    reach: float

    def narrow(self) -> "Multiples | None":
        """These, if float32 holds each of them."""
        fits = self.reach <= self.step * 2**BITS and self.step >= _LEAST_STEP and self.reach < _MOST_REACH
        return self if fits else None


def single_precision(graph: Graph) -> frozenset[str]:
    """Names of the values that float32 gives as float64 does, the input and the weights among them.

    Their operands are such values too; but a quantizer's may be any: once on a grid of few bits, a value fits.
    """
    known = shapes(graph)
    finder = _Finder(graph, known, {name: max(bits, default=0) for name, bits in exact_bits(graph, known).items()})
    for node in graph.nodes:
        finder.look_at(node)
    return frozenset(finder.found)


class _Finder:
    """`found` has a row for each value that is the same in both; None where it may be any float32 number."""

    def __init__(self, graph: Graph, known: Shapes, sums: Mapping[str, int]) -> None:
        self._shapes, self._sums, self._formats = known, sums, graph.formats
        self.found: dict[str, Multiples | None] = dict.fromkeys([graph.input, *graph.weights])

    def look_at(self, node: Node) -> None:
        """Find out about one more value, of which all operands have been looked at."""
        grid = activation_grid(node)
        if grid is not None:
            if grid.bits <= BITS and grid.is_fixed_point and grid.has_common_steps:
                step = grid.steps[0]
                self.found[node.name] = Multiples(step, max(abs(grid.low), abs(grid.high)) * step)
            return
        if node.kwargs or any(ref.name not in self.found for ref in node.refs()):
            return
        if not all(map(_fits, _numbers(node))) or not self._stays_itself(node):
            return
        if is_size(node) or self._sums_fit(node):
            self.found[node.name] = None
        elif node.target in KEEPS_WIDTH or node.target in _CLIPS:
            self.found[node.name] = self._all(node.refs(), _numbers(node))
        else:
            made = self._computed(node)
            if made is not None:
                self.found[node.name] = made

    def _sums_fit(self, node: Node) -> bool:
        """Whether no sum on the way is farther from zero than 2^24 products; see `bit_true.EXACT_BITS`."""
        if node.target not in _PLAIN_SUMS or self._sums.get(node.name, BITS + 1) > BITS:
            return False
        return all(self._formats[ref.name].has_common_steps for ref in node.refs() if ref.name in self._formats)

    def _stays_itself(self, node: Node) -> bool:
        """Whether where each result comes from, and what it is clipped to, is all in the node's arguments.

        Which pixel is the nearest is worked out in the precision of the pixels: but by a shift, where images grow by a
        power of two, and there is no choice of one.
        """
        if node.target is aten.hardtanh.default:
            return len(node.args) == 3
        if node.target not in _NEAREST:
            return True
        sizes = zip(self._shapes[first_ref(node)][-2:], self._shapes[node.name][-2:], strict=True)
        return all(one == 1 or (made % one == 0 and _is_power(made // one)) for one, made in sizes)

    def _all(self, refs: tuple[Ref, ...], numbers: Sequence[float]) -> Multiples | None:
        """What holds for all of them together; nothing where they are too far apart to say."""
        parts = [self.found[ref.name] for ref in refs] + [_multiples(number) for number in numbers]
        sure = [part for part in parts if part is not None]
        if len(sure) < len(parts) or not sure:
            return None
        return Multiples(min(part.step for part in sure), max(part.reach for part in sure)).narrow()

    def _computed(self, node: Node) -> Multiples | None:
        if node.target in _AVERAGES:
            return self._average(node)
        if node.target not in _ARITHMETIC or len(node.args) != 2:
            return None
        parts = [self.found[part.name] if isinstance(part, Ref) else _multiples(part) for part in node.args]
        one, other = parts
        if one is None or other is None:
            return None
        if node.target is aten.mul.Tensor:
            return Multiples(one.step * other.step, one.reach * other.reach).narrow()
        return Multiples(min(one.step, other.step), one.reach + other.reach).narrow()

    def _average(self, node: Node) -> Multiples | None:
        """The sum of a power of two of values, and then the shift that its division is."""
        source, count = node.args[0], _AVERAGES[node.target](self._shapes, node)
        of = self.found[source.name] if isinstance(source, Ref) else None
        if of is None or count is None or not _is_power(count):
            return None
        return Multiples(of.step / count, of.reach).narrow()


def _over_axes(shapes: Shapes, node: Node) -> int | None:
    """None where images are averaged with each other: how many there are is not known."""
    shape, axes = shapes[first_ref(node)], node.args[1]
    chosen = {axis % len(shape) for axis in axes if isinstance(axis, int)} if isinstance(axes, tuple) else set()
    return math.prod(shape[axis] for axis in chosen) if chosen and 0 not in chosen else None


def _over_equal_parts(shapes: Shapes, node: Node) -> int | None:
    """None where the parts overlap, as adaptive pooling's may."""
    sizes = list(zip(shapes[first_ref(node)][-2:], shapes[node.name][-2:], strict=True))
    return None if any(size % parts for size, parts in sizes) else math.prod(size // parts for size, parts in sizes)


def _over_kernel(_: Shapes, node: Node) -> int | None:
    """None where borders are padded, or anything else is asked for."""
    padding, rounds_up, divisor = (node.argument(index) for index in (3, 4, 6))
    plain = not any(per_axis(padding, 2)) and not rounds_up and divisor is None
    return math.prod(per_axis(node.args[1], 2)) if plain else None


def _is_power(count: int) -> bool:
    return count > 0 and not count & (count - 1)


_AVERAGES: Mapping[Target, Callable[[Shapes, Node], int | None]] = {
    aten.mean.dim: _over_axes,
    aten.adaptive_avg_pool2d.default: _over_equal_parts,
    aten.avg_pool2d.default: _over_kernel,
}
"""How many values each of an average's results is taken of."""
_PLAIN_SUMS: frozenset[Target] = frozenset({aten.conv2d.default, aten.linear.default})
"""Whose kernels on the CPU add products as they are: no Winograd or Fourier transform, and, as long as nobody sets
torch.backends otherwise, no narrower numbers."""
_ARITHMETIC: frozenset[Target] = frozenset({aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor})
_CLIPS: frozenset[Target] = frozenset({aten.hardtanh.default, aten.clamp.default})
_NUMBERS: Mapping[Target, int] = {
    **dict.fromkeys(_ARITHMETIC, 0),
    **dict.fromkeys(_CLIPS, 1),
    aten.constant_pad_nd.default: 2,
    aten.pad.default: 2,
}
"""From which argument on numbers are values."""
_NEAREST: frozenset[Target] = frozenset({aten.upsample_nearest2d.default, aten.upsample_nearest2d.vec})
_LEAST_STEP, _MOST_REACH = 2.0**-120, 2.0**120
"""Well between the smallest and the largest number that float32 holds in full."""


def _numbers(node: Node) -> list[float]:
    """What the node clips to, pads with, adds or multiplies by."""
    written = node.args[_NUMBERS[node.target] :] if node.target in _NUMBERS else ()
    return [float(one) for one in written if isinstance(one, int | float)]


def _fits(number: float) -> bool:
    """Whether it is the same number in float32."""
    return float(torch.tensor(number, dtype=torch.float32)) == number


def _multiples(number: Argument) -> Multiples | None:
    """Of itself."""
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
        return None
    numerator, denominator = float(number).as_integer_ratio()
    return Multiples((numerator & -numerator or 1) / denominator, abs(float(number)))
