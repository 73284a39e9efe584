"""Batches that are ready when they are asked for."""

from collections.abc import Iterator

import torch
from torch import Tensor

Batch = tuple[Tensor, Tensor]
"""Images (N, C, H, W) and targets (N, classes), on the device."""


class Ahead:
    """Batches of a CUDA device, each made while the one before it is learned from: on a stream of its own.

    That stream goes first where both want the device. A batch is made by hundreds of small kernels, each of which
    would otherwise wait for one of the step in progress, which fills the device.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._own = torch.cuda.Stream(device, priority=-1)  # type: ignore[no-untyped-call]

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
