"""A network that learns on its grids: they hold, zeros hold, and its answers come nearer to its teacher's."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import kl_div

from micronet.contract import NO_AUGMENTATION, TrainingReport, Tuning
from micronet.evaluation.bit_true import check_exact
from micronet.graph.grid import on_grid
from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph
from micronet.optimization.layerwise import carry_out
from micronet.optimization.network_parts import NetworkParts, network_parts
from micronet.optimization.plan import LayerChoice, NetworkPlan
from micronet.optimization.tuning import tuned
from micronet.training.fit import fit
from micronet.training.network import TrainableNetwork
from micronet.training.task import Task
from micronet.transformation.prepare import prepare
from tests.micronet.training.lessons import SHORT, digits_graph, digits_task, same

HOW = Tuning(steps=40, batch=32, augmentation=NO_AUGMENTATION)
Made = tuple[NetworkParts, Graph, Graph, TrainingReport, Task]


def halved(there: Tensor) -> Tensor:
    """Every other weight."""
    stays = torch.arange(there.numel()).view_as(there) % 2 == 0
    return there & stays


@pytest.fixture(scope="module")
def made() -> Made:
    """Digits at 2 bits, half of the weights gone, before and after."""
    task = digits_task()
    trained, _ = fit(TrainableNetwork(digits_graph()), SHORT.model_copy(update={"epochs": 20}), task)
    of = network_parts(prepare(trained, fuse=True))
    layers = {name: LayerChoice(2, 4, halved(layer.rows != 0)) for name, layer in of.layers.items()}
    graph = carry_out(of, NetworkPlan(layers, dict.fromkeys(of.values, 8), 8), task.train.batch(0, 100)[0])
    graph_after, report = tuned(graph, of.graph, HOW, digits_task())
    return of, graph, graph_after, report, task


def test_grids_stay_and_every_weight_is_on_one(made: Made) -> None:
    _, before, after, _, _ = made
    assert after.formats == before.formats
    assert after.nodes == before.nodes
    for name, grid in after.formats.items():
        assert torch.equal(on_grid(after.weights[name], grid), after.weights[name])
    check_exact(after)
    assert not same(before, after)


def test_zeros_stay_and_sums_keep_their_unit(made: Made) -> None:
    """A bias finer than a filter's products would make its sum wider."""
    of, before, after, _, _ = made
    nodes = after.by_name()
    for name in of.layers:
        read, weight, bias = (argument.name for argument in nodes[name].args[:3])
        assert not after.weights[weight][before.weights[weight] == 0].any()
        steps = nodes[read].args[1] * torch.tensor(after.formats[weight].steps).double()
        units = after.weights[bias].double() / steps.clamp(min=after.formats[bias].steps[0])
        assert torch.equal(units, units.round())


def test_other_images_are_answered_more_as_the_teacher_does(made: Made) -> None:
    of, before, _, _, task = made
    how = HOW.model_copy(update={"steps": 300, "learning_rate": 0.05})
    after, report = tuned(before, of.graph, how, digits_task())
    images = task.holdout.batch(0, 100)[0]
    wanted = interpret(of.graph, images).log_softmax(1)
    far = [
        float(kl_div(interpret(graph, images).log_softmax(1), wanted, reduction="batchmean", log_target=True))
        for graph in (before, after)
    ]
    assert far[1] < 0.75 * far[0]
    assert report.after.correct > report.before.correct
    assert report.images == how.steps * how.batch


def test_the_same_seed_gives_the_same_bits_and_another_does_not(made: Made) -> None:
    of, before, after, _, _ = made
    assert same(tuned(before, of.graph, HOW, digits_task())[0], after)
    assert not same(tuned(before, of.graph, HOW, replace(digits_task(), seed=1))[0], after)


def test_it_learns_nothing_from_labels(made: Made) -> None:
    of, before, after, _, _ = made
    task = digits_task()
    split = replace(task.train.split, labels=task.train.split.labels.roll(1))
    assert same(tuned(before, of.graph, HOW, replace(task, train=replace(task.train, split=split)))[0], after)
