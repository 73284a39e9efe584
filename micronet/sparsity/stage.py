"""The stage that makes a network sparse: smallest weights to zero, fine-tuning, round by round."""

from dataclasses import dataclass, replace

from micronet.analysis.totals import network_totals
from micronet.contract import (
    Accuracy,
    SparsifiedLayer,
    Sparsifying,
    SparsifyingReport,
    SparsifyRound,
    TrainingReport,
)
from micronet.errors import NumericalError
from micronet.graph.ir import Graph
from micronet.journal import Entry, once, written
from micronet.sparsity.magnitude import (
    kept_weights,
    least_share_of_zeros,
    set_smallest_to_zero,
    share_of_zeros,
    sparse_weights,
)
from micronet.training.fit import derived_seed, train
from micronet.training.state import forget_
from micronet.training.task import Task

ENTRY = "sparsify"


def sparsify(graph: Graph, how: Sparsifying, task: Task) -> tuple[Graph, SparsifyingReport]:
    """`graph` with more of its weights zero, as `how` says, and how it went.

    A round's fine-tuning has a section of the journal for itself, and the weights at the end of every round are written
    down: broken off anywhere and called again, the stage ends with the same bits. Only values change, never the nodes,
    so weights are all there is to write down, and what is there for training only (dropout, ShakeDrop) stays in every
    round. A round whose training comes apart is undone and the last, as one below the floor is, where there is a floor
    or a round before it. Raises SettingsError for a layer to keep that is not there, NumericalError otherwise.
    """
    return _Stage(graph, how, task).to_the_end()


def scheduled(start: float, end: float, step: int, steps: int) -> float:
    """The share of zeros to go for in round `step` of `steps`, from 1.

    s_n = s_f + (s_0 - s_f) (1 - n/N)^3, with s_0 what the network came with (layer by layer: the layer that has the
    fewest): many at first, while many are redundant, and few in the end (Zhu and Gupta 2017, arXiv 1710.01878,
    equation 1).
    """
    return end + (start - end) * (1 - step / steps) ** 3


@dataclass(frozen=True, slots=True)
class _State:
    """The network as it would be kept now, its accuracy, the rounds so far, and why the one after them came apart."""

    graph: Graph
    accuracy: Accuracy
    rounds: tuple[SparsifyRound, ...] = ()
    kept_rounds: int = 0
    came_apart: str | None = None

    @property
    def attempted(self) -> int:
        """Rounds, those that were undone with them."""
        return len(self.rounds) + (self.came_apart is not None)

    @property
    def ends(self) -> bool:
        """Whether the last round was undone."""
        return self.kept_rounds < self.attempted


class _Stage:
    def __init__(self, graph: Graph, how: Sparsifying, task: Task) -> None:
        self._graph, self._how, self._task = graph, how, task
        self._kept = kept_weights(graph, how.keep_layers)
        shares = least_share_of_zeros if how.scope == "layer" else share_of_zeros
        self._start = min(shares(graph, self._kept), how.sparsity)

    def to_the_end(self) -> tuple[Graph, SparsifyingReport]:
        before = self._task.holdout_accuracy(self._graph)
        journal = self._task.journal
        state = self._state(once(journal, ENTRY, lambda: _entry(_State(self._graph, before))))
        forget_(self._section(state.attempted).journal)
        while len(state.rounds) < self._rounds() and not state.ends:
            state = self._state(written(journal, ENTRY, _entry(self._attempt(state, len(state.rounds) + 1))))
            forget_(self._section(state.attempted).journal)
        report = SparsifyingReport(
            before=network_totals(self._graph),
            after=network_totals(state.graph),
            before_accuracy=before,
            after_accuracy=state.accuracy,
            rounds=state.rounds,
            kept_rounds=state.kept_rounds,
            layers=_layers(state.graph),
            came_apart=state.came_apart,
        )
        return state.graph, report

    def _rounds(self) -> int:
        """0 where the network came with all the zeros it is asked for."""
        asked = self._pruned(self._graph, self._how.sparsity)
        return self._how.rounds if share_of_zeros(asked) > share_of_zeros(self._graph) else 0

    def _pruned(self, graph: Graph, sparsity: float) -> Graph:
        return set_smallest_to_zero(graph, sparsity, self._how.scope, self._kept)

    def _attempt(self, state: _State, number: int) -> _State:
        try:
            return self._round(state, number)
        except NumericalError as error:
            if number == 1 and self._how.floor is None:
                raise
            return replace(state, came_apart=str(error))

    def _round(self, state: _State, number: int) -> _State:
        sparsity = scheduled(self._start, self._how.sparsity, number, self._how.rounds)
        graph = self._pruned(state.graph, sparsity)
        training = None
        if self._how.fine_tuning.epochs and self._how.fine_tuning.steps != 0:
            graph, training = self._tuned(graph, number)
            before_tuning, accuracy = training.before, training.after
        else:
            before_tuning = accuracy = self._task.holdout_accuracy(graph)
        done = SparsifyRound(round=number, sparsity=sparsity, before_tuning=before_tuning, training=training)
        rounds = (*state.rounds, done)
        if self._how.floor is not None and accuracy.top1 < self._how.floor:
            return replace(state, rounds=rounds)
        return _State(graph, accuracy, rounds, number)

    def _tuned(self, graph: Graph, number: int) -> tuple[Graph, TrainingReport]:
        """After fine-tuning, whose draws are those of this round and of no other."""
        whole, section = self._task, self._section(number)

        def advance(done: int, total: int, unit: str) -> None:
            whole.advance((number - 1) * total + done, self._how.rounds * total, unit)

        section = replace(section, advance=advance, seed=derived_seed(whole.seed, number))
        return train(graph, self._how.fine_tuning, section)

    def _section(self, number: int) -> Task:
        return self._task.section(f"round-{number}")

    def _state(self, entry: Entry) -> _State:
        """What `_entry` made an entry of."""
        return _State(
            replace(self._graph, weights={name: entry.tensors[name] for name in self._graph.weights}),
            Accuracy.model_validate(entry.facts["accuracy"]),
            tuple(SparsifyRound.model_validate(done) for done in entry.facts["rounds"]),
            entry.facts["kept_rounds"],
            entry.facts.get("came_apart"),  # which entries of older versions do not have
        )


def _entry(state: _State) -> Entry:
    facts = {
        "accuracy": state.accuracy.model_dump(),
        "rounds": [done.model_dump(mode="json") for done in state.rounds],
        "kept_rounds": state.kept_rounds,
        "came_apart": state.came_apart,
    }
    return Entry(facts, {name: state.graph.weights[name] for name in sorted(state.graph.weights)})


def _layers(graph: Graph) -> tuple[SparsifiedLayer, ...]:
    return tuple(
        SparsifiedLayer(name=layer, weights=weight.numel(), nonzero=int(weight.count_nonzero()))
        for name, layer in sparse_weights(graph).items()
        for weight in [graph.weights[name]]
    )
