"""The weights of a graph while it is built: each stored once, under the name its file gives it."""

from dataclasses import replace

import torch
from torch import Tensor

from micronet.errors import FINITE_MASK, NotFinite, OnnxUnsupportedFeature
from micronet.graph.grid import Grid
from micronet.graph.ir import Ref
from micronet.graph.names import Names
from micronet.onnx_reader.values import Known, Made, carries_batch, check_shape
from micronet.shown import show


class Weights:
    """Tensors by name, the grids of the quantized ones, and the names of those that are no parameters.

    names        names taken by weights, nodes and inputs together
    reserved     names of the initializers, kept for the weights they become
    """

    def __init__(self, names: Names, reserved: frozenset[str]) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.formats: dict[str, Grid] = {}
        self.literals: set[str] = set()
        self._names = names
        self._reserved = reserved
        self._refs: dict[int, tuple[Tensor, Ref]] = {}

    def ref(self, known: Known, what: str) -> Ref:
        """The weight that holds `known`, made on first use; one tensor is one weight however often it is read."""
        if id(known.tensor) in self._refs:
            return self._refs[id(known.tensor)][1]
        _check(known, what)
        tensor = known.tensor.contiguous()
        ref = self._same(known.name, tensor) or self._new(known, tensor)
        self._refs[id(known.tensor)] = (known.tensor, ref)
        return ref

    def transposed(self, known: Known) -> Made | None:
        """The weight of which `known` is the transposition, a matrix of the same initializer; None where it is none."""
        other, tensor = self.tensors.get(known.name), known.tensor
        if other is None or id(tensor) in self._refs or not known.counted or tensor.dim() != 2 or other.dim() != 2:
            return None
        if self._same(known.name, tensor) is not None or not torch.equal(other.t(), tensor):
            return None
        grid = self.formats.get(known.name)
        if grid is not None and grid.axis is not None:
            grid = replace(grid, axis=1 - grid.axis)
        return Made(Ref(known.name), other.to("meta")) if grid == known.grid else None

    def _same(self, name: str, tensor: Tensor) -> Ref | None:
        other = self.tensors.get(name)
        return Ref(name) if other is not None and other.dtype == tensor.dtype and torch.equal(other, tensor) else None

    def _new(self, known: Known, tensor: Tensor) -> Ref:
        # an initializer's own name was reserved for its first weight; anything else takes a new one
        first = known.counted and known.name not in self.tensors and known.name in self._reserved
        name = known.name if first else self._names.new(known.name, "_")
        if not known.counted and _is_one_number(tensor):
            self.literals.add(name)
        self.tensors[name] = tensor
        if known.grid is not None:
            self.formats[name] = known.grid
        return Ref(name)


def _is_one_number(tensor: Tensor) -> bool:
    """Whether there is one number, however often: what is put together from many is a parameter. Indices are none."""
    return not tensor.is_floating_point() or tensor.numel() == 0 or bool((tensor == tensor.reshape(-1)[0]).all())


def _check(known: Known, what: str) -> None:
    check_shape(known.shape, f"Constant {show(known.name)}")
    if known.tensor.is_floating_point() and not bool(torch.isfinite(known.tensor).all()):
        raise NotFinite(f"Constant {show(known.name)} holds NaN or infinity. {FINITE_MASK}")
    if carries_batch(known):
        raise OnnxUnsupportedFeature(f"{what} computes with the batch size; each image must stand alone.")
