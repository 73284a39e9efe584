"""Training images where they are used: as bytes on the device, normalized and augmented batch by batch."""

import torch
from torch import Tensor

from micronet.data.split import Normalization, Pixels
from micronet.evaluation.device import brought
from micronet.evaluation.inputs import Inputs
from micronet.training.augmentation import Augmenter


class TrainingImages:
    """Images and labels to draw batches from. Those that lie in memory are kept on the device as uint8."""

    def __init__(self, inputs: Inputs, device: torch.device, augment: Augmenter) -> None:
        self._inputs, self._device, self._augment = inputs, device, augment
        self._normalized = Normalization.of(inputs.mean, inputs.std, device)
        split = inputs.split
        in_memory = isinstance(split.images, Tensor | Pixels)
        self._images = split.images[:].to(device) if in_memory else None
        self._labels = split.labels.to(device)

    def __len__(self) -> int:
        return len(self._labels)

    def batch(self, indices: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Augmented images float32 (n, C, H, W) and labels int64 (n,) at `indices`, int64 (n,), on the device.

        `generator`, on the CPU whatever the device, draws what is done to them.
        """
        there = brought(indices, self._device)
        pixels = self._images[there] if self._images is not None else self._read(indices)
        images = self._normalized(self._augment.on_bytes(pixels, generator))
        return self._augment.on_inputs(images, generator), self._labels[there]

    def _read(self, indices: Tensor) -> Tensor:
        return brought(self._inputs.split.take(indices)[0], self._device)
