"""Showing a graph's values to observers, on training images."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from micronet.data.split import Split, normalize
from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph, Node

CALIBRATION_BATCH = 50
"""Images per update of the running averages."""


def calibration_batches(
    split: Split, mean: Sequence[float], std: Sequence[float], advance: Callable[[int, int, str], None]
) -> Iterator[Tensor]:
    """Normalized float32 batches (n, C, H, W) of all images of `split`, in order, channels last in memory."""
    done = 0
    for images, labels in split.batches(CALIBRATION_BATCH):
        yield normalize(images, mean, std).contiguous(memory_format=torch.channels_last)
        done += len(labels)
        advance(done, len(split), "images")


def show(graph: Graph, batch: Tensor, see: Callable[[str, Tensor], None]) -> None:
    """Run `graph` on a batch and show the batch and each tensor made of it, by name."""

    def observe(node: Node, value: object) -> None:
        if isinstance(value, Tensor):
            see(node.name, value)

    see(graph.input, batch)
    interpret(graph, batch, observe)
