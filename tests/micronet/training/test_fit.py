"""Training: against a plain loop, the same bits again, and the same bits after any interruption."""

import gc
import math
import weakref
from dataclasses import replace

import pytest
import torch
from torch import nn

from micronet.architectures.load import create_network
from micronet.contract import Training
from micronet.errors import NumericalError, SettingsError
from micronet.evaluation.accuracy import Measured
from micronet.graph.capture import capture
from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph, Node, Ref
from micronet.journal import MemoryJournal
from micronet.training.distributed import World
from micronet.training.fit import derived_seed, fit
from micronet.training.gradients import check_recordable
from micronet.training.network import TrainableNetwork, factor_names, learned_weights
from micronet.training.state import State
from tests.micronet.training.lessons import DIGITS, SHORT, Dying, Killed, digits_graph, digits_task, same

aten = torch.ops.aten

EVERYTHING = SHORT.model_copy(
    update={"mixup": 0.2, "cutmix": 1.0, "ema": 0.9, "label_smoothing": 0.1, "warmup_epochs": 0.5, "keep": "best"}
)


def trained(how: Training, journal: MemoryJournal | None = None, seed: int = 0) -> Graph:
    return fit(TrainableNetwork(digits_graph()), how, digits_task(journal=journal, seed=seed))[0]


