"""How the kernel of a convolution moves."""

from dataclasses import dataclass

from micronet.errors import UnknownOperation
from micronet.graph.ir import Argument, Node


@dataclass(frozen=True, slots=True)
class Geometry:
    """Stride, padding and dilation of a convolution, one number for each axis of its kernel, and its groups.

    Of padding, which is zeros, there is as much before an axis as behind it.
    """

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int


def geometry(node: Node, axes: int) -> Geometry:
    """Of a convolution that has its padding in numbers (see `explicit_padding`) and a kernel of `axes` axes."""
    groups = node.argument(6)
    assert isinstance(groups, int)
    stride, padding, dilation = (per_axis(node.argument(index), axes) for index in (3, 4, 5))
    return Geometry(stride, padding, dilation, groups)


def per_axis(sizes: Argument, axes: int) -> tuple[int, ...]:
    """One for each of `axes`, of a size given once for all or once for each. Raises UnknownOperation for no numbers."""
    given = sizes if isinstance(sizes, tuple) else (sizes,)
    numbers = tuple(size for size in given if isinstance(size, int))
    if len(numbers) < len(given):
        raise UnknownOperation(
            "the kernel, stride, padding or dilation of a layer depends on how many images there are, so none has "
            "a cost of its own. Give it as a number."
        )
    return numbers * axes if len(numbers) == 1 else numbers
