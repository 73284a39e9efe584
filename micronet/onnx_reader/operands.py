"""What an importer hands to an operation: constants, values made at run time, numbers, and tuples of these."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from micronet.onnx_reader.values import Known, Made

Operand = Known | Made | int | float | str | bool | torch.dtype | None | tuple["Operand", ...]


def operands_in(argument: Operand) -> Iterator[Known | Made]:
    """Every tensor of `argument`."""
    if isinstance(argument, Known | Made):
        yield argument
    elif isinstance(argument, tuple):
        for item in argument:
            yield from operands_in(item)


def integers_in(argument: Operand) -> Iterator[int]:
    """Every integer of `argument`."""
    if isinstance(argument, int):
        yield argument
    elif isinstance(argument, tuple):
        for item in argument:
            yield from integers_in(item)


def mapped(argument: Operand, function: Callable[[Known | Made], Tensor]) -> object:
    """`argument` with `function` of each of its tensors in place of it, and lists for tuples, as ATen expects."""
    if isinstance(argument, Known | Made):
        return function(argument)
    if isinstance(argument, tuple):
        return [mapped(item, function) for item in argument]
    return argument


def meta_of(value: Known | Made) -> Tensor:
    """Shape and dtype of a value, without data."""
    return value.meta if isinstance(value, Made) else value.tensor.to("meta")


def tensor_of(value: Known | Made) -> Tensor:
    """The data of a constant."""
    assert isinstance(value, Known)
    return value.tensor
