"""Borders around values."""

import torch

from micronet.onnx_writer.call import Call, Writers

aten = torch.ops.aten


def _pad(call: Call) -> str:
    """A border of one number; torch writes pairs from the last axis on, ONNX all befores and then all afters."""
    is_plain = call.node.target is aten.constant_pad_nd.default
    if not is_plain and call.argument(2) != "constant":
        raise call.refuse(f"a border of copied elements ({call.argument(2)}) beside one that is cut off; slice first.")
    amounts, rank = call.integers(1), len(call.sizes(0))
    before, after = [0] * rank, [0] * rank
    for pair in range(len(amounts) // 2):
        before[rank - 1 - pair], after[rank - 1 - pair] = amounts[2 * pair : 2 * pair + 2]
    if not any(amounts):
        return call.value(0)
    value = call.argument(2 if is_plain else 3)
    number = call.draft.number(float(value) if isinstance(value, int | float) else 0.0)
    return call.emit("Pad", call.value(0), call.draft.vector((*before, *after)), number)


WRITERS: Writers = {
    aten.constant_pad_nd.default: _pad,
    aten.pad.default: _pad,
}
