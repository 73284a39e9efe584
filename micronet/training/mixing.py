"""Images that are mixtures of two, with answers to match."""

import torch
from torch import Tensor

from micronet.contract import Training
from micronet.evaluation.device import brought


def soft_targets(labels: Tensor, classes: int, smoothing: float) -> Tensor:
    """(N, classes) probabilities: 1 - smoothing for the label, and `smoothing` spread evenly over all classes."""
    targets = torch.full((len(labels), classes), smoothing / classes, device=labels.device)
    return targets.scatter_(1, labels.view(-1, 1), 1 - smoothing + smoothing / classes)


def mix(images: Tensor, targets: Tensor, how: Training, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Images (N, C, H, W) and targets (N, classes), mixed as `how` says; with both ways, a coin chooses per batch.

    mixup (Zhang et al. 2018): l * x + (1 - l) * y with l ~ Beta(a, a), one l per batch. cutmix (Yun et al. 2019): a
    rectangle of y in x, of a share 1 - l of the area; l is corrected for what the border cuts off.
    """
    ways = [way for way, alpha in ((mixup, how.mixup), (cutmix, how.cutmix)) if alpha]
    if not ways:
        return images, targets
    way = ways[int(torch.randint(len(ways), (1,), generator=generator))]
    alpha = how.mixup if way is mixup else how.cutmix
    partners = brought(torch.randperm(len(images), generator=generator), images.device)
    return way(images, targets, partners, _beta(alpha, generator), generator)


def mixup(
    images: Tensor, targets: Tensor, partners: Tensor, share: float, _generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """`share` of each image and its target, the rest of its partner's."""
    return torch.lerp(images[partners], images, share), torch.lerp(targets[partners], targets, share)


def cutmix(
    images: Tensor, targets: Tensor, partners: Tensor, share: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """A rectangle of its partner in each image, at one place for the batch."""
    height, width = images.shape[2:]
    side = (1 - share) ** 0.5
    y, x = (int(torch.randint(size, (1,), generator=generator)) for size in (height, width))
    half_height, half_width = int(height * side) // 2, int(width * side) // 2
    top, bottom = max(0, y - half_height), min(height, y + half_height)
    left, right = max(0, x - half_width), min(width, x + half_width)
    mixed = images.clone()
    mixed[:, :, top:bottom, left:right] = images[partners, :, top:bottom, left:right]
    kept = 1 - (bottom - top) * (right - left) / (height * width)
    return mixed, torch.lerp(targets[partners], targets, kept)


def _beta(alpha: float, generator: torch.Generator) -> float:
    """One draw of Beta(alpha, alpha), from two of a gamma distribution."""
    first, second = torch._standard_gamma(torch.full((2,), alpha, dtype=torch.float64), generator=generator).tolist()
    if first + second > 2 * torch.finfo(torch.float64).tiny:
        return float(first / (first + second))
    return float(torch.randint(2, (1,), generator=generator))  # torch has no smaller ones: all of one, or of the other
