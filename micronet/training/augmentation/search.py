"""Fast AutoAugment: a policy found by density matching (Lim et al. 2019, arXiv 1905.00397)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.nn import functional as F

from micronet.contract import (
    Accuracy,
    AugmentationOperation,
    AugmentationPolicy,
    AugmentSettings,
    OperationName,
)
from micronet.errors import NumericalError, SettingsError
from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph
from micronet.journal import Entry, Section, once
from micronet.training.augmentation.augmenter import Augmenter
from micronet.training.augmentation.operations import OPERATIONS
from micronet.training.fit import derived_seed, train
from micronet.training.images import TrainingImages
from micronet.training.task import Task

Operations = tuple[AugmentationOperation, ...]
"""One list of a policy."""
Begin = Callable[[str], None]
"""Hears which stage begins."""

SEARCHED: tuple[OperationName, ...] = tuple(name for name in OPERATIONS if name != "identity")
"""Probability 0 is identity enough."""
BATCH = 500
_CHOSEN = "chosen"
"""The entry of a finished search. Earlier versions chose otherwise, and called theirs `best`: it is done anew then."""


@dataclass(frozen=True, slots=True)
class Answers:
    """A network's to images that were each augmented several times; for each image its best draw counts.

    accuracy  images answered right in at least one draw
    loss      mean over the images of the least cross-entropy of their draws
    """

    accuracy: Accuracy
    loss: float

    @property
    def shortfall(self) -> float:
        """Images answered wrong in every draw, and less than one more by which, of equal ones, the least loss wins."""
        return self.accuracy.total - self.accuracy.correct + self.loss / (1 + self.loss)


@dataclass(frozen=True, slots=True)
class Found:
    """The policy, and what the folds' networks answer to their own held-out images without and with it."""

    policy: AugmentationPolicy
    without: Answers
    with_policy: Answers


def stages(settings: AugmentSettings) -> tuple[str, ...]:
    """Names of the stages that `search` announces."""
    folds = range(1, settings.folds + 1)
    return (*(f"{what} {fold}" for fold in folds for what in ("train fold", "search fold")), "measure")


