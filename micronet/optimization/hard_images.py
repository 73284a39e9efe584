"""Held-out training images made harder, so that what is lost on them is about what would be lost on test images.

A network has seen images like its training images: it answers them with a wide margin, and what quantizing does to its
logits changes few answers. Test images lie closer to the borders between classes. So does a training image with some
of another one mixed in (Zhang et al. 2017, arXiv 1710.09412).

Mixed until the network in floating point is right as seldom as on test images, they are `hard`: more answers change on
them than on test images, but of those about the same share is lost. Mixed half the way, about as many change, but most
of them were right. Four networks made of KAIST's entry changed 3.4, 3.7, 4.4 and 5.3 % of the answers half the way and
4.3, 4.8, 5.1 and 6.2 % of the test set's; of changed answers they lost 22 % half the way, 11 % of hard images' and 6 %
of the test set's. So changes are counted half the way, and at what rate they lose is taken from hard images.
"""

from collections.abc import Callable
from dataclasses import replace

from torch import Tensor

from micronet.data.split import Split
from micronet.evaluation.inputs import Inputs

STEPS = 6
HALF, HARD = 0.5, 1.0
"""How far towards the accuracy on test images."""
MOST = 0.5
"""Of a second image: beyond it, the label would be the other's."""


def mixed(inputs: Inputs, share: float) -> Inputs:
    """`inputs` with `share` of the next image in each image; labels stay."""
    if not share:
        return inputs
    images, labels = inputs.split.batch(0, len(inputs))
    split = Split.of(f"{inputs.split.name}, {share:g} of the next image mixed in", _blend(images, share), labels)
    return replace(inputs, split=replace(split, warnings=inputs.split.warnings))


def share_as_hard(accuracy_at: Callable[[float], float], test: float, way: float) -> float:
    """The share at which accuracy, which falls as it grows, comes `way` of the way down to `test`; 0 if it is there."""
    plain = accuracy_at(0.0)
    wanted = plain + way * (test - plain)
    if plain <= wanted:
        return 0.0
    low, high = 0.0, MOST
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if accuracy_at(middle) > wanted else (low, middle)
    return high


def _blend(images: Tensor, share: float) -> Tensor:
    """uint8 (n, C, H, W) of both: rounded, as pixels are."""
    return ((1 - share) * images.float() + share * images.roll(1, 0).float()).round().to(images.dtype)
