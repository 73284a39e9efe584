"""From a plan to a network: rounded, trained where that is asked for, measured, and written down."""

import json
from dataclasses import dataclass, replace
from typing import Literal

from micronet.contract import Accuracy, FrontPoint, TrainingReport, Tuning
from micronet.graph.ir import Graph
from micronet.journal import Entry, Section, bytes_of, once, tensor_of
from micronet.network_file import from_bytes, to_bytes
from micronet.optimization.answers import ReferenceAnswers
from micronet.optimization.layerwise import carry_out
from micronet.optimization.plan import NamedPlan, short_name
from micronet.optimization.search_setup import SearchSetup
from micronet.optimization.tuning import tuned
from micronet.training.state import forget_

PointKind = Literal["searched", "uniform"]


@dataclass(frozen=True, slots=True)
class FrontNetwork:
    """A point of the front, and the bytes of its network's file."""

    point: FrontPoint
    data: bytes


class NetworkMaker:
    """Makes networks from plans; what the journal has is read, not made."""

    def __init__(self, setup: SearchSetup) -> None:
        self._setup = setup
        self._holdout, self._hard = (
            ReferenceAnswers.of(setup.network.graph, inputs, setup.advance) for inputs in (setup.holdout, setup.hard)
        )

    @property
    def before(self) -> tuple[Accuracy, Accuracy]:
        """The network in floating point, on held-out images and on hard ones."""
        return self._holdout.own.accuracy, self._hard.own.accuracy

    def network(self, kind: PointKind, plan: NamedPlan) -> FrontNetwork:
        """That of `plan`, trained where the settings say so."""
        name = f"network-{kind}-{plan.name}"
        fitted = once(self._setup.journal, name, lambda: self._fitted(kind, plan))
        how = self._setup.settings.tuning
        if how is not None:
            device = self._setup.training.device.type
            tuned_name = f"{name}-tuned-{short_name(json.dumps([how.model_dump_json(), device]))}"
            fitted = once(self._setup.journal, tuned_name, lambda: self._tuned(tuned_name, how, fitted))
            if self._lesson_of() == tuned_name:
                forget_(self._lesson())
        return FrontNetwork(FrontPoint.model_validate(fitted.facts), bytes_of(fitted.tensors[_FILE]))

    def _fitted(self, kind: PointKind, plan: NamedPlan) -> Entry:
        setup = self._setup
        graph = carry_out(setup.network, plan.plan, setup.calibration, setup.settings.correct, setup.advance)
        return self._measured(graph, kind, plan.description)

    def _tuned(self, name: str, how: Tuning, fitted: Entry) -> Entry:
        """The network of `fitted`, trained to give the answers of the one in floating point."""
        setup, journal = self._setup, self._lesson()
        if self._lesson_of() != name:  # none yet, or broken off in another one, which is not asked for any more
            forget_(journal)
            setup.journal.write(_LESSON, Entry({"of": name}))
        holdout = setup.training.holdout
        as_teacher = replace(holdout, split=replace(holdout.split, labels=self._hard.logits.argmax(1)))
        training = replace(setup.training, journal=journal, holdout=as_teacher)
        graph, report = tuned(from_bytes(bytes_of(fitted.tensors[_FILE])), setup.network.graph, how, training)
        point = FrontPoint.model_validate(fitted.facts)
        return self._measured(graph, point.kind, point.description, report)

    def _lesson_of(self) -> str | None:
        """Which network's it is."""
        entry = self._setup.journal.read(_LESSON)
        return None if entry is None else str(entry.facts["of"])

    def _lesson(self) -> Section:
        """What the training that goes on writes down: one at a time, or a journal would grow without end."""
        return Section(self._setup.journal, _LESSON)

    def _measured(
        self, graph: Graph, kind: PointKind, description: str, training: TrainingReport | None = None
    ) -> Entry:
        setup, data = self._setup, to_bytes(graph)
        graph = from_bytes(data)
        found, hard = (reference.compared(graph, setup.advance) for reference in (self._holdout, self._hard))
        point = FrontPoint(
            kind=kind,
            description=description,
            holdout=found.accuracy,
            agreement=found.agreeing / found.total,
            loss=found.loss,
            hard=hard.accuracy,
            hard_agreement=hard.agreeing / hard.total,
            score=setup.score(graph),
            tuning=training,
        )
        return Entry(point.model_dump(mode="json"), {_FILE: tensor_of(data)})


_FILE = "file"
"""The tensor of an entry that a network is."""
_LESSON = "lesson"
"""The entry that says whose training goes on, and what its own entries begin with."""