def search(graph: Graph, settings: AugmentSettings, task: Task, begin: Begin) -> Found:
    """Search on `settings.folds` splits of `task.train`, with networks that start from `graph` (algorithm 1).

    A network learns one part of a split. A candidate is a policy of `settings.lists` lists, and images of the other
    part are augmented as many times by it: it is good if the network answers many right in at least one draw, as in the
    authors' program. (By the mean over draws, the network having learned without a policy, the best would be none.) The
    best candidates' lists together are the policy. Departures: parts are drawn evenly, not per class; of equal
    candidates the least loss wins; those of a search are compared on the same draws; lists of like operations all stay.

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
    return task.world.from_first(lambda: Found(policy, _together(folds, "none", seed), _together(folds, policy, seed)))


@dataclass(frozen=True, slots=True)
class _Fold:
    """A trained network, and images it has not seen."""

    graph: Graph
    settings: AugmentSettings
    task: Task

    def answers(self, policy: AugmentationPolicy | str, seed: int) -> Answers:
        """To the held-out images, augmented as in training, but by this policy."""
        how = self.settings.augmentation.model_copy(update={"policy": policy})
        images = TrainingImages(self.task.holdout, self.task.device, Augmenter(how))
        return best_of_draws(self.graph, images, self.settings.lists, seed)

    def best(self, seed: int) -> list[Operations]:
        """The lists of the best candidates of one search."""
        candidates = tried(lambda policy: self.answers(policy, seed), self.settings, seed)
        return [operations for policy in least(candidates, self.settings.best) for operations in policy.policies]


def best_of_draws(graph: Graph, images: TrainingImages, draws: int, seed: int) -> Answers:
    """What `graph` answers to all of `images`, each augmented `draws` times, which `seed` draws."""
    generator = torch.Generator().manual_seed(seed)
    right, losses = [], []
    size = max(1, BATCH // draws)
    for start in range(0, len(images), size):
        indices = torch.arange(start, min(start + size, len(images)))
        batch, labels = images.batch(indices.repeat(draws), generator)
        with torch.no_grad():
            logits = interpret(graph, batch)
        right.append((logits.argmax(1) == labels).view(draws, -1).any(0))
        losses.append(F.cross_entropy(logits, labels, reduction="none").view(draws, -1).amin(0))
    correct = int(torch.cat(right).sum())
    return Answers(Accuracy.of(correct, len(images)), float(torch.cat(losses).double().mean()))


def _together(folds: Sequence[_Fold], policy: AugmentationPolicy | str, seed: int) -> Answers:
    """Of all folds, whose held-out images are equally many."""
    answers = [fold.answers(policy, seed) for fold in folds]
    correct, total = sum(one.accuracy.correct for one in answers), sum(one.accuracy.total for one in answers)
    return Answers(Accuracy.of(correct, total), sum(one.loss for one in answers) / len(answers))


def _fold(graph: Graph, settings: AugmentSettings, task: Task, seed: int) -> _Fold:
    """Learn from one part without any policy; the other part is the fold's own to choose by."""
    split = task.train.split
    apart, rest = split.divided(max(1, len(split) // max(2, settings.folds)), seed)
    inputs = task.train
    task = replace(task, train=replace(inputs, split=rest), holdout=replace(inputs, split=apart), seed=seed)
    how = settings.model_copy(update={"augmentation": settings.augmentation.model_copy(update={"policy": "none"})})
    trained, _ = train(graph, how, task)
    weights = {name: weight.to(task.device) for name, weight in trained.weights.items()}
    return _Fold(replace(trained, weights=weights), settings, task)


def _searched(fold: _Fold, settings: AugmentSettings, number: int) -> list[Operations]:
    """The lists of one search; from the journal, where it has been finished before."""

    def found() -> Entry:
        seed = derived_seed(fold.task.seed, number)
        lists = fold.task.world.from_first(lambda: fold.best(seed))
        return Entry({"lists": [[one.model_dump() for one in operations] for operations in lists]})

    entry = once(Section(fold.task.journal, f"search{number}"), _CHOSEN, found)
    fold.task.advance(number + 1, settings.searches, "searches")
    return [tuple(AugmentationOperation.model_validate(one) for one in chosen) for chosen in entry.facts["lists"]]


@dataclass(frozen=True, slots=True)
class Candidate:
    """What was tried, and how well the network answered."""

    answers: Answers
    policy: AugmentationPolicy


def tried(answers: Callable[[AugmentationPolicy], Answers], settings: AugmentSettings, seed: int) -> list[Candidate]:
    """`settings.candidates`, in the order in which optuna's tree-structured Parzen estimator proposed them.

    Raises NumericalError for a loss that is NaN or infinite.
    """
    import optuna  # noqa: PLC0415  # takes a while, and only a search needs it

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed % 2**32))
    candidates = []
    for _ in range(settings.candidates):
        trial = study.ask()
        policy = _proposed(trial, settings)
        given = answers(policy)
        if not math.isfinite(given.loss):
            raise NumericalError(
                f"a fold's network has loss {given.loss}: its training came apart. Lower learning_rate."
            )
        study.tell(trial, given.shortfall)
        candidates.append(Candidate(given, policy))
    return candidates


def least(candidates: Sequence[Candidate], count: int) -> list[AugmentationPolicy]:
    """The `count` that fall short least, best first; of equal ones, those tried first."""
    return [candidate.policy for candidate in sorted(candidates, key=lambda one: one.answers.shortfall)[:count]]


def _proposed(trial: Any, settings: AugmentSettings) -> AugmentationPolicy:
    def operation(place: str) -> AugmentationOperation:
        return AugmentationOperation(
            operation=trial.suggest_categorical(f"operation{place}", SEARCHED),
            probability=trial.suggest_float(f"probability{place}", 0.0, 1.0),
            magnitude=trial.suggest_float(f"magnitude{place}", 0.0, 1.0),
        )

    places = range(settings.operations)
    lists = (tuple(operation(f"{number}.{place}") for place in places) for number in range(settings.lists))
    return AugmentationPolicy(policies=tuple(lists))
