"""Tensors as a state dict may hold them: dense, finite, float32, or an integer where an integer belongs."""

from collections.abc import Mapping

import torch
from torch import Tensor

from micronet.checkpoints.limits import Limits
from micronet.checkpoints.tensor_claims import FLOATS, INTEGERS, Problem, described, layout_problem, unsupported
from micronet.errors import CheckpointError, CorruptFile, FileTooLarge, NotFinite, UnsupportedTensor
from micronet.shown import show

INTEGER_BUFFERS = ("num_batches_tracked", "forward_bp", "_index", "_indices", "permutation", "zero_point")
"""How the names of tensors end that may hold integers. Besides these, only single integers (counters) may."""


def clean_tensors(entries: Mapping[str, object], limits: Limits) -> dict[str, Tensor]:
    """The tensors of a state dict, detached, dense, on the CPU, by name and in order.

    Half, bfloat16 and double precision become float32. Integers keep their type; they are accepted as single values and
    under INTEGER_BUFFERS. A Python number becomes a tensor of no dimensions: int64, float32 or bool.

    Raises UnsupportedTensor for any other kind of value, NotFinite for NaN and infinity (also where double precision
    leaves the range of float32), FileTooLarge over the limits, CorruptFile for names that are no text.
    """
    if len(entries) > limits.tensors:
        raise FileTooLarge(f"The state dict has {len(entries)} entries; the limit is {limits.tensors}.")
    total = sum(value.numel() for value in entries.values() if isinstance(value, Tensor))
    if total > limits.elements:
        raise FileTooLarge(f"The tensors have {total} elements together; the limit is {limits.elements}.")
    return {_name(name, limits): _clean(name, value, limits) for name, value in entries.items()}


def _name(name: str, limits: Limits) -> str:
    if not name or len(name) > limits.name_length or not name.isprintable():
        raise CorruptFile(f"The state dict has an entry called {show(name)}; a name is short and printable.")
    return name


def _clean(name: str, value: object, limits: Limits) -> Tensor:
    if isinstance(value, bool | int | float):
        return _number(name, value)
    if type(value) not in (Tensor, torch.nn.Parameter):
        raise UnsupportedTensor(
            f"The entry {show(name)} is {_article(value)}; a state dict holds tensors and numbers only."
        )
    assert isinstance(value, Tensor)
    error = _problem(name, value, limits)
    if error is not None:
        raise error
    tensor = value.detach()
    if tensor.dtype in INTEGERS:
        return tensor.contiguous()
    return _finite(name, tensor, tensor.to(torch.float32).contiguous())


def _problem(name: str, tensor: Tensor, limits: Limits) -> CheckpointError | None:
    """What speaks against `tensor`. A pickle's claims were checked before; this is what the library made of them."""
    if tensor.layout is not torch.strided or tensor.is_nested or tensor.is_quantized or tensor.device.type != "cpu":
        return described(unsupported("not dense, or on no real device"), name)
    if tensor.dtype not in FLOATS | INTEGERS:
        return described(unsupported(f"of type {str(tensor.dtype).removeprefix('torch.')}"), name)
    if tensor.dtype in INTEGERS and tensor.dim() and not name.endswith(INTEGER_BUFFERS):
        return described(
            Problem(UnsupportedTensor, "holds integers; upload the weights as floating point numbers"), name
        )
    numel = tensor.untyped_storage().nbytes() // tensor.element_size()
    problem = layout_problem(numel, tensor.storage_offset(), tuple(tensor.shape), tensor.stride(), limits.dimensions)
    return described(problem, name) if problem else None


def _finite(name: str, original: Tensor, tensor: Tensor) -> Tensor:
    count = tensor.numel() - int(torch.isfinite(tensor).sum())
    if not count:
        return tensor
    if torch.isfinite(original).all():
        text = f"has {count} of {tensor.numel()} values beyond the range of float32. Save the weights in float32"
    else:
        text = f"has {count} of {tensor.numel()} values NaN or infinite. Upload a checkpoint from before it diverged"
    raise NotFinite(f"The tensor {show(name)} {text}.")


def _number(name: str, value: float) -> Tensor:
    if isinstance(value, bool):
        return torch.tensor(value)
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise UnsupportedTensor(f"The entry {show(name)} is a whole number of more than 64 bits.")
        return torch.tensor(value, dtype=torch.int64)
    return _finite(name, torch.tensor(value, dtype=torch.float64), torch.tensor(value, dtype=torch.float32))


def _article(value: object) -> str:
    kind = type(value).__name__
    return "nothing (None)" if value is None else f"an {kind}" if kind[0] in "aeiouAEIOU" else f"a {kind}"
