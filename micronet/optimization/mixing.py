"""Held-out training images made as hard as test images, so that what is lost on them is what would be lost there.

A network has seen images like its training images: it answers them with a wide margin, and what quantizing does to its
logits changes few answers. Test images lie closer to the borders between classes. So does a training image with some
of another one mixed in (Zhang et al. 2017, arXiv 1710.09412); the share is that at which the network in floating point
is right as often as on test images.
"""

from collections.abc import Callable
from dataclasses import replace

from torch import Tensor

from micronet.data.split import Split
from micronet.evaluation.inputs import Inputs

STEPS = 6
MOST = 0.5
"""Of a second image: beyond it, the label would be the other's."""


def mixed(inputs: Inputs, share: float) -> Inputs:
    """`inputs` with `share` of the next image in each image; labels stay."""
    if not share:
        return inputs
    images, labels = inputs.split.batch(0, len(inputs))
    split = Split.of(f"{inputs.split.name}, {share:g} of the next image mixed in", _blend(images, share), labels)
    return replace(inputs, split=replace(split, warnings=inputs.split.warnings))


def share_as_hard(accuracy_at: Callable[[float], float], wanted: float) -> float:
    """The share at which accuracy, which falls as it grows, comes down to `wanted`; 0 where it is lower already."""
    if accuracy_at(0.0) <= wanted:
        return 0.0
    low, high = 0.0, MOST
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if accuracy_at(middle) > wanted else (low, middle)
    return high


def _blend(images: Tensor, share: float) -> Tensor:
    """uint8 (n, C, H, W) of both: rounded, as pixels are."""
    return ((1 - share) * images.float() + share * images.roll(1, 0).float()).round().to(images.dtype)
