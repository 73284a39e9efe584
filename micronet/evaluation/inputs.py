"""What a network is shown: images of a split, normalized."""

from dataclasses import dataclass

import torch
from torch import Tensor

from micronet.data.split import Split, normalize
from micronet.evaluation.device import brought

_CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class Inputs:
    """A split and the normalization its images go through: (pixel / 255 - mean) / std, per channel."""

    split: Split
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.split)

    def batch(self, start: int, size: int, device: torch.device = _CPU) -> tuple[Tensor, Tensor]:
        """Images float32 (n, C, H, W) from `start` on, normalized on `device`, to the same bits on any, and labels
        int64 (n,) on the CPU; n is `size`, or what is left."""
        images, labels = self.split.batch(start, min(start + size, len(self.split)))
        return normalize(brought(images, device), self.mean, self.std), labels

    def take(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Images float32 (n, C, H, W) and labels int64 (n,) at `indices`, int64 (n,), in that order."""
        images, labels = self.split.take(indices)
        return normalize(images, self.mean, self.std), labels

    def starts(self, size: int) -> range:
        """Where the batches of `size` images begin."""
        return range(0, len(self.split), size)
