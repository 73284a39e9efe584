"""The prune stage on digits: smaller for good, better after fine-tuning, and never dearer than it came."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from micronet import network_file
from micronet.analysis.totals import network_totals
from micronet.contract import (
    PruneRound,
    Pruning,
    Training,
    TrainingReport,
)
from micronet.errors import NumericalError
from micronet.evaluation.inputs import Inputs
from micronet.graph.capture import capture
from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph
from micronet.onnx_reader import import_graph, load_model
from micronet.pruning import cutting
from micronet.pruning.annealing import grown, returning
from micronet.pruning.blocks import find_blocks
from micronet.pruning.cutting import Cut, cut, grow
from micronet.pruning.eigenbasis import Kept, restricted
from micronet.pruning.merging import merge, prices
from micronet.pruning.pieces import pieces_of, with_pieces
from micronet.pruning.saved import from_bytes, to_bytes
from micronet.pruning.stage import prune
from micronet.sparsity.magnitude import set_smallest_to_zero
from micronet.training.fit import train
from micronet.training.task import Task
from micronet.transformation.prepare import prepare
from tests.micronet.onnx_writer.roundtrip import captured, images
from tests.micronet.pruning.on_digits import HOW, TUNING, pruned, trained, whole
from tests.micronet.pruning.test_eigenbasis import some_basis
from tests.micronet.pruning.test_factors import CPU, some_inputs
from tests.micronet.training.lessons import digits_task, same

PUBLISHED = Path(__file__).parents[4] / "shared" / "checkpoints"


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


def test_what_the_last_layer_gives_stays_however_little_it_seems_to_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """To a network that has learned its images, two of ten directions were enough."""

    def outputs_hardly_matter(weight: Tensor, basis: object) -> tuple[Tensor, Tensor]:
        return torch.ones(weight.shape[1]), torch.full((weight.shape[0],), 1e-6)

    monkeypatch.setattr(cutting, "saliencies", outputs_hardly_matter)
    how = HOW.model_copy(update={"ratio": 0.85, "layer_limit": 0.85, "rounds": 1})
    _, report = pruned(how.model_copy(update={"fine_tuning": TUNING.model_copy(update={"epochs": 0})}))
    *others, last = report.layers
    assert (last.name, last.outputs, last.kept_outputs) == ("fc", 10, 10)
    assert any(layer.kept_outputs < layer.outputs for layer in others)


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


def test_progress_says_which_round_it_is_of() -> None:
    heard: list[tuple[int, int, str]] = []
    how = HOW.model_copy(update={"fine_tuning": TUNING.model_copy(update={"epochs": 2, "steps": 8})})
    task = replace(digits_task(), advance=lambda *told: heard.append(told))
    prune(trained(), how, task)
    rounds = dict.fromkeys(unit.partition(" ")[2] for _, _, unit in heard)
    assert list(rounds) == [f"of round {number} of {how.rounds}" for number in range(1, how.rounds + 1)]
    assert (2, 2, f"epochs of round 2 of {how.rounds}") in heard


def test_every_round_draws_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = []

    def noting(graph: Graph, how: Training, task: Task) -> tuple[Graph, TrainingReport]:
        seeds.append(task.seed)
        return train(graph, how, task)

    monkeypatch.setattr("micronet.pruning.stage.train", noting)
    pruned(HOW.model_copy(update={"fine_tuning": TUNING.model_copy(update={"epochs": 1})}))
    assert len({*seeds, digits_task().seed}) == 3


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
