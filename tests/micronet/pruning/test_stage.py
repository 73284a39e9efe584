"""The prune stage on digits: smaller for good, better after fine-tuning, undone below the floor, unharmed by kills."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from micronet import network_file
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
from micronet.errors import NumericalError, SettingsError
from micronet.evaluation.inputs import Inputs
from micronet.graph.capture import capture
from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph
from micronet.journal import DirectoryJournal, Entry, Journal, MemoryJournal
from micronet.onnx_reader import import_graph, load_model
from micronet.pruning import stage
from micronet.pruning.annealing import grown, returning
from micronet.pruning.blocks import find_blocks
from micronet.pruning.cutting import Cut, cut, grow
from micronet.pruning.eigenbasis import Kept, restricted
from micronet.pruning.merging import merge, prices
from micronet.pruning.pieces import pieces_of, with_pieces
from micronet.pruning.saved import from_bytes, to_bytes
from micronet.pruning.stage import accuracy_of, prune
from micronet.sparsity.magnitude import set_smallest_to_zero
from micronet.training.fit import fit
from micronet.training.network import TrainableNetwork
from micronet.training.task import Task
from micronet.transformation.prepare import prepare
from tests.micronet.onnx_writer.roundtrip import captured, images
from tests.micronet.pruning.test_eigenbasis import some_basis
from tests.micronet.pruning.test_factors import CPU, some_inputs
from tests.micronet.training.lessons import SHORT, Dying, Killed, digits_graph, digits_task, same

PUBLISHED = Path(__file__).parents[4] / "shared" / "checkpoints"
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


def cut_once(graph: Graph, how: Pruning, images_: Inputs, seed: int = 0) -> Cut:
    made = cut(graph, how, images_, CPU, most=prices(graph), seed=seed)
    assert made is not None
    return made


def published(name: str) -> Graph:
    if not (PUBLISHED / name).exists():
        pytest.skip(f"no {name} here")
    return prepare(import_graph(load_model(PUBLISHED / name)), fuse=False)


def is_no_more(smaller: Graph, graph: Graph) -> bool:
    """Of nothing that is counted: parameters, those that are not zero, multiplications, additions."""
    now, before = (network_totals(some).model_dump() for some in (smaller, graph))
    return all(now[name] <= before[name] for name in before)


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
    """1 + 16, 16 + 32 and 32 + 10 directions at first; 35 % of them may go, and a quarter of those comes back."""
    _, report = whole()
    first, second = report.rounds
    assert first.asked == int(0.35 * 107)
    assert 0 < first.removed <= first.asked
    assert first.grown_back == 0
    assert 0 < second.grown_back <= int(0.25 * first.removed)
    assert second.asked == int(0.35 * (107 - first.removed + second.grown_back))
    assert 0 < second.removed <= second.asked
    left = sum(layer.kept_inputs + layer.kept_outputs for layer in report.layers)
    assert left == 107 - first.removed + second.grown_back - second.removed
    assert [(layer.name, layer.inputs, layer.outputs) for layer in report.layers] == [
        ("conv1", 1, 16), ("conv2", 16, 32), ("fc", 32, 10)]  # fmt: skip
    assert report.left_alone == ()


def test_a_layer_that_would_not_get_cheaper_keeps_its_weights_to_the_bit() -> None:
    """Whatever the ratio, and however sparse the network came; nothing that is counted gets more."""
    for ratio in (0.3, 0.4, 0.6, 0.8):
        for graph in (trained(), set_smallest_to_zero(trained(), 0.15)):
            made = cut(
                graph, HOW.model_copy(update={"ratio": ratio}), digits_task().train, CPU, most=prices(graph), seed=0
            )
            smaller = graph if made is None else merge(made.graph, prices(graph))
            assert is_no_more(smaller, graph)
            if made is not None:
                assert network_totals(smaller).nonzero < network_totals(graph).nonzero
                assert is_no_more(merge(grow(made.graph, made.back), prices(graph)), graph)
            kept = [block for block in find_blocks(smaller)[0] if len(block.nodes) == 1]
            assert len(kept) < 3 or made is None
            for block in kept:
                name = f"{block.name}.weight"
                assert torch.equal(smaller.weights[name], graph.weights[name])


def test_a_published_network_that_is_sparse_never_costs_more() -> None:
    """With 15 % of its weights zero, which a rotation would fill."""
    graph = published("kaist_v2_pr15.onnx")
    for ratio in (0.05, 0.3):
        made = cut_once(graph, Pruning(ratio=ratio, factor_images=2), some_inputs(2, graph.input_shape))
        smaller = merge(made.graph, prices(graph))
        assert is_no_more(smaller, graph)
        assert made.removed < made.asked
        forms = {block.name: pieces_of(smaller, block).form for block in find_blocks(smaller)[0]}
        assert 0 < sum(len(form) > 1 for form in forms.values()) < len(forms)


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


def test_a_journal_of_an_earlier_version_is_refused() -> None:
    """Its cuts, whole and light, do not say how many directions might have gone."""
    journal = MemoryJournal()
    pruned(journal=journal)
    for name in ("round-1.cut", "round-2.cut"):
        entry = journal.entries[name]
        assert entry.facts["asked"] > 0
        journal.entries[name] = Entry({k: v for k, v in entry.facts.items() if k != "asked"}, entry.tensors)
        with pytest.raises(SettingsError, match="an earlier version"):
            pruned(journal=journal)
        journal.entries[name] = entry


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
    assert {min(layer.kept_inputs, layer.kept_outputs) for layer in report.layers} == {1}


def test_where_nothing_pays_the_network_stays_as_it_is() -> None:
    """A tenth of the directions is too few for any layer to get cheaper."""
    graph, report = pruned(HOW.model_copy(update={"ratio": 0.1}))
    assert same(graph, trained())
    assert (report.rounds, report.kept_rounds, report.after) == ((), 0, report.before)


def test_what_comes_back_comes_back_as_it_was() -> None:
    """With everything coming back and nothing tuned in between, cutting and growing is nothing at all."""
    graph = trained()
    blocks, changes, back = find_blocks(graph)[0], {}, {}
    for block in blocks:
        pieces = pieces_of(graph, block)
        basis = some_basis(pieces)
        stay, go = [], []
        for size in reversed(pieces.core.weight.shape[:2]):
            first, last = torch.arange(size).split([size - size // 3, size // 3])
            stay.append(first)
            go.append(last)
        changes[block.name] = restricted(pieces, basis, Kept(*stay))
        back[block.name] = returning(pieces, basis, Kept(*stay), Kept(*go))
    smaller = with_pieces(graph, changes, blocks)
    expected, missing, there = (interpret(one, images(graph, 4)) for one in (graph, smaller, grow(smaller, back)))
    assert float((there - expected).abs().max()) < 1e-3 * float((missing - expected).abs().max())


def test_what_was_tuned_stays_tuned_when_others_come_back() -> None:
    made = cut_once(trained(), HOW, digits_task().train)
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


@pytest.mark.parametrize("name", ["pyramidnet", "wideresnet", SLOW, "kaist_v2_pr45.onnx"])
def test_every_kind_of_network_is_cut_and_comes_back_from_its_file(name: str) -> None:
    graph = published(name) if name.endswith(".onnx") else prepare(captured(name), fuse=False)
    how = Pruning(ratio=0.5, factor_images=2)
    made, most = cut_once(graph, how, some_inputs(2, graph.input_shape)), prices(graph)
    smaller = merge(made.graph, most)
    assert network_totals(smaller).parameters < network_totals(graph).parameters
    assert is_no_more(smaller, graph)
    assert network_totals(smaller).multiplications < network_totals(graph).multiplications
    again, batch = from_bytes(to_bytes(made.graph)), images(graph)
    torch.testing.assert_close(interpret(again, batch), interpret(made.graph, batch), rtol=1e-3, atol=1e-4)
    kept = [[block.name for block in find_blocks(some)[0]] for some in (graph, made.graph, again, smaller)]
    assert kept[0] == kept[1] == kept[2] == kept[3]
    second = cut(again, how, some_inputs(2, graph.input_shape), CPU, most=most, seed=1)
    assert second is not None
    assert network_totals(merge(second.graph, most)).parameters < network_totals(smaller).parameters


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
    how = HOW.model_copy(update={"rounds": 4, "fine_tuning": TUNING.model_copy(update={"epochs": 1})})
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
    how = HOW.model_copy(update={"rounds": 4, "fine_tuning": TUNING.model_copy(update={"epochs": 1})})
    graph, report = pruned(how, DirectoryJournal(tmp_path))
    for entry in tmp_path.glob(lost):
        entry.unlink()
    again, report_again = pruned(how, DirectoryJournal(tmp_path))
    assert same(graph, again)
    assert report == report_again


class Tokens(nn.Module):
    """Of 16 channels at 64 pixels, which are tokens to a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.tokens, self.fc = nn.Conv2d(1, 16, 3, padding=1), nn.Linear(16, 24), nn.Linear(24, 10)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.relu(self.conv(x)).flatten(2).transpose(1, 2)
        return self.fc(torch.relu(self.tokens(hidden)).mean(1))


