"""From settings to what is done to a batch."""

import torch
from torch import Tensor
from torch.nn import functional as F

from micronet.contract import Augmentation, AugmentationPolicy
from micronet.evaluation.device import brought
from micronet.training.augmentation.policies import Policy, following, trivial


class Augmenter:
    """Shift and flip, then the policy, on bytes; cutout on what the network sees, where zero is the mean image.

    Everything is drawn from a generator on the CPU, whatever the device of the images: each draws the same.
    """

    def __init__(self, how: Augmentation) -> None:
        self._how = how
        self._policy = _policy(how.policy)

    def on_bytes(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """uint8 (N, C, H, W) of uint8 (N, C, H, W)."""
        if self._how.crop:
            images = shifted(images, self._how.crop, generator)
        if self._how.flip:
            chosen = brought(torch.rand(len(images), generator=generator), images.device) < 0.5
            images = torch.where(chosen.view(-1, 1, 1, 1), images.flip(3), images)
        return images if self._policy is None else self._policy(images, generator)

    def on_inputs(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """float32 (N, C, H, W), normalized, of the same."""
        return cut_out(images, self._how.cutout, generator) if self._how.cutout else images


def _policy(policy: str | AugmentationPolicy) -> Policy | None:
    if isinstance(policy, AugmentationPolicy):
        return following(policy)
    return trivial if policy == "trivial" else None


def shifted(images: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """Each image moved by up to `most` pixels up, down, left and right, zeros coming in (He et al. 2016)."""
    count, _, height, width = images.shape
    offsets = brought(torch.randint(2 * most + 1, (2, count, 1), generator=generator), images.device)
    rows = offsets[0] + torch.arange(height, device=images.device)
    columns = offsets[1] + torch.arange(width, device=images.device)
    padded = F.pad(images, (most,) * 4)
    at = torch.arange(count, device=images.device).view(-1, 1, 1)
    return padded.permute(0, 2, 3, 1)[at, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()


def cut_out(images: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """A square of zeros at a place of its own in each image; the border may cut some of it off (DeVries and Taylor)."""
    count, _, height, width = images.shape
    drawn = [torch.randint(size, (count, 1), generator=generator) for size in (height, width)]
    inside = [
        (torch.arange(size, device=images.device) - centre + side // 2 >= 0)
        & (torch.arange(size, device=images.device) - centre + side // 2 < side)
        for size, centre in zip((height, width), (brought(one, images.device) for one in drawn), strict=True)
    ]
    return images.masked_fill((inside[0][:, :, None] & inside[1][:, None, :]).unsqueeze(1), 0.0)
