"""The globals a checkpoint's pickle may name as values, and the words to refuse the others with."""

from collections.abc import Mapping
from typing import NoReturn

import torch

from micronet.errors import UnsafePickle
from micronet.shown import show

STORAGES: Mapping[str, torch.dtype] = {
    "torch.FloatStorage": torch.float32,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.DoubleStorage": torch.float64,
    "torch.LongStorage": torch.int64,
    "torch.IntStorage": torch.int32,
    "torch.ShortStorage": torch.int16,
    "torch.CharStorage": torch.int8,
    "torch.ByteStorage": torch.uint8,
    "torch.BoolStorage": torch.bool,
    # Known, so that their tensors can be refused by name.
    "torch.ComplexFloatStorage": torch.complex64,
    "torch.ComplexDoubleStorage": torch.complex128,
    "torch.QInt8Storage": torch.qint8,
    "torch.QUInt8Storage": torch.quint8,
    "torch.QInt32Storage": torch.qint32,
    "torch.storage.UntypedStorage": torch.uint8,
}

UNSUPPORTED_TENSORS: Mapping[str, str] = {
    "torch._utils._rebuild_sparse_tensor": "sparse in layout",
    "torch._utils._rebuild_qtensor": "quantized",
    "torch._utils._rebuild_meta_tensor_no_storage": "on the meta device, without values",
    "torch._utils._rebuild_nested_tensor": "nested",
    "torch._utils._rebuild_tensor_v3": "of a type without a storage class (float8, unsigned integers)",
    "torch._utils._rebuild_wrapper_subclass": "a wrapper around other tensors",
    "torch._utils._rebuild_device_tensor_from_numpy": "from a device without storages",
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": "from a device without storages",
    "torch._utils._rebuild_parameter_with_state": "a parameter with attributes of its own",
    "torch._tensor._rebuild_from_type_v2": "a tensor with attributes or a class of its own",
}
"""Functions that rebuild tensors no score can be derived from, and what those tensors are."""

INERT = frozenset(
    {str(dtype) for dtype in vars(torch).values() if isinstance(dtype, torch.dtype)}
    | {
        "torch.per_tensor_affine",
        "torch.per_channel_affine",
        "torch.per_channel_affine_float_qparams",
        "torch.Tensor",
        "torch.nn.parameter.Parameter",
    }
)
"""Names that may stand in a pickle as values, and may not be called."""

ADVICE = "Nothing in it was run. Save only the tensors: torch.save(model.state_dict(), path)."


def full_name(module: str, name: str) -> str:
    """`module.name`, with Python 2's name of the builtins replaced by today's."""
    return f"{'builtins' if module == '__builtin__' else module}.{name}"


def refuse(name: str) -> NoReturn:
    """Raise UnsafePickle for a global that is not allowed, with advice that fits what it probably is."""
    raise UnsafePickle(f"The pickle asks for {show(name)}, {_kind(name)}. {ADVICE}")


def _kind(name: str) -> str:
    if name.startswith("numpy."):
        return "a NumPy object; convert NumPy values (a best accuracy, say) to tensors or numbers, or leave them out"
    if name.startswith("torch.nn.") or name.startswith("__main__."):
        return "which looks like a whole model instead of its state dict"
    return "which is code, not a tensor"
