"""The stage: its schedule, its rounds, its floor, and the same bits after any interruption."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from micronet.architectures.load import create_network
from micronet.contract import NO_AUGMENTATION, Accuracy, FineTuning, Sparsifying, TrainingReport
from micronet.data.split import Split
from micronet.errors import NumericalError
from micronet.evaluation.inputs import Inputs
from micronet.graph.capture import capture
from micronet.graph.ir import Graph
from micronet.jobs.network import read_network
from micronet.journal import DirectoryJournal, Journal, MemoryJournal
from micronet.sparsity import stage
from micronet.sparsity.magnitude import set_smallest_to_zero, share_of_zeros, sparse_weights
from micronet.sparsity.stage import scheduled, sparsify
from micronet.training.fit import train
from micronet.training.task import Task
from micronet.transformation.prepare import prepare
from tests.micronet.training.lessons import SHORT, digits_graph, digits_task, same
from tests.micronet.training.test_fit import Dying, Killed, overflowing

TUNING = FineTuning(epochs=2, batch=64, learning_rate=0.05, augmentation=NO_AUGMENTATION)
ONE_SHOT = Sparsifying(sparsity=0.5, fine_tuning=FineTuning(epochs=0))
ROUNDS = Sparsifying(sparsity=0.8, rounds=3, fine_tuning=TUNING)

LONG = TUNING.model_copy(update={"epochs": 3, "learning_rate": 0.01})


@pytest.fixture(scope="module")
def trained() -> Graph:
    how = SHORT.model_copy(update={"epochs": 6})
    return train(digits_graph(), how, digits_task(1200))[0]


def made(graph: Graph, how: Sparsifying, journal: Journal | None = None) -> Graph:
    return sparsify(graph, how, digits_task(journal=journal))[0]


def test_the_schedule_by_hand() -> None:
    """From 0.2 to 0.8 in 2 rounds: 0.8 - 0.6 / 8, then 0.8; one round goes all the way."""
    assert scheduled(0.2, 0.8, 1, 2) == pytest.approx(0.725)
    assert scheduled(0.2, 0.8, 2, 2) == 0.8
    assert scheduled(0.2, 0.8, 1, 1) == 0.8


def test_one_shot_is_magnitude_pruning_and_nothing_else(trained: Graph) -> None:
    graph, report = sparsify(trained, ONE_SHOT, digits_task())
    assert same(graph, set_smallest_to_zero(trained, 0.5))
    [only] = report.rounds
    assert (only.sparsity, only.training) == (0.5, None)
    assert only.before_tuning == report.after_accuracy
    assert same(
        made(trained, ONE_SHOT.model_copy(update={"fine_tuning": TUNING.model_copy(update={"steps": 0})})), graph
    )


def test_rounds_repair_what_they_do(trained: Graph) -> None:
    graph, report = sparsify(trained, ROUNDS, digits_task(1200))
    assert [done.sparsity for done in report.rounds] == [scheduled(0, 0.8, n, 3) for n in (1, 2, 3)]
    weights = [trained.weights[name] for name in sparse_weights(trained)]
    assert share_of_zeros(graph) == round(0.8 * sum(w.numel() for w in weights)) / sum(w.numel() for w in weights)
    assert report.after.nonzero < report.before.nonzero
    assert report.after.multiplications < report.before.multiplications
    assert report.after.parameters == report.before.parameters
    assert sum(layer.weights - layer.nonzero for layer in report.layers) == round(0.8 * sum(w.numel() for w in weights))
    last = report.rounds[-1]
    assert last.training is not None
    assert last.training.after == report.after_accuracy
    assert last.training.after.correct >= last.before_tuning.correct
    assert digits_task().holdout_accuracy(graph) == report.after_accuracy


@pytest.mark.parametrize("lives", [0, 1, 2, 3, 4, 5, 6, 9])
def test_killed_anywhere_it_ends_with_the_same_bits(lives: int, trained: Graph) -> None:
    how = ROUNDS.model_copy(update={"rounds": 2})
    journal = Dying(lives)
    with pytest.raises(Killed):
        made(trained, how, journal)
    journal.lives = -1
    whole, resumed = MemoryJournal(), journal
    assert same(made(trained, how, whole), made(trained, how, resumed))
    assert whole.entries["sparsify"].facts == resumed.entries["sparsify"].facts


def test_a_journal_on_disk_does_not_do_it_again(trained: Graph, tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("journal")
    first = made(trained, ROUNDS, DirectoryJournal(directory))
    before = {path.name: path.stat().st_mtime_ns for path in directory.iterdir()}
    assert same(made(trained, ROUNDS, DirectoryJournal(directory)), first)
    assert {path.name: path.stat().st_mtime_ns for path in directory.iterdir()} == before


def test_rounds_draw_differently(trained: Graph) -> None:
    """With the same order of images in each round, a round would repeat the one before."""
    _, report = sparsify(trained, ROUNDS, digits_task())
    losses = [done.training.epochs[0].loss for done in report.rounds if done.training is not None]
    assert len(set(losses)) == 3


def test_a_round_below_the_floor_is_undone_and_ends_it(trained: Graph) -> None:
    how = Sparsifying(sparsity=0.97, rounds=4, floor=0.8, fine_tuning=FineTuning(epochs=0))
    graph, report = sparsify(trained, how, digits_task())
    assert report.kept_rounds == len(report.rounds) - 1 < 4
    assert report.rounds[-1].before_tuning.top1 < 0.8 <= report.after_accuracy.top1
    assert same(graph, set_smallest_to_zero(trained, report.rounds[-2].sparsity) if report.kept_rounds else trained)


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


def test_a_round_that_comes_apart_is_undone_and_ends_it(trained: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when it is called again, and the rounds before it are those of a run that went on."""
    whole = sparsify(trained, ROUNDS, digits_task())[1]
    apart_in(3, monkeypatch)
    journal = MemoryJournal()
    graph, report = sparsify(trained, ROUNDS, digits_task(journal=journal))
    assert (report.rounds, report.kept_rounds) == (whole.rounds[:2], 2)
    assert report.came_apart == "the loss is nan in epoch 1"
    assert report.after_accuracy == digits_task().holdout_accuracy(graph)
    again = sparsify(trained, ROUNDS, digits_task(journal=journal))
    assert same(again[0], graph)
    assert again[1] == report


