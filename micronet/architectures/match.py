"""Whether the tensors of a file are those a network needs, and if not, which."""

from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn

from micronet.errors import MissingKeys, ShapeMismatch, UnexpectedKeys, UnsupportedTensor

SHOWN = 5
"""Names a message lists before it says how many more there are."""
COUNTER = "num_batches_tracked"
"""Batches a batch norm has seen while training. Evaluation does not read it."""


def match_tensors(name: str, network: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State dict for `network`, called `name` in messages: each tensor with the kind of number the network has.

    Tensors are shared where nothing needs to change.
    Raises MissingKeys, UnexpectedKeys, ShapeMismatch, UnsupportedTensor.
    """
    wanted: dict[str, Tensor] = network.state_dict()
    missing = [key for key in wanted if key not in tensors and not _is_counter(key)]
    unexpected = [key for key in tensors if key not in wanted]
    if missing:
        raise MissingKeys(
            f"{name} needs {len(wanted)} tensors; {_list(missing)} {_are(missing)} missing."
            + (f" The file has {_list(unexpected)} instead." if unexpected else "")
            + _hint(tensors, wanted)
        )
    if unexpected:
        raise UnexpectedKeys(f"{name} has no place for {_list(unexpected)}." + _hint(tensors, wanted))
    _check_shapes(name, wanted, tensors)
    return {key: _convert(key, tensors.get(key), like) for key, like in wanted.items()}


def is_plain(tensor: Tensor) -> bool:
    """Whether a tensor has real numbers in memory, each readable by itself."""
    return not (tensor.is_complex() or tensor.is_quantized or tensor.is_meta or tensor.layout != torch.strided)


def _check_shapes(name: str, wanted: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    wrong = [
        f"{key} is {tuple(tensors[key].shape)} and must be {tuple(like.shape)}"
        for key, like in wanted.items()
        if key in tensors and tensors[key].shape != like.shape
    ]
    if wrong:
        more = f"; and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        raise ShapeMismatch(f"{name} with these options does not fit: {'; '.join(wrong[:SHOWN])}{more}.")


def _convert(key: str, tensor: Tensor | None, like: Tensor) -> Tensor:
    if tensor is None:
        return torch.zeros(like.shape, dtype=like.dtype)
    if not is_plain(tensor):
        raise UnsupportedTensor(f"{key} must be a plain tensor of real numbers; it is {tensor.dtype}, {tensor.layout}.")
    return tensor.detach().to(like.dtype)


def _hint(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    """What would be right, where the names themselves say it."""
    first = next(iter(tensors), "").partition(".")[0] + "."
    if all(key.startswith(first) for key in tensors) and not wanted.keys().isdisjoint(
        key.removeprefix(first) for key in tensors
    ):
        return f" Every name in the file starts with {first!r}; without that prefix they fit better."
    return ""


def _list(names: Collection[str]) -> str:
    shown = ", ".join(f"{name:.100}" for name in list(names)[:SHOWN])
    return f"{shown} and {len(names) - SHOWN} more" if len(names) > SHOWN else shown


def _are(names: Collection[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _is_counter(key: str) -> bool:
    return key.rpartition(".")[2] == COUNTER
