"""A GPU that is pretended: its tensors are computed on the CPU, and what CUDA would refuse, or get wrong, is a Fault.

On it lies what was made there or brought there, and nothing else takes part: no tensor and no generator of the CPU, no
kernel and no type of numbers that CUDA lacks. A stream knows only what it has waited for, and a recording is its
operations, done again on the same memory. Whenever the program waits for the GPU, that is counted.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any

import pytest
import torch
import torch.optim.optimizer as optimizers
import torch.utils._foreach_utils as foreach
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from micronet.training.gradients import recording_stream
from tests.micronet.cuda_arithmetic import as_cuda_computes

aten = torch.ops.aten

GPU, CPU = torch.device("cuda:0"), torch.device("cpu")
BACK = torch.device("cpu", 0)
"""The CPU, said by Python to a tensor of the GPU: to C++, which believes it to be there, it is `cpu`."""

_MOVES = frozenset({aten._to_copy.default, aten.copy_.default})
_PRODUCTS = frozenset({aten.mm.default, aten.bmm.default, aten.addmm.default, aten.baddbmm.default})
_PRODUCTS |= {aten.convolution.default, aten.conv2d.default, aten.linear.default, aten.matmul.default}
_WAITED_FOR = frozenset({aten._local_scalar_dense.default, aten.equal.default, aten.nonzero.default})
_WAITED_FOR |= {aten.masked_select.default, aten._unique2.default, aten.linalg_eigh.default, aten._linalg_eigh.default}
_WAITED_FOR |= {aten.fake_quantize_per_channel_affine_cachemask.default}  # looks at the zero points
_TAKES_NUMBERS = frozenset({aten.masked_fill.Tensor, aten.masked_fill_.Tensor, aten.index_put_.default})


class Fault(AssertionError):
    """What would have gone wrong on CUDA."""


class Stream:
    """As torch.cuda.Stream: what is asked of it is done in order, and at any time beside what others are asked."""

    def __init__(self, device: object = None, priority: int = 0) -> None:
        self._done: dict[Stream, int] = {self: 0}

    @property
    def now(self) -> int:
        """How much it was asked so far."""
        return self._done[self]

    def go_on(self) -> None:
        self._done[self] += 1

    def has_waited(self, stream: "Stream", when: int) -> bool:
        return self._done.get(stream, 0) >= when

    def wait_stream(self, other: "Stream") -> None:
        for stream, when in other._done.items():
            self._done[stream] = max(when, self._done.get(stream, 0))


class Memory:
    """What tensors that share it have in common: which stream it is of, when it was written, and who reads it."""

    def __init__(self, gpu: "Gpu") -> None:
        self._gpu, self._owner = gpu, gpu.stream
        self._written = gpu.stream, gpu.stream.now
        self._readers: dict[Stream, int] = {}
        self._is_of_a_recording = gpu.recording is not None  # which gives it to nobody else
        self.kept_for: set[Stream] = set()

    def read(self, stream: Stream) -> None:
        if not stream.has_waited(*self._written):
            raise Fault("a stream reads what another one is writing: wait_stream orders them")
        self._readers[stream] = stream.now

    def write(self, stream: Stream) -> None:
        self._written = stream, stream.now

    def __del__(self) -> None:
        """Its stream may write into it from now on, whatever others are doing."""
        late = {reader for reader, when in self._readers.items() if not self._owner.has_waited(reader, when)}
        if late - self.kept_for and not self._is_of_a_recording:
            self._gpu.faults.append("memory is given back while another stream reads it: record_stream keeps it")


class There(Tensor):
    """A tensor on the pretended device. `here` are its values, on the CPU, laid out as it is.

    It is of the CPU to all that is written in C++, where no other device is known: Python is told otherwise.
    """

    here: Tensor
    memory: Memory

    @staticmethod
    def __new__(cls, here: Tensor, memory: Memory) -> "There":
        make: Callable[..., There] = torch.Tensor._make_wrapper_subclass
        made = make(cls, here.shape, here.stride(), here.storage_offset(), dtype=here.dtype, device=CPU)
        made.here, made.memory = here, memory
        return made

    def __init__(self, here: Tensor, memory: Memory) -> None: ...

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise Fault(f"{func} of a pretended tensor from another thread, or after the pretended GPU has gone")

    device = property(lambda self: GPU)
    is_cuda = property(lambda self: True)
    is_cpu = property(lambda self: False)

    def to(self, *args: Any, **kwargs: Any) -> Tensor:
        device, dtype, _, memory_format = torch._C._nn._parse_to(
            *(one.device if isinstance(one, There) else one for one in args),
            **{key: value for key, value in kwargs.items() if key != "copy"},
        )
        if device is not None and device.type == "cpu":
            dtype = self.dtype if dtype is None else dtype
            back: Tensor = aten._to_copy.default(self, dtype=dtype, device=BACK, memory_format=memory_format)
            return back
        return super().to(dtype=self.dtype if dtype is None else dtype, copy=kwargs.get("copy", False))

    def __repr__(self) -> str:  # type: ignore[override]
        return f"There({self.here!r})"

    def cpu(self) -> Tensor:  # type: ignore[override]
        return self.to(CPU)

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def numpy(self, *, force: bool = False) -> Any:
        raise Fault("numpy knows no tensors of the GPU")

    def record_stream(self, stream: Any) -> None:
        self.memory.kept_for.add(stream)


class _Indexed(TorchFunctionMode):
    """`cuda` is `cuda:0`: which one it is torch would ask the device."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        def indexed(one: object) -> object:
            return GPU if isinstance(one, str | torch.device) and str(one) == "cuda" else one

        return func(*map(indexed, args), **{key: indexed(one) for key, one in (kwargs or {}).items()})


