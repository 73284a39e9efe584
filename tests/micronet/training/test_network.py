"""A graph that learns: shaken branches, averages, teachers, and graphs read back from ONNX."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from micronet.architectures.load import create_network
from micronet.architectures.stochastic_depth import StochasticDepth
from micronet.contract import Distillation
from micronet.graph.capture import capture
from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph
from micronet.onnx_reader import import_graph
from micronet.onnx_writer import to_model
from micronet.training.fit import fit
from micronet.training.mixing import soft_targets
from micronet.training.network import (
    TrainableNetwork,
    factor_names,
    is_shakedrop,
    is_stochastic_depth,
    learned_weights,
)
from micronet.training.state import State, decay_of_average
from micronet.transformation.prepare import prepare
from tests.micronet.networks import IMAGE, ByChannel, images
from tests.micronet.training.lessons import SHORT, digits_graph, digits_task


@pytest.fixture(scope="module")
def pyramid() -> Graph:
    """Three residual blocks, whose branches are dropped with 1/6, 1/3 and 1/2."""
    options = {"depth": 11, "alpha": 6, "image_size": 8, "num_classes": 10}
    with torch.no_grad():
        return capture(create_network("pyramidnet", options), (3, 8, 8))


def test_branches_are_shaken_in_training_and_not_in_evaluation(pyramid: Graph) -> None:
    images = torch.randn(16, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    scaled = [node.args[1] for node in pyramid.nodes if is_shakedrop(node)]
    assert scaled == pytest.approx([5 / 6, 2 / 3, 1 / 2])

    def answers(network: TrainableNetwork, seed: int) -> torch.Tensor:
        with torch.no_grad(), torch.random.fork_rng():
            torch.manual_seed(seed)
            logits: torch.Tensor = network(images)
        return logits

    shaken, still = TrainableNetwork(pyramid).train(), TrainableNetwork(pyramid, shakedrop=False).train()
    assert torch.equal(answers(shaken, 1), answers(shaken, 1))
    assert len({float(answers(shaken, seed).sum()) for seed in range(6)}) > 1
    assert torch.equal(answers(still, 1), answers(still, 2))
    for network in (TrainableNetwork(pyramid).eval(), TrainableNetwork(pyramid, shakedrop=False).eval()):
        assert torch.equal(answers(network, 1), interpret(pyramid, images))


def test_a_shaken_branch_has_a_gradient_of_its_own(pyramid: Graph) -> None:
    network = TrainableNetwork(pyramid).train()
    network(torch.randn(8, 3, 8, 8)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters() if parameter.requires_grad)


class Noisy(nn.Module):
    """What is left of each of 6 channels of 4x4 pixels, all 1."""

    def __init__(self, noise: nn.Module) -> None:
        super().__init__()
        self.stochastic_depth = noise

    def forward(self, images: Tensor) -> Tensor:
        left: Tensor = self.stochastic_depth(images).flatten(1)
        return left


@pytest.mark.parametrize(
    ("noise", "together"),
    [(nn.Dropout(0.75), 1), (nn.Dropout2d(0.75), 16), (StochasticDepth(0.75), 96)],
    ids=["values", "channels", "images"],
)
def test_what_training_drops(noise: nn.Module, together: int) -> None:
    """A quarter stays, four times as large; what goes together are values, channels or images. Evaluation has all."""
    layer = Noisy(noise)
    graph, images = capture(layer, (6, 4, 4)), torch.ones(2000, 6, 4, 4)
    if not isinstance(noise, StochasticDepth):
        graph = replace(graph, nodes=tuple(replace(node, layer="noise") for node in graph.nodes))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        left = TrainableNetwork(graph).train()(images).reshape(-1, together)
    assert left.unique().tolist() == [0, 4]
    assert torch.equal(left.amin(1), left.amax(1))
    assert float(left.mean()) == pytest.approx(1, abs=0.1)
    assert together == 96 or not torch.equal(left.view(2000, -1).amin(1), left.view(2000, -1).amax(1))
    assert torch.equal(TrainableNetwork(graph).eval()(images), images.flatten(1))


DROPPING = {
    "wideresnet": {"depth": 10, "width": 1, "dropout": 0.3},
    "efficientnet": {"width_multiplier": 0.25, "image_size": 32, "dropout": 0.0, "stochastic_depth": 0.9},
}


@pytest.mark.parametrize("name", DROPPING)
def test_noise_of_training_survives_a_file(name: str) -> None:
    network = create_network(name, {**DROPPING[name], "num_classes": 10})
    with torch.no_grad():
        graph = prepare(capture(network, (3, 32, 32)), fuse=False)
    again = prepare(import_graph(to_model(graph)), fuse=False)
    images = torch.randn(8, *graph.input_shape, generator=torch.Generator().manual_seed(0))

    def noise(of: Graph) -> list[tuple[float, bool]]:
        dropouts = [node for node in of.nodes if node.target is torch.ops.aten.dropout.default]
        shares = [(node.args[1], is_stochastic_depth(node)) for node in dropouts]
        return [(share, whole) for share, whole in shares if isinstance(share, float) and share]

    def answers(of: Graph, seed: int) -> Tensor:
        with torch.no_grad(), torch.random.fork_rng():
            torch.manual_seed(seed)
            logits: Tensor = TrainableNetwork(of).train()(images)
        return logits

    wanted = [0.3] * 3 if name == "wideresnet" else [0.9 * k / 16 for k in (2, 4, 6, 7, 9, 10, 12, 13, 14)]
    for one in (graph, again):
        assert noise(one) == [(pytest.approx(p, rel=1e-6), name == "efficientnet") for p in wanted]
        assert not torch.equal(answers(one, 1), answers(one, 2))
        assert torch.equal(TrainableNetwork(one).eval()(images), interpret(one, images))
    torch.testing.assert_close(answers(again, 1), answers(graph, 1), rtol=1e-3, atol=1e-3)
    assert noise(prepare(graph, fuse=True)) == []  # nobody trains what was fused


def test_an_average_by_hand() -> None:
    """Decays 2/11, then 3/12: after two steps (2/11 * w0 + 9/11 * w1) / 4 + 3/4 * w2. Then that is what is kept."""
    network = TrainableNetwork(digits_graph())
    how = SHORT.model_copy(update={"ema": 0.75})
    state = State(network, how)
    seen = [network.tensors()["fc.weight"].clone()]
    for step in range(2):
        for parameter in network.parameters_list:
            parameter.grad = torch.full_like(parameter, 0.5 + step)
        state.step_(0.1)
        seen.append(network.tensors()["fc.weight"].clone())
    wanted = (2 / 11 * seen[0] + 9 / 11 * seen[1]) / 4 + 3 / 4 * seen[2]
    torch.testing.assert_close(state.graph().weights["fc.weight"], wanted)
    assert torch.equal(network.graph().weights["fc.weight"], seen[2])


def test_the_decay_of_an_average_grows_to_what_is_asked() -> None:
    assert [decay_of_average(0.75, step) for step in (1, 2, 25, 26, 27, 10_000)] == [
        2 / 11,
        3 / 12,
        26 / 35,
        *[0.75] * 3,
    ]
    assert decay_of_average(0.9999, 1_000) == 1_001 / 1_010


@pytest.mark.parametrize("weight", [0.25, 1.0])
def test_distillation_is_the_divergence_by_hand(weight: float) -> None:
    """(1 - w) * cross-entropy + w * T^2 * sum(p * (log p - log q)) / N, p the teacher's softened answers, q ours."""
    temperature, pupil, teacher = 3.0, digits_graph(), digits_graph(seed=5)
    distillation = Distillation(teacher="0" * 64, weight=weight, temperature=temperature)
    how = SHORT.model_copy(update={"epochs": 1, "steps": 1, "batch": 320, "distillation": distillation})
    task = replace(digits_task(), teacher=lambda _: teacher)
    _, report = fit(TrainableNetwork(pupil), how, task)

    images, labels = task.train.take(torch.arange(320))
    with torch.no_grad():
        ours = TrainableNetwork(pupil).train()(images)
        p = (interpret(teacher, images) / temperature).softmax(1)
        q = (ours / temperature).softmax(1)
        divergence = temperature**2 * (p * (p.log() - q.log())).sum() / 320
        entropy = F.cross_entropy(ours, soft_targets(labels, 10, 0))
    by_torch = F.kl_div(q.log(), p, reduction="batchmean") * temperature**2
    torch.testing.assert_close(divergence, by_torch)
    assert report.epochs[0].loss == pytest.approx(float((1 - weight) * entropy + weight * divergence), rel=1e-4)


