"""Batches that are ready when they are asked for."""

from collections.abc import Iterator

import torch
from torch import Tensor

Batch = tuple[Tensor, Tensor]
"""Images (N, C, H, W) and targets (N, classes), on the device."""


def ahead(batches: Iterator[Batch], device: torch.device) -> Iterator[Batch]:
    """The same batches in the same order, on a CUDA device: each is made while the one before it is learned from.

    Making one waits for the device again and again, each time a number drawn on the CPU is brought there. On a stream
    of its own that waits for the batch alone, and the kernels of the step in progress fill the device meanwhile.
    """
    own = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch's
    while True:
        with torch.cuda.stream(own):
            batch = next(batches, None)
        if batch is None:
            return
        learning = torch.cuda.current_stream(device)
        learning.wait_stream(own)
        for tensor in batch:
            tensor.record_stream(learning)
        yield batch
