"""Policies: which operation each image gets, drawn for a whole batch at once."""

from collections.abc import Callable
from itertools import zip_longest

import torch
from torch import Tensor

from micronet.contract import AugmentationOperation, AugmentationPolicy
from micronet.evaluation.device import brought
from micronet.training.augmentation.operations import OPERATIONS, TRIVIAL

Policy = Callable[[Tensor, torch.Generator], Tensor]
"""uint8 (N, C, H, W) of the same on any device, and a generator on the CPU."""

_NUMBERS = {name: number for number, name in enumerate(OPERATIONS)}
_NOTHING = AugmentationOperation(operation="identity", probability=0.0)


def trivial(images: Tensor, generator: torch.Generator) -> Tensor:
    """TrivialAugment (Mueller and Hutter 2021): one operation each, drawn evenly, of a strength drawn evenly."""
    numbers = torch.tensor([_NUMBERS[name] for name in TRIVIAL])
    chosen = numbers[torch.randint(len(numbers), (len(images),), generator=generator)]
    return operated(images, chosen, torch.rand(len(images), generator=generator), generator)


def following(policy: AugmentationPolicy) -> Policy:
    """One of `policy`'s lists of operations each, drawn evenly, its operations in order, each with its probability."""
    columns = list(zip_longest(*policy.policies, fillvalue=_NOTHING))
    # One row per place in a list, one column per list: (longest, lists).
    numbers = torch.tensor([[_NUMBERS[one.operation] for one in column] for column in columns])
    probabilities = torch.tensor([[one.probability for one in column] for column in columns])
    magnitudes = torch.tensor([[one.magnitude for one in column] for column in columns])

    def apply(images: Tensor, generator: torch.Generator) -> Tensor:
        which = torch.randint(len(policy.policies), (len(images),), generator=generator)
        for number, probability, magnitude in zip(numbers, probabilities, magnitudes, strict=True):
            done = torch.rand(len(images), generator=generator) < probability[which]
            chosen = torch.where(done, number[which], _NUMBERS["identity"])
            images = operated(images, chosen, magnitude[which], generator)
        return images

    return apply


def operated(images: Tensor, numbers: Tensor, magnitudes: Tensor, generator: torch.Generator) -> Tensor:
    """Each image by the operation of its number in the table: those of one operation together, all as one batch.

    `numbers` int64 and `magnitudes` float (N,) are on the CPU: what is done never depends on the device.
    """
    result = images.clone()
    for name, operation in OPERATIONS.items():
        at = (numbers == _NUMBERS[name]).nonzero().squeeze(1)
        if name != "identity" and len(at):
            there = brought(at, images.device)
            result[there] = operation(images[there], magnitudes[at], generator)
    return result
