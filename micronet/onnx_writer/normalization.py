"""Normalizations, and Dropout."""

import torch

from micronet.onnx_writer.call import Call, Writers

aten = torch.ops.aten


def _batch_norm(call: Call) -> str:
    """BatchNormalization; a scale or shift that is not there is 1 or 0, which is no parameter."""
    if call.argument(5):
        raise call.refuse("a batch norm that takes its statistics from the batch.")
    channels = call.fixed(0, 1)
    affine = _or_filled(call, 1, 1.0, (channels,)), _or_filled(call, 2, 0.0, (channels,))
    return call.emit(
        "BatchNormalization", call.value(0), *affine, call.value(3), call.value(4), epsilon=float(call.number(7))
    )


def _layer_norm(call: Call) -> str:
    inputs = [call.value(0), _or_filled(call, 2, 1.0, call.integers(1)), *([call.value(3)] if call.is_value(3) else [])]
    return call.emit("LayerNormalization", *inputs, axis=-len(call.integers(1)), epsilon=float(call.number(4)))


def _group_norm(call: Call) -> str:
    channels = call.fixed(0, 1)
    return call.emit(
        "GroupNormalization",
        call.value(0),
        _or_filled(call, 2, 1.0, (channels,)),
        _or_filled(call, 3, 0.0, (channels,)),
        num_groups=call.whole(1),
        epsilon=float(call.number(4)),
    )


def _or_filled(call: Call, index: int, number: float, shape: tuple[int, ...]) -> str:
    """Argument `index`; ONNX demands one where there is none, and what says `number` throughout is no parameter."""
    return call.value(index) if call.is_value(index) else call.draft.filled(torch.tensor([number]), shape)


def _dropout(call: Call) -> str:
    """Nothing to whoever runs the file, and what share to drop to whoever trains it."""
    return call.emit("Dropout", call.value(0), call.value(1)) if call.number(1) else call.value(0)


WRITERS: Writers = {
    aten.batch_norm.default: _batch_norm,
    aten.layer_norm.default: _layer_norm,
    aten.group_norm.default: _group_norm,
    aten.dropout.default: _dropout,
}
