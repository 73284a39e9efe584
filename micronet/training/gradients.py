"""From a batch to the gradients of its loss: computed anew each time, or on CUDA recorded once and replayed."""

from collections.abc import Callable

import torch
from torch import Tensor

from micronet.training.network import TrainableNetwork

Loss = Callable[[Tensor, Tensor], Tensor]
"""The loss of images (N, C, H, W) and targets (N, classes), differentiable."""
Gradients = Callable[[Tensor, Tensor], Tensor]
"""The same, detached; the gradients lie at the parameters then, in place of those of the batch before."""

WARM_UPS = 3
"""Steps before a recording in which libraries choose kernels and allocate, which nothing may do while one is made."""


class EagerGradients:
    """Operation by operation."""

    def __init__(self, loss: Loss, network: TrainableNetwork) -> None:
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

    def __init__(self, loss: Loss, network: TrainableNetwork) -> None:
        self._eager, self._network = EagerGradients(loss, network), network
        self._graph: torch.cuda.CUDAGraph | None = None
        self._batch: tuple[Tensor, Tensor]
        self._result: Tensor

    def __call__(self, images: Tensor, targets: Tensor) -> Tensor:
        """The loss of a batch."""
        if self._graph is None:
            self._graph = self._recorded(images, targets)
        for there, now in zip(self._batch, (images, targets), strict=True):
            there.copy_(now)
        self._graph.replay()
        return self._result

    def _recorded(self, images: Tensor, targets: Tensor) -> torch.cuda.CUDAGraph:
        """Warming up leaves nothing behind: running statistics and what is drawn are as they were."""
        self._batch = (images.clone(), targets.clone())
        before = {name: tensor.clone() for name, tensor in self._network.tensors().items()}
        drawn = torch.cuda.get_rng_state(images.device)
        own, learning = torch.cuda.Stream(images.device), torch.cuda.current_stream(images.device)  # type: ignore[no-untyped-call]
        own.wait_stream(learning)
        with torch.cuda.stream(own):
            for _ in range(WARM_UPS):
                self._eager(*self._batch)
        learning.wait_stream(own)
        self._network.zero_grad(set_to_none=True)  # so that the recording allocates them, and writes them each time
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._result = self._eager(*self._batch)
        self._network.load_(before)
        torch.cuda.set_rng_state(drawn, images.device)
        return graph