def tokens() -> Graph:
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        return prepare(capture(Tokens().eval(), (1, 8, 8)), fuse=False)


def test_linear_layers_over_tokens_stay_whole_through_files() -> None:
    """A file has a reshape before and behind each; with rotations there are three layers and six of them in a row."""
    graph, how = tokens(), HOW.model_copy(update={"ratio": 0.4, "grow_back": 0.5})
    for one in (graph, network_file.from_bytes(network_file.to_bytes(graph))):
        final, report = prune(one, how, digits_task(500))
        assert is_no_more(final, graph)
        assert report.after.parameters < report.before.parameters
        assert report.kept_rounds == 2
        (layer,) = [layer for layer in report.layers if layer.name == "tokens"]
        assert (layer.inputs, layer.outputs) == (16, 24)
        assert len(layer.form) > 1
        again = from_bytes(to_bytes(final))
        assert [b.name for b in find_blocks(again)[0]] == ["conv", "tokens", "fc"]
        torch.testing.assert_close(interpret(again, images(graph, 3)), interpret(final, images(graph, 3)))


@pytest.mark.parametrize("name", ["net.core", "net.core.core", "core"])
def test_a_layer_may_be_called_as_parts_of_blocks_are(name: str) -> None:
    graph = trained()
    nodes = tuple(replace(node, layer=name) if node.layer == "conv2" else node for node in graph.nodes)
    how = HOW.model_copy(update={"fine_tuning": TUNING.model_copy(update={"epochs": 0})})
    final, report = prune(replace(graph, nodes=nodes), how, digits_task())
    assert [layer.name for layer in report.layers] == ["conv1", name, "fc"]
    assert report.layers[1].kept_inputs + report.layers[1].kept_outputs < 48
    assert [block.name for block in find_blocks(final)[0]] == ["conv1", name, "fc"]


def test_a_network_that_is_certain_to_the_last_bit_is_an_error() -> None:
    """Its gradients are zero, so that nothing would tell a direction from another but the order they come in."""
    graph = trained()
    certain = replace(graph, weights={**graph.weights, "fc.weight": graph.weights["fc.weight"] * 1e4})
    with pytest.raises(NumericalError, match="Fisher information is zero everywhere"):
        prune(certain, HOW, digits_task())
