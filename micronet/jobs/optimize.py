"""The optimize job: the lowest score found that keeps the floor, as a file, and the road there."""

import math
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from micronet.analysis.counts import Counts, LayerCounts, count
from micronet.contract import (
    Accuracy,
    ArtifactFile,
    OptimizedLayer,
    OptimizeResult,
    OptimizeSettings,
    ScoreResult,
    ScoreSettings,
    ScoreTerms,
    TestLook,
)
from micronet.data.datasets import SplitName, open_split
from micronet.errors import SettingsError
from micronet.evaluation.device import choose_device
from micronet.evaluation.inputs import Inputs
from micronet.graph.ir import Graph
from micronet.jobs.artifact import write_network
from micronet.jobs.context import Context, Stages
from micronet.jobs.journals import opened_journal, origin
from micronet.jobs.learning import check_in_floating_point, own
from micronet.jobs.looks import Evaluating, Road, doubts
from micronet.jobs.network import check_fits, check_images_stand_alone, read_network
from micronet.jobs.quantization import normalized
from micronet.jobs.result import scorer
from micronet.jobs.score import score, score_of
from micronet.journal import Entry, Journal
from micronet.network_file import from_bytes
from micronet.optimization.front import Allowance
from micronet.optimization.mixing import HALF, HARD, mixed, share_as_hard
from micronet.optimization.plan import Subject, subject
from micronet.optimization.stage import Made, Search, Task
from micronet.scoring.policies import POLICIES, UNQUANTIZED, WORD, Terms
from micronet.tracks import Track, track
from micronet.training.task import Task as TrainingTask
from micronet.training.task import accuracy
from micronet.transformation.fuse_layers import fuse_layers
from micronet.transformation.prepare import prepare
from micronet.transformation.quantize import plain_batch_norms
from micronet.version import version

ARTIFACT = "optimized.onnx"
_CHOOSE, _NAMED = frozenset({"floor", "margin", "points", "looks"}), frozenset({"tuning"})
"""Settings that say which networks are made and looked at, and such as entries of a journal are named by: one journal
serves any of either."""
_METHOD = "5"
"""Of making networks: grows where the same settings come to give others, and journals of the one before are refused."""
_MIXING = "mixing"
"""The entry that says how much of a second image held-out images have."""
MIXING_IMAGES = 2000
"""Held-out images, at most, that say how much of a second image makes them as hard as test images."""


def optimize(settings: OptimizeSettings, checkpoint: Path, context: Context) -> OptimizeResult:
    """Optimize the file at `checkpoint`. Raises MicronetError, each kind with what would be right.

    The test set is looked at for the file as it came, which says how much may be lost, and in the end for networks that
    were chosen without it, in an order set before: the first that keeps the floor is the result. All looks are in it.
    """
    context = own(context)
    stages = Stages(context.progress, ("read", "measure", "survey", "search", "uniform", "confirm"))
    stages.begin("read")
    source = _read(settings, checkpoint, context)
    journal = _journal(settings, checkpoint, source, context)
    stages.begin("measure")
    before = _before(settings, source, journal, context)
    stages.begin("survey")
    search = Search(_task(settings, source, before, journal, context))
    holdout_before, hard_before = search.before
    allowance = before.allowance(settings, source, hard_before.top1)
    stages.begin("search")
    search.searched(allowance, settings.points)
    searched = len(search.made)
    stages.begin("uniform")
    search.uniform(allowance, settings.points)
    stages.begin("confirm")
    road = search.made
    looks, scored, artifact = _confirm(
        settings, source, Road(road[:searched], 0, allowance, source.floor, settings.looks), context
    )
    compared_with = _looked(
        settings, source, Road(road[searched:], searched, allowance, source.floor, settings.looks), context
    )
    return OptimizeResult(
        track=source.track.name,
        floor=source.floor,
        before=_score(settings, source.track, source.graph),
        before_accuracy=before.accuracy,
        mixing=before.mixing,
        holdout_before=holdout_before,
        hard_mixing=before.hard_mixing,
        hard_before=hard_before,
        front=tuple(made.point for made in road),
        looks=looks,
        uniform_looks=compared_with,
        layers=_layers(from_bytes(road[looks[-1].point].data)),
        score=scored,
        artifact=artifact,
        scorer=scorer(
            str(choose_device(context.device)), settings.seed, source.track.dataset, source.train.split.sha256
        ),
        warnings=tuple(dict.fromkeys((*source.warnings, *scored.warnings, *doubts(looks)))),
    )


