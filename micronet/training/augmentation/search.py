"""Fast AutoAugment: a policy found by density matching (Lim et al. 2019, arXiv 1905.00397)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from micronet.contract import (
    AugmentationOperation,
    AugmentationPolicy,
    AugmentSettings,
    OperationName,
)
from micronet.errors import NumericalError, SettingsError
from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph
from micronet.journal import Entry, Section
from micronet.training.augmentation.augmenter import Augmenter
from micronet.training.augmentation.operations import OPERATIONS
from micronet.training.fit import derived_seed, fit
from micronet.training.images import TrainingImages
from micronet.training.network import TrainableNetwork
from micronet.training.task import Task

Operations = tuple[AugmentationOperation, ...]
"""One list of a policy."""
Begin = Callable[[str], None]
"""Hears which stage begins."""

SEARCHED: tuple[OperationName, ...] = tuple(name for name in OPERATIONS if name != "identity")
"""Probability 0 is identity enough."""
BATCH = 500


@dataclass(frozen=True, slots=True)
class Found:
    """The policy, and the mean loss of the folds' networks on their own held-out images without and with it."""

    policy: AugmentationPolicy
    loss_without: float
    loss_with: float


def stages(settings: AugmentSettings) -> tuple[str, ...]:
    """Names of the stages that `search` announces."""
    folds = range(1, settings.folds + 1)
    return (*(f"{what} {fold}" for fold in folds for what in ("train fold", "search fold")), "measure")


def search(graph: Graph, settings: AugmentSettings, task: Task, begin: Begin) -> Found:
    """Search on `settings.folds` splits of `task.train`, with networks that start from `graph` (algorithm 1).

    A network learns one part of a split; a policy is good if that network answers well on the other part, augmented:
    then it leads to images like those there were. Departures: parts are drawn evenly, not per class; a candidate is one
    list of operations, not five; losses of a search are compared on the same draws.

    The journal has each fold's training, epoch by epoch, and each finished search. Killed anywhere, it goes on from
    there, and on one device finds the same. Raises SettingsError for too few images, and what `fit` raises.
    """
    if len(task.train) < 2:
        raise SettingsError("a search divides its training images in two: it needs at least 2.")
    folds = []
    lists: list[Operations] = []
    for number in range(settings.folds):
        begin(f"train fold {number + 1}")
        fold = _fold(graph, settings, task.section(f"fold{number}"), derived_seed(task.seed, number))
        folds.append(fold)
        begin(f"search fold {number + 1}")
        for one in range(settings.searches):
            lists += _searched(fold, settings, one)
    begin("measure")
    policy = AugmentationPolicy(policies=tuple(lists))
    seed = derived_seed(task.seed, settings.folds)
    return task.world.from_first(
        lambda: Found(
            policy, _mean([fold.loss("none", seed) for fold in folds]), _mean([f.loss(policy, seed) for f in folds])
        )
    )


@dataclass(frozen=True, slots=True)
class _Fold:
    """A trained network, and images it has not seen."""

    graph: Graph
    settings: AugmentSettings
    task: Task

    def loss(self, policy: AugmentationPolicy | str, seed: int) -> float:
        """Mean cross-entropy on the held-out images, augmented as in training, but by this policy."""
        how = self.settings.augmentation.model_copy(update={"policy": policy})
        images = TrainingImages(self.task.holdout, self.task.device, Augmenter(how))
        generator = torch.Generator().manual_seed(seed)
        total = torch.zeros((), dtype=torch.float64, device=self.task.device)
        for start in range(0, len(images), BATCH):
            batch, labels = images.batch(torch.arange(start, min(start + BATCH, len(images))), generator)
            total += _cross_entropy(self.graph, batch, labels)
        return float(total) / len(images)

    def best(self, seed: int) -> list[Operations]:
        """The best lists of operations of one search."""
        how = self.settings
        candidates = tried(lambda policy: self.loss(policy, seed), how.candidates, how.operations, seed)
        return least(candidates, how.best)


def _cross_entropy(graph: Graph, images: Tensor, labels: Tensor) -> Tensor:
    with torch.no_grad():
        return F.cross_entropy(interpret(graph, images), labels, reduction="sum").double()


def _fold(graph: Graph, settings: AugmentSettings, task: Task, seed: int) -> _Fold:
    """Learn from one part without any policy; the other part is the fold's own to choose by."""
    split = task.train.split
    apart, rest = split.divided(max(1, len(split) // max(2, settings.folds)), seed)
    inputs = task.train
    task = replace(task, train=replace(inputs, split=rest), holdout=replace(inputs, split=apart), seed=seed)
    how = settings.model_copy(update={"augmentation": settings.augmentation.model_copy(update={"policy": "none"})})
    network = TrainableNetwork(graph, shakedrop=settings.shakedrop, hold_zeros=settings.hold_zeros)
    trained, _ = fit(network, how, task)
    weights = {name: weight.to(task.device) for name, weight in trained.weights.items()}
    return _Fold(replace(trained, weights=weights), settings, task)


def _searched(fold: _Fold, settings: AugmentSettings, number: int) -> list[Operations]:
    """The best lists of one search; from the journal, where it has been finished before."""
    journal = Section(fold.task.journal, f"search{number}")
    entry = journal.read("best")
    if entry is None:
        seed = derived_seed(fold.task.seed, number)
        best = fold.task.world.from_first(lambda: fold.best(seed))
        entry = Entry({"lists": [[one.model_dump() for one in operations] for operations in best]})
        journal.write("best", entry)
    fold.task.advance(number + 1, settings.searches, "searches")
    return [tuple(AugmentationOperation.model_validate(one) for one in chosen) for chosen in entry.facts["lists"]]


@dataclass(frozen=True, slots=True)
class Candidate:
    """What was tried, and how well the network did on it."""

    loss: float
    operations: Operations


def tried(loss: Callable[[AugmentationPolicy], float], count: int, operations: int, seed: int) -> list[Candidate]:
    """`count` candidates, in the order in which optuna's tree-structured Parzen estimator proposed them.

    Raises NumericalError for a loss that is NaN or infinite.
    """
    import optuna  # noqa: PLC0415  # takes a while, and only a search needs it

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed % 2**32))
    candidates = []
    for _ in range(count):
        trial = study.ask()
        proposed = _proposed(trial, operations)
        value = loss(AugmentationPolicy(policies=(proposed,)))
        if not math.isfinite(value):
            raise NumericalError(f"a fold's network has loss {value}: its training came apart. Lower learning_rate.")
        study.tell(trial, value)
        candidates.append(Candidate(value, proposed))
    return candidates


def least(candidates: Sequence[Candidate], count: int) -> list[Operations]:
    """The operations of the `count` of least loss, best first; of equal ones, those tried first."""
    return [candidate.operations for candidate in sorted(candidates, key=lambda one: one.loss)[:count]]


def _proposed(trial: Any, count: int) -> Operations:
    return tuple(
        AugmentationOperation(
            operation=trial.suggest_categorical(f"operation{place}", SEARCHED),
            probability=trial.suggest_float(f"probability{place}", 0.0, 1.0),
            magnitude=trial.suggest_float(f"magnitude{place}", 0.0, 1.0),
        )
        for place in range(count)
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
