"""From a batch to the gradients of its loss: computed anew each time, or on CUDA recorded once and replayed."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import torch
from torch import Tensor

from micronet.errors import SettingsError
from micronet.graph.ir import Graph
from micronet.training.network import TrainableNetwork

aten = torch.ops.aten

DifferentiableLoss = Callable[[Tensor, Tensor], Tensor]
"""The loss of images (N, C, H, W) and targets (N, classes)."""
Gradients = Callable[[Tensor, Tensor], Tensor]
"""The same, detached; the gradients lie at the parameters then, in place of those of the batch before."""

WARM_UPS = 3
"""Steps before a recording, in which libraries choose kernels and set themselves up in ways that it forbids."""


class EagerGradients:
    """Operation by operation."""

    def __init__(self, loss: DifferentiableLoss, network: TrainableNetwork) -> None:
        self._loss, self._network = loss, network

    def __call__(self, images: Tensor, targets: Tensor) -> Tensor:
        """The loss of a batch."""
        self._network.zero_grad(set_to_none=True)
        loss = self._loss(images, targets)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()


class RecordedGradients:
    """A CUDA graph of all kernels from images to gradients, made of the first batch and launched as one for each.

    Networks for small images have hundreds of short kernels, which a GPU finishes faster than Python can launch them.
    All batches have to have the shape of the first. The loss that is given back is overwritten by the next batch's.
    """

    def __init__(self, loss: DifferentiableLoss, network: TrainableNetwork) -> None:
        self._eager, self._network = EagerGradients(loss, network), network
        self._graph: torch.cuda.CUDAGraph | None = None
        self._batch: tuple[Tensor, Tensor]
        self._result: Tensor

    def __call__(self, images: Tensor, targets: Tensor) -> Tensor:
        """The loss of a batch."""
        if self._graph is None:
            self._graph = self._recorded(images, targets)
        for there, now in zip(self._batch, (images, targets), strict=True):
            assert there.shape == now.shape, f"recorded for {tuple(there.shape)}, called with {tuple(now.shape)}"
            there.copy_(now)
        self._graph.replay()
        return self._result

    def _recorded(self, images: Tensor, targets: Tensor) -> torch.cuda.CUDAGraph:
        """Warming up leaves nothing behind: running statistics and what is drawn are as they were."""
        device, graph = images.device, torch.cuda.CUDAGraph()
        self._batch = (images.clone(), targets.clone())
        before = {name: tensor.clone() for name, tensor in self._network.tensors().items()}
        drawn = torch.cuda.get_rng_state(device)
        own, learning = recording_stream(device), torch.cuda.current_stream(device)
        own.wait_stream(learning)
        with torch.cuda.stream(own):
            for _ in range(WARM_UPS):
                self._eager(*self._batch)
        self._network.zero_grad(set_to_none=True)  # so that the recording allocates them, and writes them each time
        with no_collection(), torch.cuda.device(device), torch.cuda.graph(graph, stream=own):
            self._result = self._eager(*self._batch)
        learning.wait_stream(own)
        self._network.load_(before)
        torch.cuda.set_rng_state(drawn, device)
        return graph


@cache
def recording_stream(device: torch.device) -> torch.cuda.Stream:
    """One for all recordings: cuBLAS keeps a workspace for every stream it has worked on.

    Recordings of one stream share it, so that no two may be replayed at a time; each training waits for its own.
    """
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def check_recordable(graph: Graph, whose: str) -> None:
    """Raise SettingsError where the GPU would have to be waited for in the middle of a step."""
    if any(node.target is aten.fake_quantize_per_channel_affine.default for node in graph.nodes):
        raise SettingsError(
            f"cuda_graphs: {whose} puts values on a grid for each channel, which torch checks on the CPU each time, so "
            "that a step cannot be recorded. Leave cuda_graphs out."
        )


@contextmanager
def no_collection() -> Iterator[None]:
    """No garbage is collected within: an older recording that happened to die in the middle of one would spoil it."""
    gc.collect()
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
