"""Widths a file declares for weights that lie in wider integers: 9 bits in int16. Believed only as far as they fit."""

import re

from onnx import ModelProto, TensorProto

from micronet.errors import CorruptFile
from micronet.onnx_reader.kinds import integers_of
from micronet.onnx_reader.quantization import RANGES
from micronet.onnx_reader.tensors import to_torch
from micronet.shown import show

KEY = "micronet.bits:"
"""What the keys of the file's metadata begin with; the name of an initializer follows, and the value is its width."""


def declared_bits(model: ModelProto) -> dict[str, int]:
    """Declared width of initializers of integers, by name.

    Raises CorruptFile where a declaration is of no such initializer, or where its integers do not fit.
    """
    initializers = {tensor.name: tensor for tensor in model.graph.initializer}
    declared: dict[str, int] = {}
    for entry in model.metadata_props:
        if not entry.key.startswith(KEY):
            continue
        name = entry.key.removeprefix(KEY)
        if name in declared:
            raise CorruptFile(f"The file declares the width of {show(name)} twice.")
        if name not in initializers or initializers[name].data_type not in RANGES:
            raise CorruptFile(f"The file declares a width for {show(name)}, which is no initializer of integers.")
        declared[name] = _checked(initializers[name], entry.value)
    return declared


def _checked(tensor: TensorProto, value: str) -> int:
    widest, lowest, _ = RANGES[tensor.data_type]
    bits = int(value) if re.fullmatch("[0-9]{1,2}", value) else 0
    if not 2 <= bits <= widest:
        raise CorruptFile(
            f"The file declares {show(value[:20])} bits for {show(tensor.name)}; 2 to {widest} can be right."
        )
    low, high = integers_of(bits, signed=lowest < 0)
    integers = to_torch(tensor)
    if bool(((integers < low) | (integers > high)).any()):
        raise CorruptFile(f"The file declares {bits} bits for {show(tensor.name)}, whose integers need more.")
    return bits
