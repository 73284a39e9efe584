"""The optimize job: the lowest score found that keeps the floor, as a file, and the way there."""

import tempfile
from contextlib import ExitStack
from dataclasses import replace
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
from micronet.evaluation.device import choose_device
from micronet.graph.ir import Graph
from micronet.jobs.artifact import write_network
from micronet.jobs.context import Context, Stages
from micronet.jobs.journals import opened_journal, origin
from micronet.jobs.learning import own
from micronet.jobs.looks import Evaluating, LookOrder, doubts
from micronet.jobs.result import scorer
from micronet.jobs.score import score, score_of
from micronet.jobs.starting_point import Source, StartingPoint, read_source, starting_point
from micronet.jobs.table import JOBS
from micronet.journal import Journal
from micronet.network_file import from_bytes
from micronet.optimization.front_search import FrontSearch
from micronet.optimization.network_maker import FrontNetwork
from micronet.optimization.search_setup import SearchSetup
from micronet.scoring.policies import POLICIES, UNQUANTIZED, WORD, Terms
from micronet.tracks import Track
from micronet.training.task import Task, accuracy
from micronet.transformation.prepare import prepare
from micronet.version import version

_CHOOSE, _NAMED = frozenset({"floor", "margin", "points", "looks"}), frozenset({"tuning"})
"""Settings that say which networks are made and looked at, and such as entries of a journal are named by: one journal
serves any of either."""
_METHOD = "5"
"""Of making networks: grows where the same settings come to give others, and journals of the one before are refused."""


def optimize(settings: OptimizeSettings, checkpoint: Path, context: Context) -> OptimizeResult:
    """Optimize the file at `checkpoint`. Raises MicronetError, each kind with what would be right.

    The test set is looked at for the file as it came, which says how much may be lost, and in the end for networks that
    were chosen without it, in an order set before: the first that keeps the floor is the result. All looks are in it.
    """
    context = own(context)
    stages = Stages(context.progress, ("read", "measure", "survey", "search", "uniform", "confirm"))
    stages.begin("read")
    source = read_source(settings, checkpoint, context)
    journal = _journal(settings, checkpoint, source, context)
    stages.begin("measure")
    before = starting_point(settings, source, journal, context)
    stages.begin("survey")
    search = FrontSearch(_setup(settings, source, before, journal, context))
    stages.begin("search")
    search.searched(settings.points)
    stages.begin("uniform")
    search.uniform(settings.points)
    stages.begin("confirm")
    return _result(settings, source, before, search, context)


def _result(
    settings: OptimizeSettings, source: Source, before: StartingPoint, search: FrontSearch, context: Context
) -> OptimizeResult:
    order = LookOrder(search.made, search.allowance, source.floor, settings.looks)
    looks, scored, artifact = _confirm(settings, order, context)
    holdout_before, hard_before = search.before
    return OptimizeResult(
        track=source.track.name,
        floor=source.floor,
        before=_score(settings, source.track, source.graph),
        before_accuracy=before.accuracy,
        mixing=before.mixing,
        holdout_before=holdout_before,
        hard_mixing=before.hard_mixing,
        hard_before=hard_before,
        front=tuple(made.point for made in search.made),
        looks=looks,
        uniform_looks=_uniform_looks(source, order, context),
        layers=_layers(from_bytes(search.made[looks[-1].point].data)),
        score=scored,
        artifact=artifact,
        scorer=scorer(
            str(choose_device(context.device)), settings.seed, source.track.dataset, source.train.split.sha256
        ),
        warnings=tuple(dict.fromkeys((*source.warnings, *scored.warnings, *doubts(looks)))),
    )


def _journal(settings: OptimizeSettings, checkpoint: Path, source: Source, context: Context) -> Journal:
    """Raises SettingsError for that of another search, or of one that an older version of this program made.

    Test images say how hard held-out ones are made, so another set of them makes another search.
    """
    comes_of = origin(settings, checkpoint, source.track, source.train.split.sha256, free=_CHOOSE | _NAMED)
    more = {"test images": source.test.split.sha256, "version": f"{version()}, method {_METHOD}"}
    return opened_journal(context, replace(comes_of, facts={**comes_of.facts, **more}))


def _setup(
    settings: OptimizeSettings, source: Source, before: StartingPoint, journal: Journal, context: Context
) -> SearchSetup:
    advance = context.progress.advance
    return SearchSetup(
        network=source.network,
        settings=settings,
        calibration=before.calibration.batch(0, len(before.calibration))[0],
        holdout=before.holdout,
        hard=before.hard,
        drop=before.drop(settings, source),
        layer_score=partial(_layer_score, settings, source.track),
        score=partial(_score, settings, source.track),
        training=Task(
            train=before.rest,
            holdout=before.hard,
            device=choose_device(context.device),
            seed=settings.seed,
            advance=advance,
        ),
        journal=journal,
        advance=advance,
    )


def _layer_score(settings: OptimizeSettings, chosen: Track, layer: LayerCounts) -> float:
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
    settings: OptimizeSettings, order: LookOrder, context: Context
) -> tuple[tuple[TestLook, ...], ScoreResult, ArtifactFile]:
    """The best point that keeps the floor on the test set, by the score job on its file alone; or the last tried."""
    done: list[tuple[ScoreResult, ArtifactFile]] = []
    with ExitStack() as stack:
        if context.outputs is None:
            context = replace(context, outputs=Path(stack.enter_context(tempfile.TemporaryDirectory())))

        def measure(made: FrontNetwork) -> Accuracy:
            artifact, _ = write_network(from_bytes(made.data), JOBS["optimize"].artifact, context)
            scored = _scored(settings, made, artifact, context)
            assert scored.accuracy is not None
            done.append((scored, artifact))
            return scored.accuracy

        looks = order.looks("searched", measure)
    return looks, *done[-1]


def _uniform_looks(source: Source, order: LookOrder, context: Context) -> tuple[TestLook, ...]:
    """The best uniform point that keeps the floor on the test set, in float32 arithmetic: nothing depends on it."""
    device = choose_device(context.device)

    def measure(made: FrontNetwork) -> Accuracy:
        return accuracy(from_bytes(made.data), source.test, device, context.progress.advance)

    return order.looks("uniform", measure)


def _scored(settings: OptimizeSettings, made: FrontNetwork, artifact: ArtifactFile, context: Context) -> ScoreResult:
    """What the score job says of the file that was written, which has to be what the search said of it."""
    assert context.outputs is not None
    quiet = replace(context, outputs=None, journal=None, progress=Evaluating(context.progress))
    scored = score(_asked(settings), context.outputs / artifact.name, quiet)
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
