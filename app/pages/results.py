"""What came of a job, made ready for the template of its kind."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.facts import facts
from app.pages.breakdown import LayerCost, Term, layer_costs, math_terms, storage_terms
from app.pages.drawings.layers import LayersDrawing, draw_layers
from app.pages.drawings.stages import StagesDrawing, draw_stages
from micronet.contract import BitWidths, PipelineResult, ScoreResult
from micronet.errors import UnknownTrack
from micronet.jobs import JOBS
from micronet.tracks import Track, track
from worker.records.values import Job


@dataclass(frozen=True, slots=True)
class ScoreView:
    """A score taken apart. `track` is None where this server has it no more; `costliest` are places in `layers`."""

    template = "results/score.html"
    result: ScoreResult
    track: Track | None
    layers: Sequence[LayerCost]
    drawing: LayersDrawing
    math: Sequence[Term]
    storage: Sequence[Term]
    text: str


@dataclass(frozen=True, slots=True)
class PipelineView:
    """A pipeline's stages, and their picture."""

    template = "results/pipeline.html"
    result: PipelineResult
    track: Track | None
    drawing: StagesDrawing
    facts: Sequence[tuple[str, str]]
    text: str


@dataclass(frozen=True, slots=True)
class OtherView:
    """Any other answer: its numbers in a list, and all of it as JSON."""

    template = "results/other.html"
    facts: Sequence[tuple[str, str]]
    warnings: Sequence[str]
    text: str


ResultView = ScoreView | PipelineView | OtherView


def result_view(job: Job, data_dir: Path | None) -> ResultView | None:
    """The view of a job's result; None while there is none."""
    if job.result is None:
        return None
    result = JOBS[job.kind].result.model_validate_json(job.result)
    text = json.dumps(json.loads(job.result), indent=2, ensure_ascii=False)
    if isinstance(result, ScoreResult):
        return score_view(result, widths_of(job), data_dir, text)
    if isinstance(result, PipelineResult):
        chosen = _track(result.track, data_dir)
        return PipelineView(result, chosen, draw_stages(result, chosen), tuple(facts(result)), text)
    return OtherView(tuple(facts(result)), getattr(result, "warnings", ()), text)


def score_view(result: ScoreResult, widths: BitWidths | None, data_dir: Path | None, text: str) -> ScoreView:
    """A score taken apart; `widths` are those that were declared."""
    layers = layer_costs(result)
    return ScoreView(
        result=result,
        track=_track(result.track, data_dir),
        layers=layers,
        drawing=draw_layers(layers),
        math=math_terms(result, widths),
        storage=storage_terms(result),
        text=text,
    )


def widths_of(job: Job) -> BitWidths | None:
    """The widths a job's settings declare."""
    bits = json.loads(job.settings).get("bits")
    return None if bits is None else BitWidths.model_validate(bits)


def _track(name: str, data_dir: Path | None) -> Track | None:
    try:
        return track(name, data_dir)
    except UnknownTrack:
        return None
