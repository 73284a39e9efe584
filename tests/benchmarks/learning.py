"""A short training from scratch on the real CIFAR-100, by the train job and by a plain loop: test accuracy and seconds.

    MICRONET_DATA=... python -m tests.benchmarks.learning [EPOCHS] [SEEDS] [THREADS]

ResNet-20, batches of 128, SGD with Nesterov momentum, weight decay, cosine, shifts and flips: all the same in both, but
for the numbers drawn and the 500 training images that ours keeps apart to choose by. What is not the same by chance
alone would show: a loss, a schedule, a decay or an augmentation that is not what it is called.
"""

import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from micronet.architectures.load import create_network
from micronet.contract import TrainResult, TrainSettings
from micronet.data.datasets import open_split
from micronet.evaluation.inputs import Inputs
from micronet.jobs import JOBS, Context, prepare_process
from micronet.tracks import track

ARCHITECTURE = {"name": "resnet_cifar", "options": {"num_classes": 100, "depth": 20}}
BATCH, RATE, MOMENTUM, DECAY, SHIFT = 128, 0.1, 0.9, 5e-4, 4


def ours(data: Path, epochs: int, seed: int) -> int:
    """Correct answers of the 10,000 after the train job."""
    asked = {
        "architecture": ARCHITECTURE,
        "epochs": epochs,
        "batch": BATCH,
        "learning_rate": RATE,
        "momentum": MOMENTUM,
        "weight_decay": DECAY,
        "augmentation": {"crop": SHIFT, "flip": True, "policy": "none"},
        "holdout": 0.01,
        "seed": seed,
    }
    result = JOBS["train"].run(TrainSettings.model_validate(asked), None, Context(data, "cpu"))
    assert isinstance(result, TrainResult)
    assert result.accuracy is not None
    return result.accuracy.correct


def plain(data: Path, epochs: int, seed: int) -> int:
    """The same after the loop that everybody has written once."""
    torch.manual_seed(seed)
    chosen = track("cifar100")
    whole = Inputs(open_split(chosen, "train", data), chosen.mean, chosen.std)
    images, labels = whole.batch(0, 50_000)
    network = create_network("resnet_cifar", ARCHITECTURE["options"], seed)
    weights = [weight for weight in network.parameters() if weight.dim() > 1]
    others = [weight for weight in network.parameters() if weight.dim() == 1]
    groups = [{"params": weights, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, RATE, MOMENTUM, nesterov=True)
    steps = epochs * math.ceil(len(images) / BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(epochs):
        for places in torch.randperm(len(images)).split(BATCH):
            loss = F.cross_entropy(network.train()(_moved(images[places])), labels[places])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return _correct(network.eval(), Inputs(open_split(chosen, "test", data), chosen.mean, chosen.std))


def _moved(images: Tensor) -> Tensor:
    """Each image shifted by up to SHIFT pixels, mirrored or not."""
    padded = F.pad(images, [SHIFT] * 4)
    shifts = torch.randint(2 * SHIFT + 1, (len(images), 2)).tolist()
    moved = [one[:, down : down + 32, right : right + 32] for one, (down, right) in zip(padded, shifts, strict=True)]
    return torch.stack([one.flip(2) if torch.rand(()) < 0.5 else one for one in moved])


def _correct(network: nn.Module, inputs: Inputs) -> int:
    with torch.no_grad():
        batches = (inputs.batch(start, 500) for start in inputs.starts(500))
        return sum(int((network(images).argmax(1) == labels).sum()) for images, labels in batches)


def main(epochs: str = "5", seeds: str = "1", threads: str = "2") -> None:
    """Both, in turn, for each seed; print Markdown."""
    prepare_process()
    torch.set_num_threads(int(threads))
    data = Path(os.environ["MICRONET_DATA"])
    print(f"| ResNet-20, {epochs} epochs | seed | test images of 10,000 | seconds |\n| --- | --- | --- | --- |")
    ways: dict[str, Callable[[Path, int, int], int]] = {"ours": ours, "plain PyTorch": plain}
    for seed in range(int(seeds)):
        for name, learn in ways.items():
            started = time.perf_counter()
            correct = learn(data, int(epochs), seed)
            print(f"| {name} | {seed} | {correct:,} | {time.perf_counter() - started:.0f} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
