"""The pipeline: one stage after the other, every stage's network, accuracy and score kept."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from micronet.analysis.totals import network_totals
from micronet.contract import (
    PipelineResult,
    PipelineSettings,
    PruningReport,
    ScoreSettings,
    ScoreTerms,
    SparsifyingReport,
    Stage,
    StageReport,
    Value,
)
from micronet.contract.pipeline import SparsifyStage, TrainStage
from micronet.errors import ArchitectureNotAccepted, SettingsError
from micronet.graph.ir import Graph
from micronet.jobs.artifact import put_output, write_network
from micronet.jobs.context import Context, Stages
from micronet.jobs.foresight import Foresight
from micronet.jobs.fuse import fuse_graph
from micronet.jobs.learning import Lesson, begin, of_fresh, own
from micronet.jobs.prune import prune_warnings
from micronet.jobs.score import score_of
from micronet.jobs.sparsify import sparsify_warnings
from micronet.jobs.table import START
from micronet.journal import Entry, bytes_of, once, tensor_of
from micronet.network_file import from_bytes
from micronet.pruning.stage import prune
from micronet.quantization.stage import quantize_stage
from micronet.sparsity.stage import sparsify
from micronet.training.fit import train
from micronet.training.state import forget_
from micronet.training.task import Task
from micronet.transformation.prepare import prepare

StageFunction = Callable[[Graph, Any, Task], tuple[Graph, Value]]

STAGES: Mapping[str, StageFunction] = {
    "train": train,
    "prune": prune,
    "sparsify": sparsify,
    "fuse": lambda graph, _how, _task: fuse_graph(graph),
    "quantize": quantize_stage,
}
"""What each stage does: from a graph, its settings and a task to a graph and a report."""
DONE, _FILE = "done", "file"


def pipeline(settings: PipelineSettings, checkpoint: Path | None, context: Context) -> PipelineResult:
    """Do all stages. Raises MicronetError, each kind with what would be right.

    Every stage begins with the file that the one before it wrote, as if each had been a job of its own; so a pipeline
    that was killed goes on from the last finished stage, and in it from the last epoch, to the same bits.
    """
    context = own(context)
    stages = Stages(context.progress, ("read", *settings.names))
    stages.begin("read")
    if checkpoint is None and settings.stages[0].stage != "train":
        raise SettingsError("a fresh network has to be trained first: begin with a train stage, or send a checkpoint.")
    lesson = _begin(settings, checkpoint, context)
    _check(settings, lesson)
    road = _Road(settings, lesson, context)
    if checkpoint is not None:
        road.start()
    for name, stage in zip(settings.names, settings.stages, strict=True):
        stages.begin(name)
        fresh = checkpoint is None and name == settings.names[0]
        road.go(name, of_fresh(stage) if fresh and isinstance(stage, TrainStage) else stage)
        if road.stopped:
            break
    return road.result()


def _check(settings: PipelineSettings, lesson: Lesson) -> None:
    """Raise SettingsError, which names the stage, for what it would find wrong only after those before it."""
    foresight = Foresight(lesson)
    for name, stage in zip(settings.names, settings.stages, strict=True):
        try:
            foresight.check(stage)
        except SettingsError as error:
            raise SettingsError(f"{name}: {error}") from error


def _begin(settings: PipelineSettings, checkpoint: Path | None, context: Context) -> Lesson:
    """As `begin`; an ONNX file takes the place of the network that a recipe is for."""
    try:
        return begin(settings, checkpoint, context)
    except ArchitectureNotAccepted:
        if settings.recipe is None or settings.architecture != PipelineSettings(recipe=settings.recipe).architecture:
            raise
        return begin(settings.model_copy(update={"architecture": None}), checkpoint, context)


class _Road:
    """A pipeline on its way: the network as it is now, and every stage so far."""

    def __init__(self, settings: PipelineSettings, lesson: Lesson, context: Context) -> None:
        self._settings, self._lesson, self._context = settings, lesson, context
        self._graph = lesson.graph
        self._reports: list[StageReport] = []
        self.stopped: str | None = None

    def start(self) -> None:
        """The file as it came is what the stages are measured against, and what is left where none is accepted."""
        self._take(START, lambda: (self._graph, None))

    def go(self, name: str, stage: Stage) -> None:
        """One stage: as the journal has it, or done now."""
        section = self._lesson.task.section(name)
        self._take(name, lambda: STAGES[stage.stage](self._graph, stage, section))
        forget_(section.journal)
        if not self._reports[-1].accepted and self._settings.below == "stop":
            self.stopped = name

    def result(self) -> PipelineResult:
        """What all of it came to: the last network that was accepted."""
        last = [report for report in self._reports if report.accepted][-1]
        return PipelineResult(
            track=self._lesson.track.name,
            policy=self._settings.policy,
            stages=tuple(self._reports),
            stopped=self.stopped,
            accuracy=last.accuracy,
            teacher=self._lesson.teacher(self._settings),
            score=last.score,
            artifact=last.artifact,
            scorer=self._lesson.scorer(),
            warnings=(*self._lesson.warnings, *self._warnings()),
        )

    def _warnings(self) -> Iterator[str]:
        for stage in self._reports:
            match stage.report, self._settings.stages[stage.index - 1]:
                case PruningReport() as pruning, _:
                    warnings = prune_warnings(pruning)
                case SparsifyingReport() as sparsifying, SparsifyStage() as how:
                    warnings = sparsify_warnings(how, sparsifying)
                case _:
                    continue
            yield from (f"{stage.index}-{stage.stage}: {warning}" for warning in warnings)

    def _take(self, name: str, make: Callable[[], tuple[Graph, Value | None]]) -> None:
        """A stage that has ended, now or before a kill, as the first process noted it; its file is written."""
        done = once(self._lesson.task.journal, f"{name}.{DONE}", lambda: self._measured(name, *make()))
        report, data = StageReport.model_validate(done.facts), bytes_of(done.tensors[_FILE])
        if self._context.outputs is not None:
            put_output(self._context.outputs, report.artifact.name, data)
        self._reports.append(report)
        if report.accepted:
            self._graph = from_bytes(data)

    def _measured(self, name: str, graph: Graph, report: Value | None) -> Entry:
        """What is to be the file, and what there is to say of it; every process goes on from what the first noted."""
        index, _, kind = name.partition("-")
        artifact, data = write_network(graph, f"{name}.onnx", replace(self._context, outputs=None))
        graph = from_bytes(data)
        holdout = self._lesson.task.holdout_accuracy(graph)
        floor = self._settings.floor
        facts = {
            "index": int(index),
            "stage": kind,
            # what comes in, and what training makes of it, is what there is
            "accepted": kind in ("start", "train") or floor is None or holdout.top1 >= floor,
            "totals": network_totals(graph),
            "holdout": holdout,
            "accuracy": self._lesson.measured(graph, self._context),
            "score": self._score(graph),
            "artifact": artifact,
            "report": report,
        }
        return Entry(StageReport.model_validate(facts).model_dump(mode="json"), {_FILE: tensor_of(data)})

    def _score(self, graph: Graph) -> ScoreTerms:
        """As the score job scores the file, with widths of its own."""
        asked = ScoreSettings(track=self._settings.track, policy=self._settings.policy, bits=None, evaluate=False)
        return score_of(prepare(graph, fuse=True), asked, self._lesson.track).score
