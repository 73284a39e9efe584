"""From a network in floating point to networks at lower and lower scores, each made, measured and written down."""

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal

import torch
from torch import Tensor

from micronet.contract import Accuracy, FrontPoint, OptimizeSettings, ScoreTerms, TrainingReport, Tuning
from micronet.evaluation.inputs import Advance, Inputs
from micronet.graph.grid import Grid
from micronet.graph.ir import Graph
from micronet.journal import Entry, Journal, Section
from micronet.network_file import from_bytes, to_bytes
from micronet.optimization.answers import Compared, compared, logits
from micronet.optimization.closing_in import close_in
from micronet.optimization.front import Allowance
from micronet.optimization.layerwise import carry_out
from micronet.optimization.options import Option, Price, Width, trade
from micronet.optimization.plan import LayerChoice, Plan, Subject
from micronet.optimization.rounding import Trade
from micronet.optimization.search import Total, choose, price_for_loss, total
from micronet.optimization.survey import Survey, survey
from micronet.optimization.tuning import tuned
from micronet.optimization.values import ValueOption
from micronet.training.state import forget_
from micronet.training.task import Task as TrainingTask

_Kind = Literal["searched", "uniform"]

FIRST_LOSS = 0.03
"""Squared change of the logits, as options foresee it, that is tried first."""
SAFER = 0.94
"""Of the foreseen loss of a point, that of the next safer one: about one hundredth of its score."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a search works with.

    calibration   normalized images (N, C, H, W) that grids and weights are fitted on
    holdout       images that points are compared on; hard: as hard as test images
    price         part of the score of a layer; score: of a whole network
    training      what networks are trained with, where they are to be
    journal       of a search of the same
    """

    subject: Subject
    settings: OptimizeSettings
    calibration: Tensor
    holdout: Inputs
    hard: Inputs
    price: Price
    score: Callable[[Graph], ScoreTerms]
    training: TrainingTask
    journal: Journal
    advance: Advance


@dataclass(frozen=True, slots=True)
class Made:
    """A point of the front, and the bytes of its network's file."""

    point: FrontPoint
    data: bytes


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A plan in words and in options, what these say it will come to, and a name that only this plan has."""

    name: str
    description: str
    plan: Plan
    foreseen: Total


@dataclass(frozen=True, slots=True)
class _Sheet:
    """Images that networks are compared on, and what the network in floating point answers to them."""

    inputs: Inputs
    answers: Tensor

    def against(self, answers: Tensor) -> Compared:
        """Another network's answers."""
        return compared(answers, self.answers, self.inputs.split.labels)


