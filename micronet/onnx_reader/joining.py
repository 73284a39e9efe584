"""Values parted and joined: Split, Concat."""

from micronet.onnx_reader.call import Call, Importers
from micronet.onnx_reader.shapes import axes_in, expand
from micronet.onnx_reader.targets import TARGETS
from micronet.onnx_reader.tensors import MAX_RANK
from micronet.onnx_reader.values import BATCH, Floating, Known, multiple_of_batch
from micronet.shown import show_some


def _split(call: Call) -> list[Floating]:
    x = call.tensor(0)
    (axis,) = axes_in(call, (call.whole("axis", 0),), len(x.shape))
    most = max(call.output_count, MAX_RANK)
    sizes = call.ints("split", most) if call.opset < 13 else call.integers(1, most)
    parts = call.whole("num_outputs", call.output_count) if call.opset >= 18 else call.output_count
    size = x.shape[axis]
    if sizes is None:
        if parts < 1 or parts != call.output_count or (size % parts and call.opset < 18):
            raise call.corrupt(f"{size} does not split into {parts} parts.")
        each = -(-size // parts)
        sizes = (*(each,) * (parts - 1), size - each * (parts - 1))
    if sum(sizes) != size or min(sizes, default=0) < 0 or len(sizes) != call.output_count:
        raise call.corrupt(f"{size} does not split into {show_some(sizes)}.")
    return call.build.emit_parts(TARGETS["split"], x, sizes, axis)


def _concat(call: Call) -> Floating:
    parts = call.tensors()
    ranks = {len(part.shape) for part in parts}
    if len(ranks) != 1:
        raise call.corrupt("its operands have differing numbers of dimensions.")
    (axis,) = axes_in(call, (call.whole("axis", 1 if call.opset < 4 else 0),), ranks.pop())
    parts = _spread(call, parts, axis)
    return parts[0] if len(parts) == 1 else call.emit("cat", tuple(parts), axis)


def _spread(call: Call, parts: list[Floating], axis: int) -> list[Floating]:
    """In a file saved for a fixed batch size, a constant beside activations, such as a class token, follows N."""
    leads = {part.shape[0] for part in parts if part.shape and multiple_of_batch(part.shape[0])}
    if axis == 0 or len(leads) != 1:
        return parts
    lead = leads.pop()
    alone = [isinstance(part, Known) and part.shape[0] == 1 for part in parts]
    if lead != BATCH or not any(alone):
        return parts
    call.build.guessed = True
    return [
        expand(call, part, (lead, *part.shape[1:])) if single else part
        for part, single in zip(parts, alone, strict=True)
    ]


IMPORTERS: Importers = {"Split": _split, "Concat": _concat}
