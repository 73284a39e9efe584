"""Plain supervised training: cross-entropy, SGD with Nesterov momentum, one cosine from the first rate to zero."""

from dataclasses import dataclass

import torch
from torch import nn

from micronet.data.split import seeded_order
from micronet.evaluation.inputs import Advance, Inputs, unheard


@dataclass(frozen=True, slots=True)
class Recipe:
    """Hyperparameters; `learning_rate` is the first step's."""

    epochs: int
    batch: int = 64
    learning_rate: float = 0.2
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.1


def fit_(network: nn.Module, train: Inputs, recipe: Recipe, seed: int = 0, advance: Advance = unheard) -> None:
    """Train `network` in place on all of `train`, and leave it in eval mode.

    Each epoch has an order of its own, chosen by `seed`. The schedule is that of Loshchilov and Hutter 2017 (SGDR)
    without restarts.
    """
    network.train()
    steps = recipe.epochs * -(-len(train) // recipe.batch)
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=True,
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    loss_of = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
    for epoch in range(recipe.epochs):
        order = seeded_order(len(train), seed + epoch)
        for start in range(0, len(order), recipe.batch):
            images, labels = train.take(torch.tensor(order[start : start + recipe.batch]))
            optimizer.zero_grad()
            loss_of(network(images), labels).backward()
            optimizer.step()
            schedule.step()
        advance(epoch + 1, recipe.epochs, "epochs")
    network.eval()
