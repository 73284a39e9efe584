"""What a pickle claims about storages and tensors, checked as arithmetic before a byte is allocated."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from micronet.errors import CheckpointError, CorruptFile, UnsupportedTensor
from micronet.shown import show

FLOATS = frozenset({torch.float32, torch.float16, torch.bfloat16, torch.float64})
INTEGERS = frozenset({torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool})

LARGEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class StorageClaim:
    """`numel` values of `dtype`, said to lie in the file under `key`."""

    key: str
    dtype: torch.dtype
    numel: int

    @property
    def nbytes(self) -> int:
        """Bytes the storage takes, in the file and in memory."""
        return self.numel * self.dtype.itemsize


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a tensor is refused: the error to raise, and its text without the tensor's name."""

    error: type[CheckpointError]
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class TensorClaim:
    """A tensor of a pickle; compared by identity. Refused if it has a problem."""

    problem: Problem | None = None


def layout_problem(numel: int, offset: object, size: object, stride: object, dimensions: int) -> Problem | None:
    """What is wrong with a view of `numel` stored values: each may be seen at most once, and none beyond the end."""
    if not (_naturals([offset]) and isinstance(size, tuple) and isinstance(stride, tuple) and len(size) == len(stride)):
        return Problem(CorruptFile, "has a size, stride or offset that does not make sense; save the state dict again")
    if len(size) > dimensions:
        return Problem(UnsupportedTensor, f"has {len(size)} dimensions; weights have at most four or five")
    if not _naturals(size) or not _naturals(stride):
        return Problem(UnsupportedTensor, "has a negative size or stride; save tensor.clone() instead")
    if 0 in size:
        return None
    assert isinstance(offset, int)
    if offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True)) >= numel:
        return Problem(CorruptFile, f"reaches beyond the {numel} values stored for it; save the state dict again")
    return _overlap(size, stride)


def storage_problem(storage: StorageClaim) -> Problem | None:
    """What is wrong with the kind of values: only real floating point and plain integers can be scored."""
    if storage.dtype in FLOATS or storage.dtype in INTEGERS:
        return None
    return unsupported(f"of type {str(storage.dtype).removeprefix('torch.')}")


def unsupported(kind: str) -> Problem:
    """The refusal of a tensor that is `kind`."""
    return Problem(UnsupportedTensor, f"is {kind}; a score needs a dense tensor of real floating point numbers")


def described(problem: Problem, name: str | None) -> CheckpointError:
    """The error to raise for a tensor called `name`, or for one that no name was found for."""
    return problem.error(f"The tensor {show(name)} {problem.text}." if name else f"A tensor {problem.text}.")


def _overlap(size: Sequence[int], stride: Sequence[int]) -> Problem | None:
    span = 0  # the furthest value that the dimensions so far reach
    for step, length in sorted((step, length) for step, length in zip(stride, size, strict=True) if length > 1):
        if step == 0:
            return Problem(
                UnsupportedTensor, "is expanded (a stride of 0 shows one value many times); save tensor.clone()"
            )
        if step <= span:
            return Problem(UnsupportedTensor, "overlaps itself in memory; save tensor.clone() instead")
        span += (length - 1) * step
    return None


def _naturals(values: Sequence[object]) -> bool:
    return all(type(value) is int and 0 <= value <= LARGEST for value in values)