@dataclass(frozen=True, slots=True)
class _Source:
    """The file's network as it is and in parts, the floor in correct test images, and the images."""

    graph: Graph
    subject: Subject
    track: Track
    floor: int
    test: Inputs
    train: Inputs
    warnings: tuple[str, ...]


def _read(settings: OptimizeSettings, checkpoint: Path, context: Context) -> _Source:
    """What carries nothing is removed, batch norms and linear layers in a row are merged."""
    chosen = track(settings.track, context.data_dir)
    graph, warnings = read_network(checkpoint, settings.architecture, None)
    check_fits(graph, chosen)
    graph = prepare(graph, fuse=True)
    check_in_floating_point(graph)
    check_images_stand_alone(graph)
    graph = plain_batch_norms(fuse_layers(graph).graph)
    test, train = (
        normalized(settings.normalize, chosen, open_split(chosen, name, context.data_dir)) for name in _SPLITS
    )
    floor = chosen.required_correct
    if settings.floor is not None:
        floor = math.ceil(settings.floor * len(test))
    return _Source(graph, subject(graph), chosen, floor, test, train, (*warnings, *test.split.warnings))


@dataclass(frozen=True, slots=True)
class _Before:
    """The file as it came on the test set, held-out images mixed half the way to be as hard, and all the way, and the
    rest of the training images, some of which calibrate."""

    accuracy: Accuracy
    mixing: float
    hard_mixing: float
    rest: Inputs
    calibration: Inputs
    holdout: Inputs
    hard: Inputs

    def allowance(self, settings: OptimizeSettings, source: _Source, hard: float) -> Allowance:
        """What a first choice may lose, where `hard` is the accuracy on hard images."""
        spare = (self.accuracy.correct - source.floor) / self.accuracy.total
        return Allowance((1 - settings.margin) * spare, hard)


def _before(settings: OptimizeSettings, source: _Source, journal: Journal, context: Context) -> _Before:
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

    def accuracy_at(share: float) -> float:
        return accuracy(source.graph, mixed(few, share), device).top1

    entry = journal.read(_MIXING)  # found once: another device may answer an image otherwise, and find other shares
    if entry is None:
        entry = Entry({"shares": [share_as_hard(accuracy_at, test.top1, way) for way in (HALF, HARD)]})
        journal.write(_MIXING, entry)
    half, hard = entry.facts["shares"]
    return _Before(
        accuracy=test,
        mixing=half,
        hard_mixing=hard,
        rest=replace(source.train, split=rest),
        calibration=replace(source.train, split=rest.subset(settings.calibration_images, settings.seed)),
        holdout=mixed(holdout, half),
        hard=mixed(holdout, hard),
    )


def _journal(settings: OptimizeSettings, checkpoint: Path, source: _Source, context: Context) -> Journal:
    """Raises SettingsError for that of another search, or of one that an older version of this program made.

    Test images say how hard held-out ones are made, so another set of them makes another search.
    """
    comes_of = origin(settings, checkpoint, source.track, source.train.split.sha256, free=_CHOOSE | _NAMED)
    more = {"test images": source.test.split.sha256, "version": f"{version()}, method {_METHOD}"}
    return opened_journal(context, replace(comes_of, facts={**comes_of.facts, **more}))


