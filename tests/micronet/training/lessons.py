"""Small things to learn: the digits, and networks for them."""

import torch

from micronet.architectures.load import create_network
from micronet.contract import NO_AUGMENTATION, Training
from micronet.data.datasets import open_split
from micronet.evaluation.inputs import Inputs
from micronet.graph.capture import capture
from micronet.graph.ir import Graph
from micronet.journal import Entry, Journal, MemoryJournal
from micronet.tracks import track
from micronet.training.task import Task

DIGITS = track("digits")
SHORT = Training(epochs=2, batch=64, learning_rate=0.2, augmentation=NO_AUGMENTATION)


class Killed(Exception):
    pass


class Dying(MemoryJournal):
    """Lets `lives` entries through, and dies instead of the next."""

    def __init__(self, lives: int) -> None:
        super().__init__()
        self.lives = lives

    def write(self, name: str, entry: Entry) -> None:
        if self.lives == 0:
            raise Killed
        self.lives -= 1
        super().write(name, entry)


def digits_task(images: int = 320, journal: Journal | None = None, seed: int = 0) -> Task:
    """Some digits to learn from, 100 others to choose by."""
    holdout, train = open_split(DIGITS, "train", None).divided(100, seed)
    parts = (Inputs(part, DIGITS.mean, DIGITS.std) for part in (train.subset(images, seed), holdout))
    return Task(*parts, torch.device("cpu"), seed, journal or MemoryJournal())


def digits_graph(seed: int = 0) -> Graph:
    """A fresh network of the digits' own."""
    with torch.no_grad():
        return capture(create_network("digits", {}, seed), DIGITS.input_shape)


def same(one: Graph, other: Graph) -> bool:
    """Whether both hold the same weights, to the last bit."""
    return all(torch.equal(weight, other.weights[name]) for name, weight in one.weights.items())
