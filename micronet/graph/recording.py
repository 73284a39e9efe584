"""Watching a module run: each ATen operation it calls becomes a node."""

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

from micronet.errors import CaptureFailed
from micronet.graph.ir import Argument, Node, Ref, Target
from micronet.graph.meta import on_meta
from micronet.graph.parts import IN_PARTS

aten = torch.ops.aten

_META = torch.device("meta")
_SAME_VALUE = frozenset({aten.lift_fresh.default, aten.detach.default, aten.detach_.default})
"""What torch.tensor(3.0) and torch.zeros(3) do to the constants they make; nothing here is ever differentiated."""

_MOVES = frozenset({aten.to.device, aten.to.dtype_layout})
"""To where the images or the weights are, which is one place: at most the type is another then."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One run: the name of the images, the nodes in order, and what the module returned, by name if it was made there.

    `weights` are the module's own, under its names for them; `literals` any other tensor it read.
    """

    images: str
    nodes: tuple[Node, ...]
    weights: Mapping[str, Tensor]
    literals: Mapping[str, Tensor]
    output: str | None
    output_shape: tuple[int, ...]


def record(module: nn.Module, input_shape: tuple[int, ...], batch: int) -> Recording:
    """Run `module` on `batch` images without data, on the meta device, and note what it calls.

    Inference mode keeps torch from breaking convolutions and the like into parts first; those of `IN_PARTS`
    become theirs. In-place operations become their pure twins. Raises what the module raises, and CaptureFailed.
    """
    recorder = _Recorder(module)
    with torch.inference_mode(), _slow_attention(), recorder.following(module):
        images = torch.empty(batch, *input_shape, device=_META)
        name = recorder.bind(images, "images")
        with recorder:
            output = module(images)
        made = recorder.name_of(output) if isinstance(output, Tensor) else None
        shape = tuple(output.shape) if isinstance(output, Tensor) else ()
    literals = {key: tensor.detach().clone() for key, tensor in recorder.literals.items()}
    return Recording(name, tuple(recorder.nodes), recorder.weights, literals, made, shape)