def test_a_pupil_comes_closer_to_its_teacher() -> None:
    teacher, _ = fit(TrainableNetwork(digits_graph(seed=5)), SHORT, digits_task())
    task = replace(digits_task(), teacher=lambda _: teacher)
    how = SHORT.model_copy(update={"distillation": Distillation(teacher="0" * 64, weight=1.0), "epochs": 4})
    _, report = fit(TrainableNetwork(digits_graph()), how, task)
    assert report.epochs[-1].loss < report.epochs[0].loss / 2


@pytest.mark.parametrize("fused", [False, True], ids=["with batch norms", "fused"])
def test_a_graph_read_back_from_onnx_learns_the_same(fused: bool) -> None:
    """Names may differ, the numbers do not: same losses, same answers, as far as sums in another order allow."""
    graph = prepare(digits_graph(), fuse=fused)
    again = prepare(import_graph(to_model(graph)), fuse=False)
    assert len(learned_weights(again)) == len(learned_weights(graph)) == (6 if fused else 8)
    assert len(factor_names(again)) == 3
    (one, told), (other, told_again) = (fit(TrainableNetwork(g), SHORT, digits_task()) for g in (graph, again))
    assert [epoch.loss for epoch in told.epochs] == pytest.approx([epoch.loss for epoch in told_again.epochs], rel=1e-3)
    images = torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(interpret(one, images), interpret(other, images), rtol=1e-2, atol=1e-2)


