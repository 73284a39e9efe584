"""The prune stage on digits: smaller for good, better after fine-tuning, undone below the floor, unharmed by kills."""

from functools import cache
from pathlib import Path

import pytest
import torch

from micronet.analysis.totals import network_totals
from micronet.contract import (
    NO_AUGMENTATION,
    FineTuning,
    PruneRound,
    Pruning,
    PruningReport,
    Training,
    TrainingReport,
)
from micronet.errors import NumericalError
from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph
from micronet.journal import DirectoryJournal, Entry, Journal, MemoryJournal
from micronet.onnx_reader import import_graph, load_model
from micronet.pruning import stage
from micronet.pruning.annealing import grown
from micronet.pruning.blocks import find_blocks
from micronet.pruning.cutting import cut, grow
from micronet.pruning.merging import merge
from micronet.pruning.pieces import pieces_of
from micronet.pruning.saved import from_bytes, to_bytes
from micronet.pruning.stage import accuracy_of, prune
from micronet.training.fit import fit
from micronet.training.network import TrainableNetwork
from micronet.training.task import Task
from micronet.transformation.prepare import prepare
from tests.micronet.onnx_writer.roundtrip import captured, images
from tests.micronet.pruning.test_factors import CPU, some_inputs
from tests.micronet.training.lessons import SHORT, Dying, Killed, digits_graph, digits_task, same

PUBLISHED = Path(__file__).parents[4] / "shared" / "checkpoints" / "kaist_v2_pr45.onnx"
TUNING = FineTuning(epochs=2, batch=64, learning_rate=0.05, augmentation=NO_AUGMENTATION)
HOW = Pruning(ratio=0.35, rounds=2, grow_back=0.25, factor_images=200, fine_tuning=TUNING)


@cache
def trained() -> Graph:
    how = SHORT.model_copy(update={"epochs": 6})
    return fit(TrainableNetwork(digits_graph()), how, digits_task(1000))[0]


def pruned(how: Pruning = HOW, journal: Journal | None = None) -> tuple[Graph, PruningReport]:
    return prune(trained(), how, digits_task(500, journal))


@cache
def whole() -> tuple[Graph, PruningReport]:
    return pruned()


def training_of(report: PruneRound) -> tuple[int, int]:
    assert report.training is not None
    return report.before_tuning.correct, report.training.after.correct


def test_the_network_is_smaller_and_fine_tuning_repairs_it() -> None:
    graph, report = whole()
    assert report.kept_rounds == len(report.rounds) == 2
    assert report.after == network_totals(graph) == report.rounds[-1].totals
    assert report.after.parameters < 0.7 * report.before.parameters
    assert report.after.multiplications < report.before.multiplications
    assert report.before == network_totals(trained())
    assert report.before_accuracy.correct >= 90
    before, after = training_of(report.rounds[-1])
    assert after > before
    assert report.after_accuracy.correct == after


def test_directions_are_accounted_for() -> None:
    """1 + 16, 16 + 32 and 32 + 10 directions at first; a round takes 35 % of them, a quarter of those comes back."""
    _, report = whole()
    first, second = report.rounds
    assert first.removed == int(0.35 * 107)
    assert first.grown_back == 0
    assert second.grown_back == int(0.25 * first.removed)
    assert second.removed == int(0.35 * (107 - first.removed + second.grown_back))
    left = sum(layer.kept_inputs + layer.kept_outputs for layer in report.layers)
    assert left == 107 - first.removed + second.grown_back - second.removed
    assert [(layer.name, layer.inputs, layer.outputs) for layer in report.layers] == [
        ("conv1", 1, 16), ("conv2", 16, 32), ("fc", 32, 10)]  # fmt: skip
    assert report.left_alone == ()


@pytest.mark.parametrize("lives", range(0, 18))
def test_killed_anywhere_it_ends_with_the_same_bits(lives: int) -> None:
    """Entries: the accuracy before; of each round its cut, fine-tuning at 0, 1 and 2 epochs, its end, the training
    forgotten, the cut without its network; and the first round made light, twice: 17 in all."""
    journal = Dying(lives)
    if lives < 17:
        with pytest.raises(Killed):
            pruned(journal=journal)
    journal.lives = -1
    graph, report = pruned(journal=journal)
    assert same(graph, whole()[0])
    assert same(whole()[0], graph)
    assert report == whole()[1]


def test_a_directory_keeps_it_as_well(tmp_path: Path) -> None:
    journal = DirectoryJournal(tmp_path)
    assert same(pruned(journal=journal)[0], whole()[0])
    graph, report = pruned(journal=DirectoryJournal(tmp_path))  # nothing is done again
    assert same(graph, whole()[0])
    assert report == whole()[1]


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

    def fit_until(network: TrainableNetwork, how: FineTuning, task: Task) -> tuple[Graph, TrainingReport]:
        begun.append(task.seed)
        assert len(set(begun)) == len(begun)
        if len(begun) == number:
            raise NumericalError("the loss is nan in epoch 1")
        return fit(network, how, task)

    monkeypatch.setattr(stage, "fit", fit_until)


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


def test_it_stops_at_the_compression_asked_for() -> None:
    how = HOW.model_copy(update={"rounds": 50, "grow_back": 0.0, "compression": 0.4})
    how = how.model_copy(update={"fine_tuning": TUNING.model_copy(update={"epochs": 0})})
    _, report = pruned(how)
    assert report.after.parameters <= 0.6 * report.before.parameters
    assert all(finished.totals.parameters > 0.6 * report.before.parameters for finished in report.rounds[:-1])
    assert report.rounds[-1].training is None


