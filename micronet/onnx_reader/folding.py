"""Constants that an import computes: which may be, and what they are then: their names, types, widths and grids."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from onnx import TensorProto
from torch import Tensor

from micronet.errors import CorruptFile, FileTooLarge, OnnxUnsupportedFeature
from micronet.graph.grid import Grid
from micronet.graph.ir import Target
from micronet.graph.moved_grids import moved_steps, steps_of
from micronet.onnx_reader.kinds import check_held
from micronet.onnx_reader.operands import Operand, mapped, operands_in, tensor_of
from micronet.onnx_reader.targets import FOLD_ONLY, LAYOUT, MOVES, TARGETS
from micronet.onnx_reader.tensors import FLOATS, type_name
from micronet.onnx_reader.values import BATCH, MAX_ELEMENTS, Known, carries_batch, holds_batch, literal, once


def may_fold(target: Target, known: list[Known], shape: Tensor) -> bool:
    """Whether `target`, which gives `shape`, is computed of the constants `known` now.

    Parameters may be rearranged and combined ahead of time, as long as that does not make more of them.
    What has N in its shape takes no memory as long as it only repeats, and is only looked at in another way.
    """
    if holds_batch(shape, *(value.tensor for value in known)):
        looks = target is not TARGETS["reshape"] or all(once(value.tensor).numel() <= 1 for value in known)
        if target not in LAYOUT or not looks:
            return False
    parameters = [value.tensor.numel() for value in known if value.counted and value.tensor.is_floating_point()]
    return not parameters or shape.numel() <= sum(parameters)


class Folding:
    """Makes constants of results, of MAX_ELEMENTS elements together at most."""

    def __init__(self) -> None:
        self._elements = 0

    def folded(
        self, target: Target, operands: tuple[Operand, ...], results: Sequence[Tensor], what: str, name: str
    ) -> list[Known]:
        """The `results` of `target` on `operands`, all of them known, as constants.

        `what` is how errors name the node, and `name` what the constants are called if no operand is a parameter.
        """
        known = [operand for operand in operands_in(operands) if isinstance(operand, Known)]
        moves = target in MOVES
        grids = _moved_grids(target, operands, results) if moves else [None] * len(results)
        bits = known[0].bits if moves else None
        parents = [value for value in known if value.counted]
        made = []
        for result, grid in zip(results, grids, strict=True):
            self._check(result, known, what)
            kind = known[0].kind if moves else _kind(target, result, known, what)
            if not moves and not any(carries_batch(value) for value in known):
                check_held(result, kind, what)
            one = Known(result, parents[0].name if parents else name, counted=bool(parents), kind=kind)
            made.append(replace(one, grid=grid, bits=bits, trained=any(value.trained for value in known)))
        return made

    def _check(self, result: Tensor, known: list[Known], what: str) -> None:
        if 0 not in result.stride():
            self._elements += result.numel()
        if self._elements > MAX_ELEMENTS:
            raise FileTooLarge(f"Up to {what}, constants of over {MAX_ELEMENTS:,} elements would be computed.")
        if result.dtype == torch.int64 and any(carries_batch(value) for value in known):
            sizes = once(result)
            if bool(((sizes.abs() > MAX_ELEMENTS) & (sizes % BATCH != 0)).any()):
                raise OnnxUnsupportedFeature(f"{what}: a size is no multiple of the batch, and no constant.")


def _kind(target: Target, result: Tensor, known: list[Known], what: str) -> int:
    """Element type of what `target` computes of constants. CorruptFile where ONNX wants them to be of one type."""
    operands = known[1:] if target is FOLD_ONLY["where"] else known
    types = {TensorProto.FLOAT if value.kind in FLOATS else value.kind for value in operands}
    if len(types) > 1 and target is not TARGETS["pow"]:
        names = " and ".join(sorted(map(type_name, types)))
        raise CorruptFile(f"{what} mixes {names}, which ONNX forbids; a Cast makes one type of them.")
    alike = (value.kind for value in operands if value.tensor.dtype == result.dtype)
    return next(alike, literal(result).kind)


def _moved_grids(target: Target, args: tuple[Operand, ...], results: Sequence[Tensor]) -> list[Grid | None]:
    """The grid of each part of a constant that is only moved about, where one axis of it has a step per index."""
    source = args[0] if args else None
    if not isinstance(source, Known) or source.grid is None:
        return [None] * len(results)

    def move(numbers: list[Tensor]) -> list[Tensor]:
        moved = target(*numbers, *(mapped(argument, tensor_of) for argument in args[1:]))
        assert isinstance(moved, Tensor | list | tuple)
        return [once(part) for part in ([moved] if isinstance(moved, Tensor) else moved)]

    steps = moved_steps([steps_of(source.shape, source.grid)], move, [once(result).shape for result in results])
    assert steps is not None
    return [one.grid() for one in steps]
