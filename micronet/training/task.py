"""What every stage that learns works with: images to learn from, images to choose by, a device, a journal."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch

from micronet.contract import Accuracy, Distillation
from micronet.errors import SettingsError
from micronet.evaluation.accuracy import evaluate
from micronet.evaluation.inputs import Inputs
from micronet.graph.ir import Graph
from micronet.journal import Journal, MemoryJournal, Section
from micronet.progress import Advance, unheard
from micronet.training.distributed import ALONE, World


def _no_teacher(distillation: Distillation) -> Graph:
    raise SettingsError(f"distillation: no file of the teacher {distillation.teacher} was given.")


@dataclass(frozen=True, slots=True)
class Task:
    """Images and means. `holdout` is a part of the training images that nothing is learned from.

    `seed` chooses everything that is drawn; `teacher` finds the network of a distillation; `world` is this process's
    place among those that do the same task together, who all need to read the same in `journal` (`SharedJournal`).
    """

    train: Inputs
    holdout: Inputs
    device: torch.device
    seed: int = 0
    journal: Journal = field(default_factory=MemoryJournal)
    advance: Advance = unheard
    teacher: Callable[[Distillation], Graph] = _no_teacher
    world: World = ALONE

    def section(self, name: str) -> "Task":
        """The same with a part of the journal of its own."""
        return replace(self, journal=Section(self.journal, name))

    def holdout_accuracy(self, graph: Graph) -> Accuracy:
        """Top-1 of `graph` on the held-out images. Raises NumericalError."""
        return accuracy(graph, self.holdout, self.device)


def accuracy(graph: Graph, inputs: Inputs, device: torch.device, advance: Advance = unheard) -> Accuracy:
    """Top-1 of `graph` on `inputs`. Raises NumericalError where a logit is NaN or infinite."""
    return evaluate(graph, inputs, device, advance=advance).accuracy
