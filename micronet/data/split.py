"""Split: an ordered, labelled set of images, and the arithmetic that makes network inputs of them."""

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Images(Protocol):
    """What yields pixels: uint8 (n, C, H, W) for a slice or for int64 indices (n,). A tensor is one."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: slice | Tensor, /) -> Tensor: ...


@dataclass(frozen=True, eq=False)
class Pixels:
    """Images in a numpy array (n, C, H, W) of uint8, which may be read-only: what is taken from it is always a copy.

    A tensor needs memory of its own to be written to, and copying 50,000 images takes longer than reading them.
    """

    array: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, index: slice | Tensor) -> Tensor:
        return torch.from_numpy(np.array(self.array[index if isinstance(index, slice) else index.numpy()]))


@dataclass(frozen=True, eq=False)
class Split:
    """The training or test images of a data set, in a fixed order.

    `images` yields uint8 (n, C, H, W), `labels` is int64 (n,). `sha256` says which bytes these are (each reader
    documents of what) and goes into every result; `warnings` says what a reader of that result should know about them.
    """

    name: str
    images: Images
    labels: Tensor
    sha256: str
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(cls, name: str, images: Tensor, labels: Tensor) -> Self:
        """A split of tensors: uint8 (n, C, H, W) and int64 (n,). `sha256` is that of the pixels, then the labels."""
        return cls(name, images, labels, content_sha256(images, labels))

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Images uint8 (n, C, H, W) and labels int64 (n,) of `start..stop`, which ends at the last image at the latest.

        Both may share memory with the split: they are to be read. Raises IndexError unless 0 <= start <= stop, and
        DatasetCorrupt where a file cannot be decoded.
        """
        if not 0 <= start <= stop:
            raise IndexError(f"batch {start}..{stop}: 0 <= start <= stop is needed")
        return self.images[start:stop], self.labels[start:stop]

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """All images in order, `size` at a time, the rest as the last batch. Raises ValueError for a size under 1."""
        if size < 1:
            raise ValueError(f"a batch of {size} images: at least 1 is needed")
        return (self.batch(start, start + size) for start in range(0, len(self), size))

    def take(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Copies of the images uint8 (n, C, H, W) and labels int64 (n,) at `indices`, int64 (n,), in that order."""
        return self.images[indices], self.labels[indices]

    def subset(self, count: int, seed: int) -> "Split":
        """The first `count` images of the order that `seed` gives (see `seeded_order`); all of them if there are fewer.

        The same images on every platform and release, and `subset(10, s)` begins `subset(20, s)`. The name and
        `sha256` say how it was taken from which split. Raises ValueError for a count under 1.
        """
        if count < 1:
            raise ValueError(f"a subset of {count} images: at least 1 is needed")
        return self._chosen(seeded_order(len(self), seed)[:count], seed, "")

    def divided(self, count: int, seed: int) -> tuple["Split", "Split"]:
        """`subset(count, seed)`, and all other images, in the order that `seed` gives.

        Raises ValueError unless both parts have an image.
        """
        if not 1 <= count < len(self):
            raise ValueError(f"{count} of {len(self)} images apart: both parts need at least 1")
        order = seeded_order(len(self), seed)
        return self._chosen(order[:count], seed, ""), self._chosen(order[count:], seed, "all but the first ")

    def _chosen(self, order: list[int], seed: int, which: str) -> "Split":
        chosen = torch.tensor(order, dtype=torch.int64)
        images = self.images[chosen] if isinstance(self.images, Tensor | Pixels) else _Selected(self.images, chosen)
        count = len(self) - len(order) if which else len(order)
        name = f"{self.name}[{which}{count} of {len(self)}, seed {seed}]"
        digest = hashlib.sha256(f"{self.sha256} {which}{count} {seed}".encode()).hexdigest()
        return Split(name, images, self.labels[chosen], digest, self.warnings)


@dataclass(frozen=True, eq=False)
class _Selected:
    """Images that are read only when asked for, under other indices."""

    images: Images
    indices: Tensor

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: slice | Tensor) -> Tensor:
        return self.images[self.indices[index]]


def seeded_order(count: int, seed: int) -> list[int]:
    """A permutation of 0..count-1: sorted by one draw of `random.Random(seed).random()` each.

    That stream is the one Python promises never to change; neither its `shuffle` nor numpy's generators are promised.
    """
    generator = random.Random(seed)
    keys = [generator.random() for _ in range(count)]
    return sorted(range(count), key=keys.__getitem__)


def content_sha256(images: Tensor, labels: Tensor) -> str:
    """SHA-256 of the pixels, uint8 in (n, C, H, W) order, followed by the labels as little-endian int64."""
    digest = hashlib.sha256(images.contiguous().numpy().tobytes())
    digest.update(labels.contiguous().numpy().astype("<i8").tobytes())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True, eq=False)
class Normalization:
    """(x / 255 - mean) / std, per channel: three float32 operations in just this order.

    So the values equal, bit for bit, what training code everywhere computes. Folding them into one multiply-add would
    be off by an ulp, and a borderline answer could flip. The three are tensors (C, 1, 1) on the images' device: by a
    plain number CUDA does not divide, it multiplies by the reciprocal.
    """

    white: Tensor
    mean: Tensor
    std: Tensor

    @classmethod
    def of(cls, mean: Sequence[float], std: Sequence[float], device: torch.device) -> Self:
        """For images on `device`. Raises ValueError unless mean and std have as many values."""
        if len(mean) != len(std):
            raise ValueError(f"{len(mean)} means and {len(std)} deviations: one per channel")
        values = torch.tensor([[255.0] * len(mean), mean, std], dtype=torch.float32, device=device)
        return cls(*values.view(3, -1, 1, 1))

    def __call__(self, images: Tensor) -> Tensor:
        """Network input float32 (n, C, H, W) of uint8 (n, C, H, W). Raises ValueError for other numbers of channels."""
        if images.shape[1] != len(self.mean):
            channels = images.shape[1]
            raise ValueError(f"images of {channels} channels, {len(self.mean)} means and deviations: one per channel")
        return images.to(torch.float32).div_(self.white).sub_(self.mean).div_(self.std)


def normalize(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Network input float32 (n, C, H, W) of `images` uint8 (n, C, H, W), where they are: see `Normalization`.

    Raises ValueError unless mean and std have one value per channel.
    """
    return Normalization.of(mean, std, images.device)(images)