def test_batch_norms_of_a_file_run_on_the_same_kernels_as_a_module_s() -> None:
    """What they say of training, momentum, epsilon and cuDNN: CUDA chooses by the last, and so do bits and speed."""

    def said(graph: Graph) -> list[tuple[object, ...]]:
        return [node.args[5:] for node in graph.nodes if node.target is torch.ops.aten.batch_norm.default]

    graph = prepare(digits_graph(), fuse=False)
    again = prepare(import_graph(to_model(graph)), fuse=False)
    assert said(again) == [(False, pytest.approx(0.1), pytest.approx(1e-5), True)] * 2
    assert said(again) == [(*rest, pytest.approx(epsilon), cudnn) for *rest, epsilon, cudnn in said(graph)]


def test_steps_of_quantizers_do_not_learn_and_what_is_in_front_of_them_does() -> None:
    graph = capture(ByChannel(), IMAGE)
    network = TrainableNetwork(graph).train()
    assert learned_weights(graph) == ["conv.weight", "conv.bias", "linear.weight", "linear.bias"]
    network(images(4)).square().sum().backward()
    assert all(bool(parameter.grad.any()) for parameter in network.parameters_list)
    assert torch.equal(network.graph().weights["steps"], graph.weights["steps"])


def test_no_decay_on_norms_and_biases() -> None:
    network = TrainableNetwork(digits_graph())
    assert sorted(tuple(p.shape) for p in network.decayed()) == [(10, 32), (16, 1, 3, 3), (32, 16, 3, 3)]
    assert {p.dim() for p in network.undecayed()} == {1}


def test_the_bias_of_a_product_with_a_matrix_is_one_too() -> None:
    class Product(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.shift, self.matrix = nn.Parameter(torch.zeros(10)), nn.Parameter(torch.ones(64, 10))

        def forward(self, x: Tensor) -> Tensor:
            return torch.addmm(self.shift, x.flatten(1), self.matrix)

    network = TrainableNetwork(capture(Product(), (1, 8, 8)))
    assert ([p.dim() for p in network.decayed()], [p.dim() for p in network.undecayed()]) == ([2], [1])
    with torch.no_grad():
        network.undecayed()[0].fill_(0.5)
    network.hold_zeros_()
    assert network.undecayed()[0].tolist() == [0.5] * 10


def test_a_step_too_small_to_matter_changes_running_statistics_only() -> None:
    graph = digits_graph()
    how = SHORT.model_copy(update={"epochs": 1, "learning_rate": 1e-30})
    trained, _ = fit(TrainableNetwork(graph), how, digits_task())
    assert all(torch.allclose(trained.weights[n], graph.weights[n], rtol=0, atol=1e-20) for n in learned_weights(graph))
    assert not torch.equal(trained.weights["bn1.running_mean"], graph.weights["bn1.running_mean"])
