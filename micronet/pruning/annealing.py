"""Directions that come back: what is kept of them when they go, and a block grown by them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from micronet.pruning.eigenbasis import Eigenbasis, Kept, restricted
from micronet.pruning.pieces import Affine, Pieces


@dataclass(frozen=True, slots=True)
class Returning:
    """What a block gets back: rows of its rotation in, columns of its rotation out; float64.

    `core` is the whole core with them as it was, those that come back behind those that stayed.
    """

    core: Tensor
    rotation_in: Affine | None
    rotation_out: Tensor | None

    def tensors(self) -> dict[str, Tensor]:
        """To be written down."""
        before = self.rotation_in
        named = {
            "core": self.core,
            "rotation_in": None if before is None else before.weight,
            "rotation_in_bias": None if before is None else before.bias,
            "rotation_out": self.rotation_out,
        }
        return {name: tensor for name, tensor in named.items() if tensor is not None}

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> "Returning":
        """What `tensors()` gave."""
        rows = tensors.get("rotation_in")
        before = None if rows is None else Affine(rows, tensors.get("rotation_in_bias"))
        return cls(tensors["core"], before, tensors.get("rotation_out"))


def returning(pieces: Pieces, basis: Eigenbasis, kept: Kept, back: Kept) -> Returning:
    """Of `pieces`, which are about to be restricted to `kept`, what it takes to give them `back` afterwards."""
    whole = restricted(pieces, basis, Kept(_joined(kept.inputs, back.inputs), _joined(kept.outputs, back.outputs)))
    before, after = None, None
    if kept.inputs is not None and whole.rotation_in is not None:
        rows, bias = whole.rotation_in.weight[len(kept.inputs) :], whole.rotation_in.bias
        before = Affine(rows, None if bias is None else bias[len(kept.inputs) :])
    if kept.outputs is not None and whole.rotation_out is not None:
        after = whole.rotation_out.weight[:, len(kept.outputs) :]
    return Returning(whole.core.weight, before, after)


def grown(pieces: Pieces, back: Returning) -> Pieces:
    """`pieces`, whatever their weights are by now, with what comes back, as it was."""
    own, whole = pieces.core.weight, back.core.clone()
    whole[: own.shape[0], : own.shape[1]] = own
    bias = pieces.core.bias
    if bias is not None:
        bias = torch.cat([bias, bias.new_zeros(len(whole) - len(own))])
    before, after = pieces.rotation_in, pieces.rotation_out
    if before is not None and back.rotation_in is not None:
        parts = [before.bias, back.rotation_in.bias]
        biases = [part for part in parts if part is not None]
        joined = torch.cat(biases) if len(biases) == 2 else None
        before = Affine(torch.cat([before.weight, back.rotation_in.weight]), joined)
    if after is not None and back.rotation_out is not None:
        after = replace(after, weight=torch.cat([after.weight, back.rotation_out], 1))
    return Pieces(Affine(whole, bias), before, after)


def _joined(kept: Tensor | None, back: Tensor | None) -> Tensor | None:
    return kept if kept is None or back is None else torch.cat([kept, back])