class Recording:
    """As torch.cuda.CUDAGraph."""

    def __init__(self) -> None:
        self.steps: list[Callable[[], None]] = []

    def replay(self) -> None:
        for step in self.steps:
            step()


class Gpu(TorchDispatchMode):
    """The device. `waits` are the operations for which the program waited until all that was asked before was done."""

    def __init__(self) -> None:
        super().__init__()
        self.stream = Stream()
        self.drawn = torch.Generator().get_state()
        self.recording: Recording | None = None
        self.faults: list[str] = []
        self.waits: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is aten.is_pinned.default:
            return _is_page_locked(args[0])
        if func is aten._pin_memory.default:
            return _page_locked(args[0])
        operands = [*_leaves([*args, *kwargs.values()])]
        there = [one for one in operands if isinstance(one, There)]
        device = kwargs.get("device")
        if not there and (device is None or device.type != "cuda"):
            return func(*args, **kwargs)
        if device is not None:
            kwargs["device"] = CPU
        if func in _MOVES:
            return self._moved(func, args, kwargs, there, device)
        self._check(func, operands)
        if func in _WAITED_FOR or _chooses_by_mask(func, args):
            self._wait(func)
        return self._computed(func, args, kwargs, there)

    def _check(self, func: Any, operands: Sequence[Any]) -> None:
        """Raise Fault for what CUDA cannot do."""
        if func.namespace != "aten" or "mkldnn" in str(func):
            raise Fault(f"{func} is of the CPU alone")
        if any(isinstance(one, torch.Generator) for one in operands):
            raise Fault(f"{func} on the GPU draws from a generator of the CPU")
        tensors = [one for one in operands if isinstance(one, Tensor)]
        takes_numbers = torch.Tag.pointwise in func.tags or func in _TAKES_NUMBERS
        if any(not isinstance(one, There) and (one.dim() or not takes_numbers) for one in tensors):
            raise Fault(f"{func} of tensors on two devices")
        if func in _PRODUCTS and not all(one.is_floating_point() for one in tensors):
            raise Fault(f"{func} of integers, which CUDA does not multiply so")

    def _wait(self, why: object) -> None:
        if self.recording is not None:
            raise Fault(f"{why} waits for the GPU in the middle of a recording")
        self.waits.append(str(why))

    def _moved(self, func: Any, args: Any, kwargs: Any, there: list[There], device: torch.device | None) -> Any:
        """A copy from one device to the other, or on the GPU."""
        source = args[1] if func is aten.copy_.default else args[0]
        target = args[0].device if func is aten.copy_.default else device or source.device
        if isinstance(source, There) and target == CPU and func is aten._to_copy.default:
            target = GPU  # C++ says where it believes the tensor to be
        if source.device != target:
            late = kwargs.get("non_blocking", False) and _is_page_locked(source)
            if self.recording is not None or not late:
                self._wait(f"{func} from {source.device.type} to {target.type}")
        return self._computed(func, args, kwargs, there, on_gpu=target.type == "cuda")

    def _computed(self, func: Any, args: Any, kwargs: Any, there: list[There], on_gpu: bool = True) -> Any:
        """What the CPU gives, as tensors of the GPU."""
        own = {id(one.here): one for one in there}
        memories = {one.here.untyped_storage().data_ptr(): one.memory for one in there}
        here_args, here_kwargs = _each(_here, args), dict(zip(kwargs, _each(_here, [*kwargs.values()]), strict=True))
        written = [one for one in _leaves([*_written(func, args, kwargs)]) if isinstance(one, There)]

        def compute() -> Any:
            self.stream.go_on()
            for one in there:
                one.memory.read(self.stream)
            for one in written:
                one.memory.write(self.stream)
            return self._drawing(func, here_args, here_kwargs)

        def wrapped(one: object) -> object:
            if not isinstance(one, Tensor) or not on_gpu:
                return one
            memory = memories.setdefault(one.untyped_storage().data_ptr(), Memory(self))
            return own[id(one)] if id(one) in own else There(one, memory)

        made = _each(wrapped, compute())
        if self.recording is not None:
            self.recording.steps.append(lambda: _put(compute(), made, self.stream))
        return made

    def _drawing(self, func: Any, args: Any, kwargs: Any) -> Any:
        """With the GPU's own random numbers, where it draws any."""
        if torch.Tag.nondeterministic_seeded not in func.tags:
            return as_cuda_computes(func, args)(*args, **kwargs)
        before = torch.get_rng_state()
        torch.set_rng_state(self.drawn)
        try:
            return func(*args, **kwargs)
        finally:
            self.drawn = torch.get_rng_state()
            torch.set_rng_state(before)

    @contextmanager
    def on(self, stream: Stream) -> Iterator[None]:
        """As torch.cuda.stream."""
        before, self.stream = self.stream, stream
        yield
        self.stream = before

    @contextmanager
    def into(self, recording: Recording, stream: Stream) -> Iterator[None]:
        """As torch.cuda.graph: what is asked meanwhile is done once, here, and again at each replay.

        It begins when the device has done everything else.
        """
        stream.wait_stream(self.stream)
        with self.on(stream):
            self.recording = recording
            try:
                yield
            finally:
                self.recording = None

    def seed(self, seed: int) -> None:
        self.drawn = torch.Generator().manual_seed(seed).get_state()

    def be_drawn(self, state: Tensor, _device: object = None) -> None:
        self.drawn = state.clone()