@contextmanager
def _slow_attention() -> Iterator[None]:
    """Attention as its matrix products; torch's shortcut for inference is one opaque operation."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


@dataclass(frozen=True, slots=True)
class _Seen:
    """A tensor's name, its twin without data, and how often its memory had been written when it got the name."""

    name: str
    meta: Tensor
    version: int
    kept: Tensor  # while it lives, no other tensor has its id


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees every operation below autograd and answers with a result that has a shape and no data."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.nodes: list[Node] = []
        self.literals: dict[str, Tensor] = {}
        self.weights = {key: tensor.detach() for key, tensor in [*module.named_parameters(), *module.named_buffers()]}
        self._device = next((tensor.device for tensor in self.weights.values()), torch.device("cpu"))
        self._taken: dict[str, int] = dict.fromkeys(self.weights, 1)
        self._seen: dict[int, _Seen] = {}
        self._written: dict[int, int] = {}
        self._layers: list[str] = []
        for key, tensor in [*module.named_parameters(), *module.named_buffers()]:
            self._bind(tensor, key)

    @contextmanager
    def following(self, module: nn.Module) -> Iterator[None]:
        """Know the innermost module that runs, by its path."""
        with ExitStack() as hooks:
            for path, child in module.named_modules():

                def enter(_module: nn.Module, _args: object, path: str = path) -> None:
                    self._layers.append(path)

                def leave(_module: nn.Module, _args: object, _result: object) -> None:
                    self._layers.pop()

                hooks.callback(child.register_forward_pre_hook(enter, prepend=True).remove)
                hooks.callback(child.register_forward_hook(leave).remove)
            yield

    def bind(self, tensor: Tensor, name: str) -> str:
        """Give `tensor` a name like `name` that nothing else has: relu, relu_1, relu_2."""
        name = self._free(name)
        self._bind(tensor, name)
        return name

    def name_of(self, tensor: Tensor) -> str | None:
        """Name of a tensor that the run made, as it stands now."""
        return self._read(tensor).name if id(tensor) in self._seen else None

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing here is compiled, and torch would take seconds to import the compiler that should skip it."""
        return False

    def __torch_dispatch__(
        self,
        func: OpOverload[..., Any],
        _types: object,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> object:
        """Record `func` and give its result."""
        if func in _SAME_VALUE:
            return args[0]
        if func in _MOVES:
            dtype, is_copy = _as_moved(args, kwargs or {})
            if dtype == args[0].dtype and not is_copy:
                return args[0]
            func, args, kwargs = aten.to.dtype, (args[0], dtype, *([False, True] if is_copy else [])), None
        written = _written_operand(func, args)
        target: Target = func if written is None else _pure_twin(func)
        pairs = [self._argument(argument) for argument in args]
        named = {key: self._argument(argument) for key, argument in (kwargs or {}).items()}
        result = on_meta(target, tuple(pair[1] for pair in pairs), {key: pair[1] for key, pair in named.items()})
        if target in IN_PARTS:
            with self:
                made = IN_PARTS[target](*args, **(kwargs or {}))
            if made is not NotImplemented:
                return made if written is None else self._overwritten(written, made)
        name = self._free(func._schema.name.partition("::")[2].rstrip("_"))
        layer = self._layers[-1] if self._layers else ""
        arguments = {key: pair[0] for key, pair in named.items()}
        self.nodes.append(Node(name, target, tuple(pair[0] for pair in pairs), arguments, layer))
        if written is not None:
            return self._rewritten(written, result, name)
        if isinstance(result, Tensor):
            return self._result(result, name)
        if isinstance(result, list | tuple):
            return type(result)(self._item(item, name, index, layer) for index, item in enumerate(result))
        raise CaptureFailed(f"{func} gives no tensor but {result!r}, which a graph cannot hold")

    def _result(self, result: Tensor, name: str) -> Tensor:
        if id(result) in self._seen:  # an operation with nothing to do gives its operand back
            result = aten.alias.default(result)
        self._bind(result, name)
        return result

    def _item(self, item: object, name: str, index: int, layer: str) -> object:
        if not isinstance(item, Tensor):
            return item
        key = self._free(f"{name}_item")
        self.nodes.append(Node(key, operator.getitem, (Ref(name), index), layer=layer))
        return self._result(item, key)

    def _overwritten(self, tensor: Tensor, made: Tensor) -> Tensor:
        """`tensor` after a composite overwrote it with what its parts made."""
        read = self._read(made)
        return self._rewritten(tensor, read.meta, read.name)

    def _rewritten(self, tensor: Tensor, result: object, name: str) -> Tensor:
        """`tensor` after it was overwritten: the same object under a new name; views of it are out of date."""
        meta = self._read(tensor).meta
        if not isinstance(result, Tensor) or (result.shape, result.dtype) != (meta.shape, meta.dtype):
            raise CaptureFailed(f"{name} changes the shape of a tensor in place; write it with a pure operation")
        self._written[_memory(meta)] = self._written.get(_memory(meta), 0) + 1
        self._seen[id(tensor)] = _Seen(name, meta, self._written[_memory(meta)], tensor)
        return tensor

    def _argument(self, argument: object) -> tuple[Argument, object]:
        """As the graph has it, and as the operation takes it on the meta device."""
        if isinstance(argument, Tensor):
            seen = self._read(argument)
            return Ref(seen.name), seen.meta
        if isinstance(argument, list | tuple):
            pairs = [self._argument(item) for item in argument]
            return tuple(pair[0] for pair in pairs), [pair[1] for pair in pairs]
        if isinstance(argument, torch.device):
            return (self._device if argument == _META else argument), _META
        return cast(Argument, argument), argument

    def _read(self, tensor: Tensor) -> _Seen:
        if id(tensor) not in self._seen:
            self.literals[self.bind(tensor, "constant")] = tensor
        seen = self._seen[id(tensor)]
        if seen.version != self._written.get(_memory(seen.meta), 0):
            raise CaptureFailed(
                f"{seen.name} is read after a view of it, or what it is a view of, was changed in place; "
                "write that with a pure operation"
            )
        return seen

    def _bind(self, tensor: Tensor, name: str) -> None:
        meta = tensor if tensor.is_meta else torch.empty(tensor.shape, dtype=tensor.dtype, device=_META)
        self._seen[id(tensor)] = _Seen(name, meta, self._written.get(_memory(meta), 0), tensor)

    def _free(self, name: str) -> str:
        count = self._taken.get(name, 0)
        self._taken[name] = count + 1
        return name if count == 0 else self._free(f"{name}_{count}")


def _as_moved(args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[torch.dtype, bool]:
    """What `_MOVES` make of the type of a tensor, and whether in memory of its own in any case."""
    x, _, dtype, _, is_copy = (*args, *(None, None, False, False)[len(args) - 1 :])[:5]
    return kwargs.get("dtype", dtype) or x.dtype, kwargs.get("copy", is_copy)


def _memory(tensor: Tensor) -> int:
    return cast(int, tensor.untyped_storage()._cdata)


def _written_operand(func: OpOverload[..., Any], args: Sequence[Any]) -> Tensor | None:
    """The operand that `func` overwrites and gives back, or None where it is pure."""
    if not func._schema.is_mutable:
        return None
    if not func._schema.name.endswith("_") or not args or not isinstance(args[0], Tensor):
        raise CaptureFailed(f"{func} writes into its operands in a way that has no pure twin")
    return args[0]


def _pure_twin(func: OpOverload[..., Any]) -> Callable[..., object]:
    """aten.relu for aten.relu_."""
    namespace, _, name = func._schema.name.partition("::")
    twin = getattr(getattr(getattr(torch.ops, namespace), name[:-1], None), func._overloadname, None)
    if twin is None:
        raise CaptureFailed(f"{func} works in place and has no pure twin")
    return cast(Callable[..., object], twin)
