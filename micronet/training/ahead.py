"""Batches that are ready when they are asked for."""

from collections.abc import Iterator

import torch
from torch import Tensor

Batch = tuple[Tensor, Tensor]
"""Images (N, C, H, W) and targets (N, classes), on the device."""


class Ahead:
    """Batches of a CUDA device, each made while the one before it is learned from.

    Making one waits for the device again and again, each time a number drawn on the CPU is brought there. On a stream
    of its own that waits for the batch alone, and the kernels of the step in progress fill the device meanwhile.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._own = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def __call__(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The same batches in the same order."""
        self._own.wait_stream(torch.cuda.current_stream(self._device))  # what batches are made of is there then
        while True:
            with torch.cuda.stream(self._own):
                batch = next(batches, None)
            if batch is None:
                return
            learning = torch.cuda.current_stream(self._device)
            learning.wait_stream(self._own)
            for tensor in batch:
                tensor.record_stream(learning)
            yield batch