def test_a_first_round_that_comes_apart_is_undone_where_there_is_a_floor(
    trained: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    apart_in(1, monkeypatch)
    graph, report = sparsify(trained, ROUNDS.model_copy(update={"floor": 0.1}), digits_task())
    assert same(graph, trained)
    assert (report.rounds, report.kept_rounds, report.after_accuracy) == ((), 0, report.before_accuracy)
    assert report.came_apart is not None
    apart_in(1, monkeypatch)
    with pytest.raises(NumericalError, match="the loss is nan"):
        sparsify(trained, ROUNDS, digits_task())


def test_images_without_an_answer_count_as_wrong_before_tuning(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in pruning: a round whose zeros make logits infinite is tuned, and judged by what comes of that."""
    measured = Task.holdout_accuracy

    def not_of_the_first(task: Task, graph: Graph) -> Accuracy:
        monkeypatch.setattr(Task, "holdout_accuracy", measured)
        return Accuracy.of(10, len(task.holdout))

    monkeypatch.setattr(Task, "holdout_accuracy", not_of_the_first)
    how = ROUNDS.model_copy(update={"rounds": 1, "sparsity": 0.3, "fine_tuning": LONG})
    _, report = sparsify(overflowing(), how, digits_task())
    assert (report.kept_rounds, report.came_apart) == (1, None)
    assert report.rounds[0].before_tuning.correct == 0


def test_a_network_that_is_sparse_already_is_given_back(trained: Graph) -> None:
    sparse = set_smallest_to_zero(trained, 0.7)
    graph, report = sparsify(sparse, ONE_SHOT, digits_task())
    assert same(graph, sparse)
    assert (report.rounds, report.kept_rounds, report.before) == ((), 0, report.after)


def test_zeros_it_came_with_and_zeros_it_made_stay_for_ten_epochs(trained: Graph) -> None:
    sparse = set_smallest_to_zero(trained, 0.3)
    pruned = set_smallest_to_zero(sparse, 0.6)
    tuning = TUNING.model_copy(update={"epochs": 10, "learning_rate": 0.2})
    graph = made(sparse, Sparsifying(sparsity=0.6, fine_tuning=tuning))
    for name in sparse_weights(graph):
        assert torch.equal(graph.weights[name] == 0, pruned.weights[name] == 0)
        assert not torch.equal(graph.weights[name], pruned.weights[name])


def test_kept_layers_stay_dense_and_still_learn(trained: Graph) -> None:
    how = ROUNDS.model_copy(update={"rounds": 1, "keep_layers": ("fc",)})
    _, report = sparsify(trained, how, digits_task())
    nonzero = {layer.name: (layer.weights, layer.nonzero) for layer in report.layers}
    assert nonzero["fc"][0] == nonzero["fc"][1]
    assert nonzero["conv2"][1] < nonzero["conv2"][0] / 2


def test_progress_runs_over_all_rounds(trained: Graph) -> None:
    from dataclasses import replace

    heard: list[tuple[int, int, str]] = []
    task = replace(digits_task(), advance=lambda *told: heard.append(told))
    sparsify(trained, ROUNDS, task)
    epochs = [done for done, total, unit in heard if unit == "epochs" and total == 6]
    assert epochs == sorted(epochs)
    assert epochs[-1] == 6


def noise_task() -> Task:
    """Images of noise: enough to see that a stage runs on a network and keeps its zeros."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (24, 3, 32, 32), dtype=torch.uint8, generator=generator)
    split = Split.of("noise", images, torch.arange(24) % 10)
    inputs = Inputs(split, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    return Task(inputs, inputs, torch.device("cpu"))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("pyramidnet", {"depth": 20, "alpha": 24, "num_classes": 10}),
        ("wideresnet", {"depth": 10, "width": 1, "num_classes": 10}),
        ("mobilenetv2", {"num_classes": 10, "image_size": 32, "width_multiplier": 0.25}),
    ],
)
def test_networks_of_the_catalogue(name: str, options: dict[str, object]) -> None:
    with torch.no_grad():
        graph = prepare(capture(create_network(name, options), (3, 32, 32)), fuse=False)
    _on_noise(graph)


def test_a_published_file(shared_dir: Path) -> None:
    graph, _ = read_network(shared_dir / "checkpoints" / "kaist_v2_pr45.onnx", None, None)
    _on_noise(prepare(graph, fuse=False))


def _on_noise(graph: Graph) -> None:
    tuning = TUNING.model_copy(update={"epochs": 1, "steps": 1, "batch": 8})
    how = Sparsifying(sparsity=0.8, rounds=2, scope="normalized", fine_tuning=tuning)
    sparse, report = sparsify(graph, how, noise_task())
    weights = sum(layer.weights for layer in report.layers)
    assert sum(layer.nonzero for layer in report.layers) == weights - round(0.8 * weights)
    assert report.kept_rounds == 2
    assert all(bool((sparse.weights[n] == 0)[graph.weights[n] == 0].all()) for n in sparse_weights(graph))


@pytest.mark.parametrize("rounds", [1, 4])
def test_layer_by_layer_no_layer_loses_more_than_it_is_asked_for(trained: Graph, rounds: int) -> None:
    """Though one came with so many zeros that all of them together have more than that."""
    most = {name: trained.weights[name] for name in sparse_weights(trained)}
    largest = max(most, key=lambda name: most[name].numel())
    sparse = replace(trained, weights={**trained.weights, **_smallest_gone(most, largest, 0.95)})
    assert share_of_zeros(sparse) > 0.6
    how = Sparsifying(sparsity=0.5, scope="layer", rounds=rounds, fine_tuning=FineTuning(epochs=0))
    graph, report = sparsify(sparse, how, digits_task())
    goals = [done.sparsity for done in report.rounds]
    assert goals == sorted(goals)
    for name in most:
        zeros = float((graph.weights[name] == 0).float().mean())
        assert zeros == pytest.approx(0.95 if name == largest else 0.5, abs=0.01), name


def _smallest_gone(weights: dict[str, Tensor], name: str, share: float) -> dict[str, Tensor]:
    magnitudes = weights[name].abs()
    return {name: weights[name] * (magnitudes > magnitudes.flatten().quantile(share))}
