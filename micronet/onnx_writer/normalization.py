"""Normalizations, and Dropout."""

import torch

from micronet.onnx_writer.call import Call, Writers

aten = torch.ops.aten


def _batch_norm(call: Call) -> str:
    """BatchNormalization; a scale or shift that is not there is 1 or 0, which is no parameter."""
    if call.argument(5):
        raise call.refuse("a batch norm that takes its statistics from the batch.")
    channels = call.fixed(0, 1)
    parameters = [
        call.value(index) if call.is_value(index) else call.draft.filled(torch.tensor([default]), (channels,))
        for index, default in ((1, 1.0), (2, 0.0))
    ]
    return call.emit(
        "BatchNormalization", call.value(0), *parameters, call.value(3), call.value(4), epsilon=float(call.number(7))
    )


def _layer_norm(call: Call) -> str:
    inputs = [call.value(0), _scale(call, 2), *([call.value(3)] if call.is_value(3) else [])]
    return call.emit("LayerNormalization", *inputs, axis=-len(call.integers(1)), epsilon=float(call.number(4)))


def _group_norm(call: Call) -> str:
    if not call.is_value(3):
        raise call.refuse("a group norm without shift.")
    return call.emit(
        "GroupNormalization",
        call.value(0),
        _scale(call, 2),
        call.value(3),
        num_groups=call.whole(1),
        epsilon=float(call.number(4)),
    )


def _scale(call: Call, index: int) -> str:
    if not call.is_value(index):
        raise call.refuse("a normalization without scale; ONNX needs one, which would count.")
    return call.value(index)


def _dropout(call: Call) -> str:
    """Nothing to whoever runs the file, and what share to drop to whoever trains it."""
    return call.emit("Dropout", call.value(0), call.value(1)) if call.number(1) else call.value(0)


WRITERS: Writers = {
    aten.batch_norm.default: _batch_norm,
    aten.layer_norm.default: _layer_norm,
    aten.group_norm.default: _group_norm,
    aten.dropout.default: _dropout,
}
