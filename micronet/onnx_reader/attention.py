"""Attention, as the operations it is made of, which cost what the table says of it."""

import math

from micronet.onnx_reader.call import Call, Importers
from micronet.onnx_reader.elementwise import add
from micronet.onnx_reader.shapes import reshape
from micronet.onnx_reader.values import Floating, Known


def _attention(call: Call) -> Floating:
    """softmax(scale * Q K^T + mask) V for every head: (N, heads, tokens, depth), or (N, tokens, heads * depth).

    The scale is parted between Q and K, as ONNX defines it.
    A mask is one of floats. What language models need is refused: caches, causality, windows, heads that share keys.
    """
    query, key, value = _heads(call, 0, "q_num_heads"), _heads(call, 1, "kv_num_heads"), _heads(call, 2, "kv_num_heads")
    for name in ("is_causal", "softcap", "left_window_size", "right_window_size"):
        if call.has(name):
            _check_off(call, name)
    call.ignore("softmax_precision", "qk_matmul_output_mode")
    if call.count > 4:
        raise call.unsupported("keys and values of earlier calls, or lengths of them.")
    if key.shape[1] != query.shape[1] or value.shape[1] != query.shape[1]:
        raise call.unsupported("heads that share keys.")
    if query.shape[-1] == 0:
        raise call.corrupt("its queries have no elements.")
    scale = call.real("scale", 0.0) or 1 / math.sqrt(query.shape[-1])
    root = math.sqrt(abs(scale))
    query = call.emit("mul", query, math.copysign(root, scale))
    scores = call.emit("matmul", query, call.emit("mul", call.emit("permute", key, (0, 1, 3, 2)), root))
    if (mask := call.optional(3)) is not None:
        scores = _masked(call, scores, mask)
    result = call.emit("matmul", call.emit("softmax", scores, -1), value)
    return result if len(call.tensor(0).shape) == 4 else _together(call, result)


def _check_off(call: Call, name: str) -> None:
    """OnnxUnsupportedFeature unless the attribute says that there is none of it."""
    value = call.real(name, 0.0) if name == "softcap" else call.whole(name, 0)
    if value != (-1 if name.endswith("_size") else 0):
        raise call.unsupported(f"{name} is not read.")


def _heads(call: Call, index: int, count: str) -> Floating:
    """Operand `index` as (N, heads, tokens, depth)."""
    x, heads = call.tensor(index), call.whole(count, 0)
    if len(x.shape) == 4:
        return x
    if len(x.shape) != 3 or heads < 1 or x.shape[2] % heads:
        raise call.corrupt(f"operand {index} has no {heads} heads.")
    n, tokens, width = x.shape
    return call.emit("permute", reshape(call, x, (n, tokens, heads, width // heads)), (0, 2, 1, 3))


def _together(call: Call, x: Floating) -> Floating:
    """(N, heads, tokens, depth) as (N, tokens, heads * depth)."""
    n, heads, tokens, depth = x.shape
    return reshape(call, call.emit("permute", x, (0, 2, 1, 3)), (n, tokens, heads * depth))


def _masked(call: Call, scores: Floating, mask: Floating) -> Floating:
    if isinstance(mask, Known) and not mask.tensor.is_floating_point():
        raise call.unsupported("a mask of booleans; one of floats is added.")
    if mask.shape[-1:] != scores.shape[-1:]:
        raise call.unsupported("a mask shorter than the keys.")
    return add(call, scores, mask)


IMPORTERS: Importers = {"Attention": _attention}