@contextmanager
def pretended() -> Iterator[Gpu]:
    """Within, this machine has a GPU, and torch the means to use it. Raises Fault for what only its end brings out."""
    gpu = Gpu()
    recording_stream.cache_clear()
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, function in _cuda(gpu).items():
            patch.setattr(torch.cuda, name, function)
        for module in (optimizers, foreach):  # so that optimizers work as on CUDA
            patch.setattr(module, "_foreach_supported_types", [*module._foreach_supported_types, There])
        stack.callback(recording_stream.cache_clear)
        stack.callback(torch.__future__.set_overwrite_module_params_on_conversion, False)
        torch.__future__.set_overwrite_module_params_on_conversion(True)  # a parameter cannot become There in place
        stack.callback(torch._C._set_only_lift_cpu_tensors, torch._C._only_lift_cpu_tensors())
        torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(..., device=) makes it on the CPU, then moves it
        for of, name in (torch, "autocast"), (torch._C, "_group_tensors_by_device_and_dtype"):
            patch.setattr(of, name, partial(globals()[name], getattr(of, name)))
        stack.enter_context(_Indexed())
        stack.enter_context(gpu)
        yield gpu
    if gpu.faults:
        raise Fault("; ".join(dict.fromkeys(gpu.faults)))


def _cuda(gpu: Gpu) -> dict[str, Callable[..., Any]]:
    """What is asked of torch.cuda."""
    return {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "_lazy_init": lambda: None,
        "Stream": Stream,
        "stream": gpu.on,
        "current_stream": lambda _device=None: gpu.stream,
        "device": lambda _device: nullcontext(),
        "CUDAGraph": Recording,
        "graph": gpu.into,
        "is_current_stream_capturing": lambda: gpu.recording is not None,
        "manual_seed_all": gpu.seed,
        "get_rng_state": lambda _device=None: gpu.drawn.clone(),
        "set_rng_state": gpu.be_drawn,
    }


def autocast(real: Callable[..., Any], _kind: str, *how: Any, **more: Any) -> Any:
    """As torch.autocast, by the rules for the CPU, which are much the same."""
    return real("cpu", *how, **more)


def _group_tensors_by_device_and_dtype(real: Callable[..., Any], *lists: Any) -> Any:
    """As torch's own, which says that all of them are on the CPU."""
    groups = real(*lists)
    return {(tensors[0][0].device, kind): (tensors, places) for (_, kind), (tensors, places) in groups.items()}


def _each(function: Callable[[object], object], of: Any) -> Any:
    """`function` of what is not a list, or of what is in one."""
    return type(of)(_each(function, one) for one in of) if type(of) in (list, tuple) else function(of)


def _leaves(of: Any) -> Iterator[Any]:
    for one in of:
        if type(one) in (list, tuple):
            yield from _leaves(one)
        else:
            yield one


def _here(one: object) -> object:
    return one.here if isinstance(one, There) else one


def _is_page_locked(tensor: Tensor) -> bool:
    return bool(getattr(tensor, "is_page_locked", False))


def _page_locked(tensor: Tensor) -> Tensor:
    copy = tensor.clone()
    copy.is_page_locked = True  # type: ignore[attr-defined]
    return copy


def _chooses_by_mask(func: Any, args: Any) -> bool:
    """Whether an index is a mask, whose size the CPU has to know."""
    if func not in (aten.index.Tensor, aten.index_put_.default, aten.index_put.default):
        return False
    return any(one is not None and one.dtype == torch.bool for one in args[1])


def _written(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Iterator[object]:
    """Operands that are written to."""
    for place, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            yield args[place] if place < len(args) else kwargs.get(argument.name)


def _put(found: Any, made: Any, stream: Stream) -> None:
    """Values that were computed again into the memory of those that a recording computed."""
    for new, old in zip(_leaves([found]), _leaves([made]), strict=True):
        if isinstance(old, There) and new.untyped_storage().data_ptr() != old.here.untyped_storage().data_ptr():
            old.here.copy_(new)
            old.memory.write(stream)
