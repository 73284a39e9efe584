"""Where a graph runs, and how to make that repeatable and fast."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from micronet.errors import SettingsError


def choose_device(name: str = "auto") -> torch.device:
    """`cpu`, `cuda`, `cuda:1`, or `auto`: CUDA if there is any. SettingsError for a device this machine lacks."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    there = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    there += [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    if name not in there:
        raise SettingsError(f"device {name!r}: this machine has {', '.join(there)}; auto chooses")
    return torch.device(name)


def brought(tensor: Tensor, device: torch.device) -> Tensor:
    """`tensor`, of the CPU, on `device`, which goes on computing: for CUDA it is copied from page-locked memory.

    From any other memory a copy waits until the stream has done all that was asked of it before.
    """
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def make_repeatable() -> None:
    """Float32 is float32: no TF32, no autotuned kernels whose choice may differ from run to run. For entry points."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True


@contextmanager
def without_cudnn() -> Iterator[None]:
    """With torch's own kernels on CUDA; then as it was.

    Nothing else is looked at or set, as torch.backends.cudnn.flags does: it fails where a program has said by one of
    torch's two ways how exact convolutions are, and asks by the other.
    """
    before = torch.backends.cudnn.enabled
    torch.backends.cudnn.enabled = False
    try:
        yield
    finally:
        torch.backends.cudnn.enabled = before


def keep_freed_memory() -> None:
    """Have the allocator keep large blocks for the next batch. For entry points; nothing where it is not glibc's.

    By default glibc returns every freed activation to the kernel, which hands it back zeroed, page by page, to the next
    operation: on networks with large activations that costs as much as the arithmetic.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    trim_threshold, top_pad, mmap_threshold = -1, -2, -3
    mallopt(mmap_threshold, 1 << 30)
    mallopt(trim_threshold, (1 << 31) - 1)
    mallopt(top_pad, 64 << 20)


def processors() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