@pytest.mark.parametrize(("kind", "rate"), [("sgd", 0.2), ("adam", 0.01)])
def test_two_steps_are_those_of_a_plain_loop(kind: str, rate: float) -> None:
    change = {"steps": 2, "schedule": "constant", "label_smoothing": 0.1, "optimizer": kind, "learning_rate": rate}
    how = SHORT.model_copy(update={"epochs": 1, **change})
    task = digits_task()
    graph, report = fit(TrainableNetwork(digits_graph()), how, task)

    network = create_network("digits", {}, 0).train()
    weights = [p for p in network.parameters() if p.dim() > 1]
    others = [p for p in network.parameters() if p.dim() == 1]
    groups = [{"params": weights, "weight_decay": how.weight_decay}, {"params": others, "weight_decay": 0}]
    optimizer = (
        torch.optim.SGD(groups, lr=rate, momentum=0.9, nesterov=True)
        if kind == "sgd"
        else torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.999))
    )
    order = torch.randperm(320, generator=torch.Generator().manual_seed(derived_seed(0, 0)))
    losses = []
    for step in range(2):
        images, labels = task.train.take(order[64 * step : 64 * (step + 1)])
        loss = nn.CrossEntropyLoss(label_smoothing=0.1)(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    for name, weight in network.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            torch.testing.assert_close(graph.weights[name], weight, rtol=1e-4, atol=1e-6)
    assert math.isclose(report.epochs[0].loss, sum(losses) / 2, rel_tol=1e-5)


@pytest.mark.parametrize("how", [SHORT, EVERYTHING], ids=["plain", "everything"])
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(how: Training) -> None:
    assert same(trained(how), trained(how))
    assert not same(trained(how), trained(how, seed=1))


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("lives", [0, 1, 2])
def test_killed_anywhere_it_ends_with_the_same_bits(lives: int, optimizer: str) -> None:
    how, journal = EVERYTHING.model_copy(update={"optimizer": optimizer}), Dying(lives)
    with pytest.raises(Killed):
        trained(how, journal)
    journal.lives = -1
    whole, resumed = MemoryJournal(), journal
    assert same(trained(how, whole), trained(how, resumed))
    assert whole.entries["fit"].facts == resumed.entries["fit"].facts


def test_killed_again_and_again_within_an_epoch_it_ends_with_the_same_bits() -> None:
    """What it goes on from stays as it was written down, though averages and momenta are changed in place."""
    journal = Dying(2)
    for _ in range(3):  # in the second epoch, each time
        with pytest.raises(Killed):
            trained(EVERYTHING, journal)
    journal.lives = -1
    assert same(trained(EVERYTHING), trained(EVERYTHING, journal))


@pytest.mark.parametrize(("images", "seen"), [(20, 40), (64, 128), (100, 128), (130, 256)])
def test_images_are_those_that_were_seen(images: int, seen: int) -> None:
    """Batches of 64, two epochs: whole ones, or a single one of all there are."""
    assert fit(TrainableNetwork(digits_graph()), SHORT, digits_task(images))[1].images == seen


def test_a_finished_training_is_not_done_again() -> None:
    journal = MemoryJournal()
    first = trained(SHORT, journal)
    told: list[int] = []
    graph, report = fit(TrainableNetwork(digits_graph(seed=9)), SHORT, digits_task(journal=journal))
    assert same(first, graph)
    assert [epoch.epoch for epoch in report.epochs] == [1, 2]
    assert told == []


def test_it_learns_and_says_what_it_kept() -> None:
    how = SHORT.model_copy(update={"epochs": 6, "keep": "best"})
    graph, report = fit(TrainableNetwork(digits_graph()), how, digits_task(1200))
    assert report.before.correct < 30
    assert report.after.correct >= 80
    best = max(epoch.holdout.correct for epoch in report.epochs)
    assert report.epochs[report.kept - 1].holdout.correct == best == report.after.correct
    assert digits_task().holdout_accuracy(graph).correct == best


def test_the_average_of_a_short_training_is_not_the_start() -> None:
    how = SHORT.model_copy(update={"epochs": 6, "ema": 0.9999})
    assert fit(TrainableNetwork(digits_graph()), how, digits_task(1200))[1].after.correct >= 80


def test_zeros_stay_zero_for_ten_epochs() -> None:
    graph = digits_graph()
    kernel = graph.weights["conv2.weight"]
    graph.weights["conv2.weight"].copy_(torch.where(torch.rand_like(kernel) < 0.5, 0, kernel))
    zeros = kernel == 0
    how = SHORT.model_copy(update={"epochs": 10})
    held, _ = fit(TrainableNetwork(graph), how, digits_task())
    filled, _ = fit(TrainableNetwork(graph, hold_zeros=False), how, digits_task())
    assert torch.equal(held.weights["conv2.weight"] == 0, zeros)
    assert not bool((filled.weights["conv2.weight"] == 0).any())


def test_no_training_changes_nothing() -> None:
    graph, report = fit(TrainableNetwork(digits_graph()), Training(epochs=0), digits_task())
    assert same(graph, digits_graph())
    assert (report.kept, report.epochs, report.after) == (0, (), report.before)


def test_in_evaluation_mode_a_trainable_network_is_its_graph() -> None:
    graph, images = digits_graph(), torch.randn(5, *DIGITS.input_shape)
    with torch.no_grad():
        assert torch.equal(TrainableNetwork(graph).eval()(images), interpret(graph, images))


def test_no_step_is_longer_than_clipped_gradients_allow() -> None:
    """Without momentum, decay and batch norm's own scale a step is rate x gradient."""
    clipped = {"epochs": 1, "steps": 1, "momentum": 0.0, "weight_decay": 0.0, "schedule": "constant"}
    moved = []
    for norm in (None, 0.01):
        how = SHORT.model_copy(update=clipped | {"clip_norm": norm})
        network, before = TrainableNetwork(digits_graph()), digits_graph().weights
        after = fit(network, how, digits_task())[0].weights
        learned = [name for name in before if not name.endswith(("running_mean", "running_var"))]
        moved.append(sum(float((after[name] - before[name]).square().sum()) for name in learned) ** 0.5)
    free, bounded = moved
    assert math.isclose(bounded, SHORT.learning_rate * 0.01, rel_tol=1e-3)
    assert free > 10 * bounded


def with_zeros(share: float) -> Graph:
    """The digits' network with that share of each kernel at zero, the rest three times as large."""
    graph, generator = digits_graph(), torch.Generator().manual_seed(0)
    for name in ("conv1.weight", "conv2.weight", "fc.weight"):
        weight = graph.weights[name]
        weight.copy_(torch.where(torch.rand(weight.shape, generator=generator) < share, 0, 3 * weight))
    return graph


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_weights_that_are_held_have_no_part_in_the_norm_that_clips(optimizer: str) -> None:
    """With 95 % of weights at zero the gradients of the others are as long as they may be, and so is a plain step."""
    clipped = {"epochs": 1, "steps": 1, "momentum": 0.0, "weight_decay": 0.0, "schedule": "constant"}
    how = SHORT.model_copy(update=clipped | {"clip_norm": 0.01, "optimizer": optimizer})
    network, before = TrainableNetwork(with_zeros(0.95)), with_zeros(0.95)
    after = fit(network, how, digits_task())[0].weights
    square = moved = 0.0
    for name, parameter in zip(learned_weights(before), network.parameters_list, strict=True):
        assert parameter.grad is not None
        held = (before.weights[name] == 0) & (name in factor_names(before))
        assert not bool(parameter.grad[held].any() or after[name][held].any())
        square += float(parameter.grad.square().sum())
        moved += float((after[name] - before.weights[name]).square().sum())
    assert math.isclose(square**0.5, 0.01, rel_tol=1e-3)
    assert optimizer == "adam" or math.isclose(moved**0.5, SHORT.learning_rate * 0.01, rel_tol=1e-3)


def test_a_weight_that_nothing_depends_on_has_no_gradient_to_hold() -> None:
    network = TrainableNetwork(with_zeros(0.5))
    network.hold_gradients_()
    assert all(parameter.grad is None for parameter in network.parameters_list)


def test_a_training_that_comes_apart_says_so() -> None:
    apart = {"epochs": 20, "learning_rate": 100.0, "weight_decay": 1.0, "schedule": "constant"}  # times -99 a step
    how = SHORT.model_copy(update=apart)
    with pytest.raises(NumericalError, match="learning_rate"):
        trained(how)


def test_recording_changes_nothing_on_a_cpu_and_is_refused_to_several_processes() -> None:
    how = EVERYTHING.model_copy(update={"cuda_graphs": True})
    assert same(trained(how), trained(EVERYTHING))
    task = replace(digits_task(), world=World(0, 2))
    with pytest.raises(SettingsError, match="cuda_graphs is for one process"):
        fit(TrainableNetwork(digits_graph()), how, task)


def test_grids_for_each_channel_cannot_be_recorded() -> None:
    graph = digits_graph()
    check_recordable(graph, "the network")
    by_channel = aten.fake_quantize_per_channel_affine.default
    node = Node("by_channel", by_channel, (Ref(graph.output), Ref("steps"), Ref("zeros"), 1, -8, 7))
    with pytest.raises(SettingsError, match="the teacher puts values on a grid for each channel"):
        check_recordable(replace(graph, nodes=(*graph.nodes, node)), "the teacher")


def test_nothing_of_a_training_waits_for_the_garbage_collector() -> None:
    """A network and its momenta, or a recording with all its activations, may be most of what a device holds."""
    network = TrainableNetwork(digits_graph())
    gone = weakref.ref(network)
    gc.collect()
    gc.disable()
    try:
        fit(network, SHORT, digits_task())
        del network
        assert gone() is None
    finally:
        gc.enable()


def test_a_batch_norm_of_one_value_says_that_the_batch_is_too_small() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), nn.Linear(8, 10))
    with torch.no_grad():
        graph = capture(network, (1, 8, 8))
    with pytest.raises(SettingsError, match="a batch of 2 images at least"):
        fit(TrainableNetwork(graph), SHORT.model_copy(update={"batch": 1}), digits_task())