def test_without_rounds_worth_the_name_it_ends_when_nothing_is_left() -> None:
    how = HOW.model_copy(update={"ratio": 0.9, "layer_limit": 0.99, "rounds": 50, "grow_back": 0.0})
    _, report = pruned(how.model_copy(update={"fine_tuning": TUNING.model_copy(update={"epochs": 0})}))
    assert len(report.rounds) < 50
    assert {layer.kept_inputs for layer in report.layers} == {layer.kept_outputs for layer in report.layers} == {1}


def test_what_comes_back_comes_back_as_it_was() -> None:
    """With everything coming back and nothing tuned in between, cutting and growing is nothing at all."""
    graph, task = trained(), digits_task()
    made = cut(graph, HOW.model_copy(update={"grow_back": 0.999999}), task.train, CPU, seed=0)
    assert made is not None
    assert made.coming_back == made.removed - 1
    again = grow(made.graph, made.back)
    expected, missing, there = (interpret(one, images(graph, 4)).log_softmax(1) for one in (graph, made.graph, again))
    # all but the least salient one, which moves all logits alike and no answer
    assert float((there - expected).abs().max()) < 1e-3 * float((missing - expected).abs().max())


def test_what_was_tuned_stays_tuned_when_others_come_back() -> None:
    made = cut(trained(), HOW, digits_task().train, CPU, seed=0)
    assert made is not None
    for block in find_blocks(made.graph)[0]:
        if block.name in made.back:
            tuned = pieces_of(made.graph, block)
            tuned.core.weight.mul_(2)
            more = grown(tuned, made.back[block.name])
            outputs, inputs = tuned.core.weight.shape[:2]
            assert torch.equal(more.core.weight[:outputs, :inputs], tuned.core.weight)
            assert more.core.weight.numel() > tuned.core.weight.numel()
            assert (more.inputs, more.outputs) == (tuned.inputs, tuned.outputs)


SLOW = pytest.param("mobilenetv2", marks=pytest.mark.slow)


@pytest.mark.parametrize("name", ["pyramidnet", "wideresnet", SLOW, "published"])
def test_every_kind_of_network_is_cut_and_comes_back_from_its_file(name: str) -> None:
    if name == "published":
        if not PUBLISHED.exists():
            pytest.skip(f"no {PUBLISHED.name} here")
        graph = prepare(import_graph(load_model(PUBLISHED)), fuse=False)
    else:
        graph = prepare(captured(name), fuse=False)
    how = Pruning(ratio=0.5, factor_images=2)
    made = cut(graph, how, some_inputs(2, graph.input_shape), CPU, seed=0)
    assert made is not None
    smaller = merge(made.graph)
    assert network_totals(smaller).parameters < network_totals(graph).parameters
    if name != "published":  # that one is sparse, and a rotation leaves no zero
        assert network_totals(smaller).multiplications < network_totals(graph).multiplications
    again, batch = from_bytes(to_bytes(made.graph)), images(graph)
    torch.testing.assert_close(interpret(again, batch), interpret(made.graph, batch), rtol=1e-3, atol=1e-4)
    kept = [[block.name for block in find_blocks(some)[0]] for some in (graph, made.graph, again, smaller)]
    assert kept[0] == kept[1] == kept[2] == kept[3]
    second = cut(again, how, some_inputs(2, graph.input_shape), CPU, seed=1)
    assert second is not None
    assert network_totals(merge(second.graph)).parameters < network_totals(smaller).parameters


def test_every_round_draws_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = []

    def noting(network: TrainableNetwork, how: Training, task: Task) -> tuple[Graph, TrainingReport]:
        seeds.append(task.seed)
        return fit(network, how, task)

    monkeypatch.setattr("micronet.pruning.stage.fit", noting)
    pruned(HOW.model_copy(update={"fine_tuning": TUNING.model_copy(update={"epochs": 1})}))
    assert len({*seeds, digits_task().seed}) == 3


def test_a_journal_has_no_more_networks_than_something_may_be_made_of(tmp_path: Path) -> None:
    """However many rounds there are; and so it leads to the same end."""
    how = HOW.model_copy(update={"ratio": 0.1, "rounds": 4, "fine_tuning": TUNING.model_copy(update={"epochs": 1})})
    sizes = []

    class Measuring(DirectoryJournal):
        def write(self, name: str, entry: Entry) -> None:
            super().write(name, entry)
            sizes.append(sum(path.stat().st_size for path in tmp_path.iterdir()))

    graph, report = pruned(how, Measuring(tmp_path))
    assert len(report.rounds) == 4
    network = len(to_bytes(trained()).numpy().tobytes())
    assert max(sizes) < 12 * network
    assert sizes[-1] < 4 * network
    again, report_again = pruned(how, DirectoryJournal(tmp_path))
    assert same(graph, again)
    assert report == report_again


@pytest.mark.parametrize("lost", ["round-4.done", "round-4.*", "round-[34].done", "round-[234].*", "round-2.cut", "*"])
def test_it_goes_on_from_whatever_a_worker_had_stored(lost: str, tmp_path: Path) -> None:
    """Which it does in no order: what makes an entry light may be there, and what it was to make room for not."""
    how = HOW.model_copy(update={"ratio": 0.1, "rounds": 4, "fine_tuning": TUNING.model_copy(update={"epochs": 1})})
    graph, report = pruned(how, DirectoryJournal(tmp_path))
    for entry in tmp_path.glob(lost):
        entry.unlink()
    again, report_again = pruned(how, DirectoryJournal(tmp_path))
    assert same(graph, again)
    assert report == report_again
