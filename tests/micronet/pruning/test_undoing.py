"""Rounds that fall below the floor, or come apart, are undone."""

import pytest

from micronet.analysis.totals import network_totals
from micronet.contract import (
    FineTuning,
    TrainingReport,
)
from micronet.errors import NumericalError
from micronet.graph.ir import Graph
from micronet.journal import MemoryJournal
from micronet.pruning import stage
from micronet.pruning.stage import accuracy_of
from micronet.training.fit import train
from micronet.training.task import Task
from tests.micronet.pruning.on_digits import HOW, TUNING, pruned, trained, whole
from tests.micronet.training.lessons import same


def test_a_round_below_the_floor_is_undone() -> None:
    """With a floor between what two rounds reach, one is left; with one that none reaches, the network as it came."""
    drastic = HOW.model_copy(
        update={"ratio": 0.6, "rounds": 3, "grow_back": 0.0, "layer_limit": 0.9, "fine_tuning": TUNING}
    )
    _, free = pruned(drastic)
    reached = [accuracy_of(report).top1 for report in free.rounds]
    assert reached[1] < reached[0]
    graph, report = pruned(drastic.model_copy(update={"floor": reached[0]}))
    assert (report.kept_rounds, len(report.rounds)) == (1, 2)
    assert report.rounds == free.rounds[:2]
    assert report.after == network_totals(graph) == free.rounds[0].totals
    graph, report = pruned(drastic.model_copy(update={"floor": 1.0}))
    assert (report.kept_rounds, len(report.rounds)) == (0, 1)
    assert same(graph, trained())
    assert report.after == report.before
    assert report.after_accuracy == report.before_accuracy


def apart_in(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Round `number` comes apart; no training of a round is begun twice."""
    begun: list[int] = []

    def train_until(graph: Graph, how: FineTuning, task: Task) -> tuple[Graph, TrainingReport]:
        begun.append(task.seed)
        assert len(set(begun)) == len(begun)
        if len(begun) == number:
            raise NumericalError("the loss is nan in epoch 1")
        return train(graph, how, task)

    monkeypatch.setattr(stage, "train", train_until)


def test_a_round_that_comes_apart_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when it is called again, and the round before it is that of a run that went on."""
    expected = whole()[1].rounds[:1]
    apart_in(2, monkeypatch)
    journal = MemoryJournal()
    graph, report = pruned(journal=journal)
    assert (report.rounds, report.kept_rounds) == (expected, 1)
    assert report.came_apart == "the loss is nan in epoch 1"
    assert report.after == network_totals(graph) == report.rounds[0].totals
    again = pruned(journal=journal)
    assert same(again[0], graph)
    assert again[1] == report


def test_of_a_round_that_came_apart_no_tensor_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is any missed: where that is stored and not that it came apart, it does so again."""
    apart_in(2, monkeypatch)
    journal = MemoryJournal()
    graph, report = pruned(journal=journal)
    assert [name for name, entry in journal.entries.items() if name.startswith("round-2.") and entry.tensors] == []
    del journal.entries["round-2.apart"]
    apart_in(1, monkeypatch)
    again = pruned(journal=journal)
    assert same(again[0], graph)
    assert again[1] == report


def test_a_first_round_that_comes_apart_is_undone_where_there_is_a_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    apart_in(1, monkeypatch)
    graph, report = pruned(HOW.model_copy(update={"floor": 0.1}))
    assert same(graph, trained())
    assert (report.rounds, report.kept_rounds, report.after_accuracy) == ((), 0, report.before_accuracy)
    assert report.came_apart is not None
    apart_in(1, monkeypatch)
    with pytest.raises(NumericalError, match="the loss is nan"):
        pruned()