def overflowing() -> Graph:
    """By its running statistics, which know nothing of how large weights are, logits are infinite."""
    layers: list[nn.Module] = []
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        for _ in range(4):
            convolution = nn.Conv2d(1, 1, 3, padding=1)
            convolution.weight.mul_(1e12)
            layers += [convolution, nn.BatchNorm2d(1)]
        return capture(nn.Sequential(*layers, nn.Flatten(), nn.Linear(64, 10)), (1, 8, 8))


@pytest.mark.parametrize("keep", ["last", "best"])
def test_a_healthy_training_may_begin_with_infinite_answers(keep: str) -> None:
    """The first step's statistics are a tenth of what they should be, and soon nearly all; the loss never saw them."""
    how = SHORT.model_copy(update={"epochs": 3, "keep": keep, "learning_rate": 0.01})
    journal = Dying(2)
    with pytest.raises(Killed):
        fit(TrainableNetwork(overflowing()), how, digits_task(journal=journal))
    journal.lives = -1
    _, resumed = fit(TrainableNetwork(overflowing()), how, digits_task(journal=journal))
    graph, report = fit(TrainableNetwork(overflowing()), how, digits_task())
    assert report == resumed
    assert (report.before.correct, report.before.total) == (0, 100)
    assert report.kept > 0
    assert bool(interpret(graph, digits_task().holdout.batch(0, 100)[0]).isfinite().all())


def test_the_best_is_one_that_gives_numbers() -> None:
    """However many answers another has right beside one that is none; and of two such, who has more of them right."""
    state = State(TrainableNetwork(digits_graph()), SHORT.model_copy(update={"keep": "best"}))
    noted = []
    for epoch, (correct, infinite) in enumerate([(3, 2), (2, 1), (4, 1), (4, 0), (9, 1), (3, 0), (5, 0), (5, 0)]):
        state.note(Measured(correct, 10, infinite), epoch)
        noted.append(state.kept)
    assert noted == [0, 0, 2, 3, 3, 3, 6, 6]
    assert state.infinite == 0


def test_a_network_that_is_kept_answers_with_numbers() -> None:
    how = SHORT.model_copy(update={"epochs": 0})
    with pytest.raises(NumericalError, match=r"after epoch 0, gives NaN or infinity for 100 of 100 .* lag behind"):
        fit(TrainableNetwork(overflowing()), how, digits_task())


def test_running_statistics_that_are_no_numbers_are_no_network() -> None:
    """Their network's loss may be: in training they are not looked at."""
    graph = digits_graph()
    name = next(name for name in graph.weights if name.endswith("running_var"))
    graph.weights[name].fill_(float("inf"))  # type: ignore[index]
    with pytest.raises(NumericalError, match=r"infinite or NaN after epoch 1, whose loss is \d"):
        fit(TrainableNetwork(graph), SHORT, digits_task())
