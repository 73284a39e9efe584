"""The smallest whole road: a network of a few thousand weights, trained on handwritten digits in seconds."""

from pathlib import Path

import torch

from micronet.architectures.load import create_network
from micronet.contract import ArchitectureSettings, ScoreSettings
from micronet.data.datasets import open_split
from micronet.evaluation.inputs import Inputs
from micronet.progress import Progress
from micronet.tracks import track
from micronet.training.fit import Recipe, fit_

RECIPE = Recipe(epochs=20)


def train_digits(path: Path, progress: Progress, seed: int = 0) -> ScoreSettings:
    """Train the `digits` network, write its state dict to `path`, and return the settings that score it."""
    digits = track("digits")
    train = Inputs(open_split(digits, "train", None), digits.mean, digits.std)
    network = create_network("digits", {}, seed)
    progress.stage("train", 1, 1)
    fit_(network, train, RECIPE, seed, progress.advance)
    torch.save(network.state_dict(), path)
    return ScoreSettings(track="digits", architecture=ArchitectureSettings(name="digits"), seed=seed)
