"""The pipeline: one stage after the other, every stage's network, accuracy and score kept."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from micronet.analysis.counts import count
from micronet.analysis.totals import network_totals
from micronet.contract import (
    PipelineResult,
    PipelineSettings,
    ScoreSettings,
    ScoreTerms,
    Stage,
    StageReport,
    Value,
)
from micronet.errors import SettingsError
from micronet.graph.ir import Graph
from micronet.jobs.artifact import read_back, write_network
from micronet.jobs.context import Context, Stages
from micronet.jobs.fuse import fuse_graph
from micronet.jobs.learning import Lesson, begin
from micronet.jobs.network import prepare
from micronet.jobs.result import Evidence, score_result
from micronet.journal import Entry
from micronet.pruning.stage import prune
from micronet.quantization.stage import quantize_stage
from micronet.sparsity.stage import sparsify
from micronet.training.stage import train
from micronet.training.task import Task

StageFunction = Callable[[Graph, Any, Task], tuple[Graph, Value]]

STAGES: Mapping[str, StageFunction] = {
    "train": train,
    "prune": prune,
    "sparsify": sparsify,
    "fuse": lambda graph, _how, _task: fuse_graph(graph),
    "quantize": quantize_stage,
}
"""What each stage does: from a graph, its settings and a task to a graph and a report."""
DONE = "done"


@dataclass(frozen=True, slots=True)
class _Finished:
    """A stage that ended: what it reported, and the bytes of its file, which the next stage reads."""

    report: StageReport
    data: bytes


def pipeline(settings: PipelineSettings, checkpoint: Path | None, context: Context) -> PipelineResult:
    """Do all stages. Raises MicronetError, each kind with what would be right.

    Every stage begins with the file that the one before it wrote, as if each had been a job of its own; so a pipeline
    that was killed goes on from the last finished stage, and in it from the last epoch, to the same bits.
    """
    names = [f"{index}-{stage.stage}" for index, stage in enumerate(settings.stages, 1)]
    stages = Stages(context.progress, ("read", *names))
    stages.begin("read")
    lesson = begin(settings, checkpoint, context)
    graph, finished, stopped = lesson.graph, [], None
    if checkpoint is not None:
        finished.append(_kept("0-start", lesson, context) or _start(settings, lesson, context))
    elif settings.stages[0].stage != "train":
        raise SettingsError("a fresh network has to be trained first: begin with a train stage, or send a checkpoint.")
    for name, stage in zip(names, settings.stages, strict=True):
        stages.begin(name)
        done = _kept(name, lesson, context) or _do(name, stage, graph, settings, lesson, context)
        finished.append(done)
        if done.report.accepted:
            graph = read_back(done.data)
        elif settings.below == "stop":
            stopped = name
            break
    last = [done.report for done in finished if done.report.accepted][-1]
    return PipelineResult(
        track=lesson.track.name,
        policy=settings.policy,
        stages=tuple(done.report for done in finished),
        stopped=stopped,
        accuracy=last.accuracy,
        score=last.score,
        artifact=last.artifact,
        scorer=lesson.scorer(),
        warnings=lesson.warnings,
    )


def _kept(name: str, lesson: Lesson, context: Context) -> _Finished | None:
    """A stage that had ended when the pipeline was killed; its file is written again."""
    entry = lesson.task.journal.read(f"{name}.{DONE}")
    if entry is None:
        return None
    done = _Finished(StageReport.model_validate(entry.facts), entry.tensors["file"].numpy().tobytes())
    if context.outputs is not None:
        (context.outputs / done.report.artifact.name).write_bytes(done.data)
    return done


def _start(settings: PipelineSettings, lesson: Lesson, context: Context) -> _Finished:
    return _finished("0-start", lesson.graph, None, settings, lesson, context)


def _do(
    name: str, stage: Stage, graph: Graph, settings: PipelineSettings, lesson: Lesson, context: Context
) -> _Finished:
    changed, report = STAGES[stage.stage](graph, stage, lesson.task.section(name))
    return _finished(name, changed, report, settings, lesson, context)


def _finished(
    name: str, graph: Graph, report: Any, settings: PipelineSettings, lesson: Lesson, context: Context
) -> _Finished:
    """Write the file, measure what was written, and note both."""
    index, _, kind = name.partition("-")
    artifact, data = write_network(graph, f"{name}.onnx", context)
    graph = read_back(data)
    holdout = lesson.task.holdout_accuracy(graph)
    learned = kind in ("start", "train")  # what comes in, and what training makes of it, is what there is
    made = StageReport(
        index=int(index),
        stage=kind,
        accepted=learned or settings.floor is None or holdout.top1 >= settings.floor,
        totals=network_totals(graph),
        holdout=holdout,
        accuracy=lesson.measured(graph, context),
        score=_score(graph, settings, lesson),
        artifact=artifact,
        report=report,
    )
    tensor = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    lesson.task.journal.write(f"{name}.{DONE}", Entry(made.model_dump(mode="json"), {"file": tensor}))
    return _Finished(made, data)


def _score(graph: Graph, settings: PipelineSettings, lesson: Lesson) -> ScoreTerms:
    """As the score job scores the file, with widths of its own."""
    asked = ScoreSettings(track=settings.track, policy=settings.policy, bits=None, evaluate=False)
    counts = count(prepare(graph, fuse=True))
    return score_result(asked, lesson.track, Evidence(counts, None, None, "none", ())).score
