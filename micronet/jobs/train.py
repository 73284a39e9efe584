"""The train job: a network, and how each epoch went."""

from pathlib import Path

from micronet.contract import TrainingReport, TrainResult, TrainSettings
from micronet.graph.ir import Graph
from micronet.jobs.context import Context
from micronet.jobs.learning import of_fresh, taught
from micronet.training import fit
from micronet.training.task import Task


def train(settings: TrainSettings, checkpoint: Path | None, context: Context) -> TrainResult:
    """Train the file's network, or a fresh one. Raises MicronetError, each kind with what would be right.

    Started several times by `torchrun`, the processes train together, each on its share of every batch.
    """

    def teach(graph: Graph, how: TrainSettings, task: Task) -> tuple[Graph, TrainingReport]:
        return fit.train(graph, of_fresh(how) if checkpoint is None else how, task)

    report, rest = taught("train", settings, checkpoint, context, teach)
    return TrainResult(training=report, **rest)