def _task(settings: OptimizeSettings, source: _Source, before: _Before, journal: Journal, context: Context) -> Task:
    advance = context.progress.advance
    return Task(
        subject=source.subject,
        settings=settings,
        calibration=before.calibration.batch(0, len(before.calibration))[0],
        holdout=before.holdout,
        hard=before.hard,
        price=partial(_price, settings, source.track),
        score=partial(_score, settings, source.track),
        training=TrainingTask(
            train=before.rest,
            holdout=before.hard,
            device=choose_device(context.device),
            seed=settings.seed,
            advance=advance,
        ),
        journal=journal,
        advance=advance,
    )


def _price(settings: OptimizeSettings, chosen: Track, layer: LayerCounts) -> float:
    """The layer's part of the score, in a network that is quantized."""
    part = POLICIES[settings.policy](Counts((layer,), True, 0), layer, Terms(UNQUANTIZED, "cheapest", "proven"))
    return part.storage_bits / WORD / chosen.baseline_storage + part.math_bits / WORD / chosen.baseline_math


def _score(settings: OptimizeSettings, chosen: Track, graph: Graph) -> ScoreTerms:
    """As the score job scores a file of `graph` with widths of its own."""
    return score_of(prepare(graph, fuse=True), _asked(settings), chosen).score


def _asked(settings: OptimizeSettings) -> ScoreSettings:
    """What the returned file is scored with: nothing is put on top of the grids it brings."""
    return ScoreSettings(
        track=settings.track,
        policy=settings.policy,
        bits=None,
        accumulators="proven",
        bit_true=True,
        normalize=settings.normalize,
        seed=settings.seed,
    )


def _confirm(
    settings: OptimizeSettings, source: _Source, road: Road, context: Context
) -> tuple[tuple[TestLook, ...], ScoreResult, ArtifactFile]:
    """The best point that keeps the floor on the test set, by the score job on its file alone; or the last tried."""
    done: list[tuple[ScoreResult, ArtifactFile]] = []
    with ExitStack() as stack:
        if context.outputs is None:
            context = replace(context, outputs=Path(stack.enter_context(tempfile.TemporaryDirectory())))

        def measure(made: Made) -> Accuracy:
            artifact, _ = write_network(from_bytes(made.data), ARTIFACT, context)
            scored = _scored(settings, made, context)
            assert scored.accuracy is not None
            done.append((scored, artifact))
            return scored.accuracy

        looks = road.looks(measure)
    return looks, *done[-1]


def _looked(settings: OptimizeSettings, source: _Source, road: Road, context: Context) -> tuple[TestLook, ...]:
    """The best uniform point that keeps the floor on the test set, in float32 arithmetic: nothing depends on it."""
    device = choose_device(context.device)

    def measure(made: Made) -> Accuracy:
        return accuracy(from_bytes(made.data), source.test, device, context.progress.advance)

    return road.looks(measure)


def _scored(settings: OptimizeSettings, made: Made, context: Context) -> ScoreResult:
    """What the score job says of the file that was written, which has to be what the search said of it."""
    assert context.outputs is not None
    quiet = replace(context, outputs=None, journal=None, progress=Evaluating(context.progress))
    scored = score(_asked(settings), context.outputs / ARTIFACT, quiet)
    assert scored.score == made.point.score, "the file scores otherwise than the network it was written from"
    return scored


def _layers(graph: Graph) -> tuple[OptimizedLayer, ...]:
    """What a file says of its layers."""
    found = []
    for layer in count(prepare(graph, fuse=True)).layers:
        if layer.accumulator_bits is None or layer.weight_bits is None:
            continue
        weight = max(layer.parameters, key=lambda parameter: parameter.elements)
        found.append(
            OptimizedLayer(
                name=layer.name,
                weight_bits=layer.weight_bits,
                input_bits=layer.activation_bits,
                weights=weight.elements,
                nonzero=weight.nonzero,
                accumulator_bits=layer.accumulator_bits,
            )
        )
    return tuple(found)


_SPLITS: tuple[SplitName, SplitName] = ("test", "train")
