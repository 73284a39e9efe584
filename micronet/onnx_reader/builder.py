"""Builder: nodes are written down, constants are folded, and shapes are inferred before either."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import islice

import torch
from torch import Tensor

from micronet.errors import FileTooLarge, OnnxUnsupportedFeature
from micronet.graph.ir import Argument, Node, Ref, Target
from micronet.graph.meta import on_meta
from micronet.graph.names import Names
from micronet.onnx_reader.folding import Folding, may_fold
from micronet.onnx_reader.operands import Operand, integers_in, mapped, meta_of, operands_in, tensor_of
from micronet.onnx_reader.targets import EMITS, TAKES_INTEGERS, TARGETS
from micronet.onnx_reader.values import (
    BATCH,
    MAX_ELEMENTS,
    Floating,
    Known,
    Made,
    check_shape,
    holds_batch,
    multiple_of_batch,
    once,
    readable,
)
from micronet.onnx_reader.weights import Weights
from micronet.shown import show

MAX_INDEX = 2**63 - 1
"""What a slice to the end ends with, as torch writes it."""


class Builder:
    """Collects the nodes, weights and formats of a graph while its file is read.

    reserved     names of the initializers, kept for the weights they become
    file_batch   the batch size the file was saved for, None if it leaves N open
    guessed      whether a constant shape of such a file had to be read as one with N in it
    windows      names of images whose rows were taken apart into windows
    """

    def __init__(self, reserved: Iterable[str], file_batch: int | None) -> None:
        self.nodes: list[Node] = []
        self.file_batch = file_batch
        self.batch_source: tuple[Ref, int] | None = None
        self.guessed = False
        self.windows = set[str]()
        reserved = frozenset(reserved)
        self._values = Names(reserved)
        self.weights = Weights(self._values, reserved)
        self._layers = Names(())
        self._sizes: dict[int, Ref] = {}
        self._folding = Folding()
        self._what = ""
        self._names: tuple[str, ...] = ()
        self._first = 0

    @property
    def value_name(self) -> str:
        """Name in the file of the first value the present node makes."""
        return self._names[0] if self._names else "constant"

    def add_input(self, name: str, shape: tuple[int, ...]) -> Made:
        """A float32 input of the graph; `BATCH` in its shape stands for N."""
        check_shape(shape, f"Input {show(name)}")
        ref = Ref(self._values.new(_identifier(name), "_"))
        if BATCH in shape and self.batch_source is None:
            self.batch_source = (ref, shape.index(BATCH))
        return Made(ref, torch.empty(shape, device="meta"))

    def begin(self, what: str, names: tuple[str, ...]) -> None:
        """The nodes to come belong to the ONNX node `what`, which makes the values `names`."""
        self._what, self._names, self._first = what, names, len(self.nodes)

    def end(self, layer: str) -> None:
        """Give the nodes since `begin` their layers: the last one `layer` itself, helpers before it a suffix."""
        own = self.nodes[self._first :]
        for index, node in enumerate(own):
            last = index == len(own) - 1
            name = layer if last else f"{layer}.{_target_name(node.target)}"
            self.nodes[self._first + index] = replace(node, layer=self._layers.new(name, "."))

    def emit(self, target: Target, *args: Operand, **kwargs: Operand) -> Floating:
        """Value of `target`; computed now if every operand is known and no stored parameter would become more."""
        shape = self._infer(target, args, kwargs)
        assert isinstance(shape, Tensor)
        operands = list(operands_in((*args, *kwargs.values())))
        if all(isinstance(operand, Known) for operand in operands):
            known = [operand for operand in operands if isinstance(operand, Known)]
            if may_fold(target, known, shape):
                return self._fold(target, args, kwargs)
        return self._record(target, args, kwargs, shape)

    def emit_parts(self, target: Target, *args: Operand) -> list[Floating]:
        """Values of a `target` that gives several, each taken out with getitem."""
        shapes = self._infer(target, args, {})
        assert isinstance(shapes, list | tuple)
        if all(isinstance(operand, Known) for operand in operands_in(args)):
            parts = self._compute(target, args, {})
            assert isinstance(parts, list | tuple)
            return [*self._folding.folded(target, args, parts, self._what, self.value_name)]
        whole = self._append(target, args, {})
        return [Made(self._append(TARGETS["getitem"], (Made(whole, s), i), {}), s) for i, s in enumerate(shapes)]

    def fold(self, target: Target, *args: Operand, **kwargs: Operand) -> Known:
        """Value of `target` on constants only. OnnxUnsupportedFeature if an operand is made at run time."""
        known = [operand for operand in operands_in((*args, *kwargs.values())) if isinstance(operand, Known)]
        if len(known) != len(list(operands_in((*args, *kwargs.values())))):
            raise OnnxUnsupportedFeature(f"{self._what} is read on shapes and constants only, not on activations.")
        shape = self._infer(target, args, kwargs)
        assert isinstance(shape, Tensor)
        if holds_batch(shape, *(value.tensor for value in known)):
            raise OnnxUnsupportedFeature(
                f"{self._what} is read on constants of a fixed shape, not of one with N in it."
            )
        return self._fold(target, args, kwargs)

    def _infer(self, target: Target, args: tuple[Operand, ...], kwargs: Mapping[str, Operand]) -> object:
        """What `target` gives, without data; every size is checked before anything is computed."""
        for size in integers_in((*args, *kwargs.values())):
            if abs(size) > MAX_ELEMENTS and not multiple_of_batch(size) and size != MAX_INDEX:
                raise FileTooLarge(f"{self._what} asks for a size of {size:,}; at most {MAX_ELEMENTS:,} is allowed.")
        try:
            result = on_meta(
                target,
                tuple(mapped(argument, meta_of) for argument in args),
                {k: mapped(v, meta_of) for k, v in kwargs.items()},
            )
        except (RuntimeError, IndexError, ValueError, TypeError) as error:
            raise self._misfit(args, error) from error
        for part in result if isinstance(result, list | tuple) else [result]:
            assert isinstance(part, Tensor)
            check_shape(tuple(part.shape), f"A value of {self._what}")
        return result

    def _misfit(self, args: tuple[Operand, ...], error: Exception) -> Exception:
        message = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        if "allocate memory" in message:
            return MemoryError(message)
        if "overflow" in message:
            return FileTooLarge(f"{self._what} asks for more elements than can be counted.")
        shapes = " and ".join(readable(operand.shape) for operand in islice(operands_in(args), 4))
        fixed = f" The file was saved for a batch of {self.file_batch}; export it with a free batch size."
        advice = "." + fixed if self.file_batch is not None and self.file_batch > 1 else ""
        return OnnxUnsupportedFeature(
            f"{self._what} does not fit operands of shape {shapes}: {message.replace(str(BATCH), 'N')}{advice}"
        )

    def _compute(self, target: Target, args: tuple[Operand, ...], kwargs: Mapping[str, Operand]) -> object:
        """What `target` gives for constants; some refuse integers only once they see them."""
        try:
            return target(
                *(mapped(argument, tensor_of) for argument in args),
                **{key: mapped(v, tensor_of) for key, v in kwargs.items()},
            )
        except RuntimeError as error:
            raise self._misfit(args, error) from error

    def _fold(self, target: Target, args: tuple[Operand, ...], kwargs: Mapping[str, Operand]) -> Known:
        result = self._compute(target, args, kwargs)
        assert isinstance(result, Tensor)
        operands = (*args, *kwargs.values())
        (folded,) = self._folding.folded(target, operands, [result], self._what, self.value_name)
        return folded

    def _record(self, target: Target, args: tuple[Operand, ...], kwargs: Mapping[str, Operand], shape: Tensor) -> Made:
        if shape.dtype != torch.float32:
            raise OnnxUnsupportedFeature(f"{self._what} computes integers from activations; only float32 is read.")
        constants = [operand for operand in operands_in((*args, *kwargs.values())) if isinstance(operand, Known)]
        if target not in TAKES_INTEGERS and not all(value.tensor.is_floating_point() for value in constants):
            raise OnnxUnsupportedFeature(
                f"{self._what} mixes integers with activations, which ONNX forbids; a Cast makes floats of them."
            )
        return Made(self._append(target, args, kwargs), shape)

    def _append(self, target: Target, args: tuple[Operand, ...], kwargs: Mapping[str, Operand]) -> Ref:
        arguments = tuple(self._argument(argument) for argument in args)
        named = {key: self._argument(argument) for key, argument in kwargs.items()}
        assert target in EMITS, target
        name = self._values.new(_identifier(self.value_name), "_")
        self.nodes.append(Node(name, target, arguments, named))
        return Ref(name)

    def _argument(self, operand: Operand) -> Argument:
        if isinstance(operand, Known):
            return self._constant(operand)
        if isinstance(operand, Made):
            return operand.ref
        if isinstance(operand, tuple):
            return tuple(self._argument(item) for item in operand)
        if isinstance(operand, int) and operand != MAX_INDEX and multiple_of_batch(operand) > 0:
            return self._size(multiple_of_batch(operand))
        return operand

    def _constant(self, known: Known) -> Ref:
        """The weight that holds `known`; what is the same for every image is stored once, and spread at run time; so is
        a matrix that is read transposed, too, and turned then."""
        if not holds_batch(known.tensor):
            turned = self.weights.transposed(known)
            if turned is not None:
                return self._append(TARGETS["permute"], (turned, (1, 0)), {})
            return self.weights.ref(known, self._what)
        stored = replace(known, tensor=once(known.tensor))
        assert not holds_batch(stored.tensor), "a constant is never computed for each image of a batch"
        return self._append(TARGETS["expand"], (stored, known.shape), {})

    def _size(self, times: int) -> Ref:
        """`times` N, read off the input when the graph runs."""
        assert self.batch_source is not None
        if times not in self._sizes:
            source, axis = self.batch_source
            if times == 1:
                self._sizes[times] = self._plain(TARGETS["sym_size"], source, axis)
            else:
                self._sizes[times] = self._plain(TARGETS["times"], self._size(1), times)
        return self._sizes[times]

    def _plain(self, target: Target, *args: Argument) -> Ref:
        name = self._values.new("batch_size", "_")
        self.nodes.append(Node(name, target, args))
        return Ref(name)


def _identifier(name: str) -> str:
    cleaned = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_") or "value"
    return f"value_{cleaned}" if cleaned[0].isdigit() else cleaned


def _target_name(target: Target) -> str:
    return str(getattr(target, "__name__", target)).split(".")[0]
