"""What an optimize job starts from: its network, its images, and what the network answers before any change."""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from micronet.contract import Accuracy, OptimizeSettings
from micronet.data.datasets import SplitName, open_split
from micronet.errors import SettingsError
from micronet.evaluation.device import choose_device
from micronet.evaluation.inputs import Inputs
from micronet.graph.ir import Graph
from micronet.jobs.context import Context
from micronet.jobs.learning import check_in_floating_point
from micronet.jobs.network import check_fits, check_images_stand_alone, read_network
from micronet.jobs.quantization import normalized
from micronet.journal import Entry, Journal, once
from micronet.optimization.hard_images import HALF, HARD, mixed, share_as_hard
from micronet.optimization.network_parts import NetworkParts, network_parts
from micronet.tracks import Track, track
from micronet.training.task import accuracy
from micronet.transformation.fuse_layers import fuse_layers
from micronet.transformation.plain_batch_norms import plain_batch_norms
from micronet.transformation.prepare import prepare

MIXING_IMAGES = 2000
"""Held-out images, at most, that say how much of a second image makes them as hard as test images."""
_MIXING = "mixing"
"""The entry that says how much of a second image held-out images have."""
_SPLITS: tuple[SplitName, SplitName] = ("test", "train")


@dataclass(frozen=True, slots=True)
class Source:
    """The file's network as it is and in parts, the floor in correct test images, and the images."""

    graph: Graph
    network: NetworkParts
    track: Track
    floor: int
    test: Inputs
    train: Inputs
    warnings: tuple[str, ...]


def read_source(settings: OptimizeSettings, checkpoint: Path, context: Context) -> Source:
    """What carries nothing is removed, batch norms and linear layers in a row are merged.

    Raises what reading does, SettingsError for a network that cannot be optimized, AlreadyQuantized for a file with
    grids of its own, and DataError for images that are not there.
    """
    chosen = track(settings.track, context.data_dir)
    graph, warnings = read_network(checkpoint, settings.architecture, None)
    check_fits(graph, chosen)
    graph = prepare(graph, fuse=True)
    check_in_floating_point(graph)
    test, train = (
        normalized(settings.normalize, chosen, open_split(chosen, name, context.data_dir)) for name in _SPLITS
    )
    check_images_stand_alone(graph, test.mean, test.std)
    graph = plain_batch_norms(fuse_layers(graph).graph)
    floor = chosen.required_correct if settings.floor is None else math.ceil(settings.floor * len(test))
    return Source(graph, network_parts(graph), chosen, floor, test, train, (*warnings, *test.split.warnings))


@dataclass(frozen=True, slots=True)
class StartingPoint:
    """The file as it came on the test set, held-out images mixed half the way to be as hard, and all the way, and the
    rest of the training images, some of which calibrate."""

    accuracy: Accuracy
    mixing: float
    hard_mixing: float
    rest: Inputs
    calibration: Inputs
    holdout: Inputs
    hard: Inputs

    def drop(self, settings: OptimizeSettings, source: Source) -> float:
        """The share of all test images that a first choice may lose."""
        spare = (self.accuracy.correct - source.floor) / self.accuracy.total
        return (1 - settings.margin) * spare


def starting_point(settings: OptimizeSettings, source: Source, journal: Journal, context: Context) -> StartingPoint:
    """Raises SettingsError where the network is under the floor already."""
    device = choose_device(context.device)
    test = accuracy(source.graph, source.test, device, context.progress.advance)
    if test.correct < source.floor:
        raise SettingsError(
            f"the network answers {test.correct} of {test.total} test images right, and the floor is {source.floor}: "
            "there is nothing to lose. Ask for a lower floor, or train it further."
        )
    split = source.train.split
    apart, rest = split.divided(min(settings.holdout_images, len(split) // 2), settings.seed)
    holdout = replace(source.train, split=apart)
    few = replace(holdout, split=apart.subset(MIXING_IMAGES, settings.seed))
    half, hard = _mixing(source.graph, few, test, journal, device)
    return StartingPoint(
        accuracy=test,
        mixing=half,
        hard_mixing=hard,
        rest=replace(source.train, split=rest),
        calibration=replace(source.train, split=rest.subset(settings.calibration_images, settings.seed)),
        holdout=mixed(holdout, half),
        hard=mixed(holdout, hard),
    )


def _mixing(
    graph: Graph, images: Inputs, test: Accuracy, journal: Journal, device: torch.device
) -> tuple[float, float]:
    """Shares of a second image that make `images` as hard as test images, half the way and all of it.

    Found once: another device may answer an image otherwise, and find other shares.
    """

    def accuracy_at(share: float) -> float:
        return accuracy(graph, mixed(images, share), device).top1

    def found() -> Entry:
        return Entry({"shares": [share_as_hard(accuracy_at, test.top1, way) for way in (HALF, HARD)]})

    half, hard = once(journal, _MIXING, found).facts["shares"]
    return half, hard
