"""The smallest whole road: a network of a few thousand weights, trained on handwritten digits in seconds."""

from dataclasses import replace
from pathlib import Path

import torch

from micronet.architectures.load import create_network
from micronet.contract import NO_AUGMENTATION, ArchitectureSettings, ScoreSettings, Training
from micronet.data.datasets import open_split
from micronet.evaluation.inputs import Inputs
from micronet.graph.capture import capture
from micronet.progress import Progress
from micronet.tracks import track
from micronet.training.fit import train
from micronet.training.task import Task

HOW = Training(epochs=20, batch=64, learning_rate=0.2, label_smoothing=0.1, augmentation=NO_AUGMENTATION)
HELD_OUT = 100


def train_digits(path: Path, progress: Progress, seed: int = 0) -> ScoreSettings:
    """Train the `digits` network, write its state dict to `path`, and return the settings that score it."""
    digits = track("digits")
    holdout, rest = open_split(digits, "train", None).divided(HELD_OUT, seed)
    images = Inputs(rest, digits.mean, digits.std)
    task = Task(images, replace(images, split=holdout), torch.device("cpu"), seed, advance=progress.advance)
    progress.stage("train", 1, 1)
    with torch.no_grad():
        graph = capture(create_network("digits", {}, seed), digits.input_shape)
    trained, _ = train(graph, HOW, task)
    torch.save(dict(trained.weights), path)
    return ScoreSettings(track="digits", architecture=ArchitectureSettings(name="digits"), seed=seed)