class Search:
    """Makes points, of one family after the other; whatever was made before it was broken off is read, not made."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._holdout, self._hard = (
            _Sheet(inputs, logits(task.subject.graph, inputs, task.advance)) for inputs in (task.holdout, task.hard)
        )
        self._survey = self._surveyed()
        self.made: list[Made] = []

    @property
    def before(self) -> tuple[Accuracy, Accuracy]:
        """The network in floating point, on held-out images and on hard ones."""
        holdout, hard = (sheet.against(sheet.answers).accuracy for sheet in (self._holdout, self._hard))
        return holdout, hard

    def searched(self, allowance: Allowance, points: int) -> None:
        """Networks whose widths and zeros are chosen layer by layer, ever closer to what may be lost, for which half of
        `points` are to do, or four; then ever safer ones, which make the front, and are what is stepped back to."""
        family = self._family("searched", self._by_layer, allowance)
        loss = close_in(family, FIRST_LOSS, points, enough=max(points // 2, 4))
        if loss is None:
            return
        for step in range(1, _MOST_STEPS + 1):
            if len(self.made) < points:
                family(loss * SAFER**step)  # which may come to a network that is there

    def uniform(self, allowance: Allowance, points: int) -> None:
        """The same with one width for all weights, one for all that layers read and one for all hard swishes."""
        close_in(self._family("uniform", self._alike, allowance), FIRST_LOSS, points)

    def _surveyed(self) -> Survey:
        task = self._task

        def made() -> Entry:
            return survey(task.subject, task.calibration, task.settings, task.price, task.advance).entry()

        return Survey.of(self._entry(_SURVEY, made))

    def _family(
        self, kind: _Kind, wanted_for: Callable[[float], _Wanted], allowance: Allowance
    ) -> Callable[[float], float]:
        """Makes networks of a kind for foreseen losses, each once, and says what share of what may be lost each of them
        is expected to lose."""
        made: dict[str, Made] = {}

        def share_of(loss: float) -> float:
            wanted = wanted_for(loss)
            if wanted.name not in made:
                made[wanted.name] = self._point(kind, wanted)
                self.made.append(made[wanted.name])
            among = [one.point for one in self.made if one.point.kind == kind]
            expected = allowance.expected(made[wanted.name].point, among)
            return expected / allowance.drop if allowance.drop else math.inf

        return share_of

    def _point(self, kind: _Kind, wanted: _Wanted) -> Made:
        name = f"network-{kind}-{wanted.name}"
        fitted = self._entry(name, lambda: self._fitted(kind, wanted))
        how = self._task.settings.tuning
        if how is not None:
            device = self._task.training.device.type
            tuned_name = f"{name}-tuned-{_name(json.dumps([how.model_dump_json(), device]))}"
            fitted = self._entry(tuned_name, lambda: self._tuned(tuned_name, how, fitted))
            if self._lesson_of() == tuned_name:
                forget_(self._lesson())
        return Made(FrontPoint.model_validate(fitted.facts), _file(fitted))

    def _entry(self, name: str, make: Callable[[], Entry]) -> Entry:
        entry = self._task.journal.read(name)
        if entry is None:
            self._task.journal.write(name, make())
            entry = self._task.journal.read(name)
        assert entry is not None
        return entry

    def _fitted(self, kind: _Kind, wanted: _Wanted) -> Entry:
        task = self._task
        graph = carry_out(task.subject, wanted.plan, task.calibration, task.settings.correct, task.advance)
        return self._measured(graph, kind, wanted.description)

    def _tuned(self, name: str, how: Tuning, fitted: Entry) -> Entry:
        """The network of `fitted`, trained to give the answers of the one in floating point."""
        task, journal = self._task, self._lesson()
        if self._lesson_of() != name:  # none yet, or broken off in another one, which is not asked for any more
            forget_(journal)
            task.journal.write(_LESSON, Entry({"of": name}))
        holdout = task.training.holdout
        as_teacher = replace(holdout, split=replace(holdout.split, labels=self._hard.answers.argmax(1)))
        training = replace(task.training, journal=journal, holdout=as_teacher)
        graph, report = tuned(from_bytes(_file(fitted)), task.subject.graph, how, training)
        point = FrontPoint.model_validate(fitted.facts)
        return self._measured(graph, point.kind, point.description, report)

    def _lesson_of(self) -> str | None:
        """Which network's it is."""
        entry = self._task.journal.read(_LESSON)
        return None if entry is None else str(entry.facts["of"])

    def _lesson(self) -> Section:
        """What the training that goes on writes down: one at a time, or a journal would grow without end."""
        return Section(self._task.journal, _LESSON)

    def _measured(self, graph: Graph, kind: _Kind, description: str, training: TrainingReport | None = None) -> Entry:
        task, data = self._task, to_bytes(graph)
        graph = from_bytes(data)
        found, hard = (
            sheet.against(logits(graph, sheet.inputs, task.advance)) for sheet in (self._holdout, self._hard)
        )
        point = FrontPoint(
            kind=kind,
            description=description,
            holdout=found.accuracy,
            agreement=found.agreeing / found.total,
            loss=found.loss,
            hard=hard.accuracy,
            hard_agreement=hard.agreeing / hard.total,
            score=task.score(graph),
            tuning=training,
        )
        return Entry(point.model_dump(mode="json"), {"file": torch.frombuffer(bytearray(data), dtype=torch.uint8)})

    def _by_layer(self, loss: float) -> _Wanted:
        layers, gates = self._survey.layers, self._survey.gates
        price = price_for_loss([*layers.values(), *gates.values()], loss)
        chosen = choose(layers, price), choose(gates, price)
        return self._wanted(f"by layer, foreseen loss {loss:.4g}", *chosen, loss_per_score=price)

    def _alike(self, loss: float) -> _Wanted:
        settings = self._task.settings
        ranges = [range(low, high + 1) for low, high in (settings.weight_bits, settings.input_bits, settings.gate_bits)]
        found = [self._of_widths(*widths) for widths in product(*ranges)]
        within = [one for one in found if one.foreseen.loss <= loss]
        return (
            min(within, key=lambda one: one.foreseen.cost) if within else min(found, key=lambda one: one.foreseen.loss)
        )

    def _of_widths(self, weights: int, inputs: int, gates: int) -> _Wanted:
        layers = {
            name: next(one for one in found if _is_plain(one, weights, inputs))
            for name, found in self._survey.layers.items()
        }
        values = {
            name: next(one for one in found if (one.bits, one.rule) == (gates, "error"))
            for name, found in self._survey.gates.items()
        }
        read = f", {gates} of what hard swishes read" if values else ""
        return self._wanted(f"weights of {weights} bits, {inputs} of what layers read{read}", layers, values)

    def _wanted(
        self,
        words: str,
        layers: Mapping[str, Option],
        gates: Mapping[str, ValueOption],
        loss_per_score: float | None = None,
    ) -> _Wanted:
        """With `loss_per_score`, rounding trades errors for a lower score too."""
        settings, places = self._task.settings, self._survey.places
        choices = {
            name: LayerChoice(
                one.weight_bits,
                self._survey.inputs(name, one),
                places[name][one.support],
                self._trade(name, one, loss_per_score),
            )
            for name, one in layers.items()
        }
        values: dict[str, int | Grid] = dict.fromkeys(self._task.subject.values, settings.value_bits)
        values |= {name: self._survey.gate(name, one) for name, one in gates.items()}
        chosen = {name: (one.weight_bits, one.input_bits, one.rule, one.support) for name, one in layers.items()}
        gated = {name: (one.bits, one.rule) for name, one in gates.items()}
        traded = loss_per_score if settings.sparsify and settings.correct else None
        return _Wanted(
            name=_name(json.dumps([chosen, gated, traded])),
            description=words,
            plan=Plan(choices, values, settings.bias_bits),
            foreseen=total([*layers.values(), *gates.values()]),
        )

    def _trade(self, name: str, option: Option, loss_per_score: float | None) -> Trade | None:
        settings = self._task.settings
        if loss_per_score is None or not (settings.sparsify and settings.correct):
            return None
        widths = Width(option.weight_bits, option.input_bits, settings.bias_bits)
        return trade(
            self._task.subject.sites[name], self._survey.errors[name], widths, self._task.price, loss_per_score
        )


def _is_plain(option: Option, weights: int, inputs: int) -> bool:
    """Whether it is of these widths, of all weights, and its range by the rule that all other values follow."""
    return (option.weight_bits, option.input_bits, option.rule, option.support) == (weights, inputs, "error", 0)


def _name(text: str) -> str:
    """Short, and of no other text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _file(entry: Entry) -> bytes:
    data: bytes = entry.tensors["file"].numpy().tobytes()
    return data


_MOST_STEPS = 50
"""Towards safer networks: what the last is foreseen to lose is a twentieth of what the first is."""
_SURVEY, _LESSON = "options", "lesson"
