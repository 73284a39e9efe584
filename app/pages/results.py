"""What came of a job, made ready for the template of its kind."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isclose
from pathlib import Path

from app.breakdown import LayerCost, Term, costliest, layer_costs, math_terms, storage_terms
from app.facts import facts
from app.pages.drawings.layers import LayersDrawing, draw_layers
from app.pages.drawings.road import RoadDrawing, draw_road
from app.pages.drawings.stages import StagesDrawing, draw_stages
from app.pages.reports import Made, MadeView, ReportView, made_view, stage_views
from app.pages.stored import result_of
from micronet.contract import FrontPoint, OptimizeResult, PipelineResult, ScoreResult, TestLook, Value
from micronet.errors import MicronetError
from micronet.tracks import Track, track
from worker.records.values import Job

MOST_LISTED = 1_000
"""Rows of a list that is as long as a network: a file may have so many layers that no browser shows their table."""


@dataclass(frozen=True, slots=True)
class ScoreView:
    """A score taken apart. `track` is None where this server has it no more, or with other baselines.

    `listed` are the layers that the page shows, in a table and drawn: the costliest, where there are very many.
    `math` and `storage` are the sums the score is made of, none where the result does not say.
    """

    template = "results/score.html"
    most = MOST_LISTED
    result: ScoreResult
    track: Track | None
    layers: Sequence[LayerCost]
    listed: Sequence[LayerCost]
    drawing: LayersDrawing
    math: Sequence[Term]
    storage: Sequence[Term]

    @property
    def charged(self) -> bool:
        """Whether every layer says what it was charged."""
        return all(cost.charged is not None for cost in self.layers)

    @property
    def exponents(self) -> bool:
        """Whether any layer was charged for exponents."""
        return any(cost.charged is not None and cost.charged.exponents for cost in self.layers)

    @property
    def masks(self) -> bool:
        """Whether any layer was charged for saying which of its values are zero."""
        return any(cost.layer.charged is not None and "mask" in cost.layer.charged.storage for cost in self.layers)


@dataclass(frozen=True, slots=True)
class PipelineView:
    """A pipeline's stages, their picture, and what each says of itself, by its name."""

    template = "results/pipeline.html"
    most = MOST_LISTED
    result: PipelineResult
    track: Track | None
    drawing: StagesDrawing
    reports: Sequence[tuple[str, ReportView]]


@dataclass(frozen=True, slots=True)
class OptimizeView:
    """What an optimize job found, and every network on the road with its look at the test set, None where none was."""

    template = "results/optimize.html"
    most = MOST_LISTED
    result: OptimizeResult
    drawing: RoadDrawing
    points: Sequence[tuple[FrontPoint, TestLook | None]]
    score: ScoreView


@dataclass(frozen=True, slots=True)
class OtherView:
    """Any other answer: its numbers in a list."""

    template = "results/other.html"
    facts: Sequence[tuple[str, str]]
    warnings: Sequence[str]


_OF_ANOTHER_VERSION = "Another version of this program wrote the result: it can be read as JSON only."
ResultView = ScoreView | PipelineView | OptimizeView | MadeView | OtherView


def result_view(job: Job, data_dir: Path | None) -> ResultView | None:
    """The view of a job's result; None while there is none."""
    if job.result is None:
        return None
    result = result_of(job)
    if result is None:
        return OtherView((), (_OF_ANOTHER_VERSION,))
    if isinstance(result, ScoreResult):
        return score_view(result, data_dir)
    if isinstance(result, PipelineResult):
        chosen = _track(result.track, data_dir)
        return PipelineView(result, chosen, draw_stages(result, chosen), stage_views(result))
    if isinstance(result, OptimizeResult):
        return optimize_view(result, data_dir)
    return made_view(result, MOST_LISTED) if isinstance(result, Made) else other_view(result)


def other_view(result: Value) -> OtherView:
    """Its numbers, by the names they have in the answer."""
    return OtherView(tuple(facts(result)), getattr(result, "warnings", ()))


def score_view(result: ScoreResult, data_dir: Path | None) -> ScoreView:
    """A score taken apart."""
    layers = layer_costs(result)
    listed = costliest(layers, MOST_LISTED)
    return ScoreView(
        result=result,
        track=_same_track(result, data_dir),
        layers=layers,
        listed=listed,
        drawing=draw_layers(listed),
        math=math_terms(result),
        storage=storage_terms(result),
    )


def optimize_view(result: OptimizeResult, data_dir: Path | None) -> OptimizeView:
    """The road, and the score of what was found taken apart."""
    looks = {look.point: look for look in (*result.looks, *result.uniform_looks)}
    points = tuple((point, looks.get(index)) for index, point in enumerate(result.front))
    return OptimizeView(result, draw_road(result), points, score_view(result.score, data_dir))


def _same_track(result: ScoreResult, data_dir: Path | None) -> Track | None:
    """The track, if its baselines are still those that the score was made with."""
    chosen = _track(result.track, data_dir)
    if chosen is None:
        return None
    storage = result.storage.storage / chosen.baseline_storage
    math = result.operations.math / chosen.baseline_math
    same = isclose(storage, result.score.storage) and isclose(math, result.score.math)
    return chosen if same else None


def _track(name: str, data_dir: Path | None) -> Track | None:
    try:
        return track(name, data_dir)
    except MicronetError:  # unknown, or the file of some track is damaged: a score stays what it was
        return None
