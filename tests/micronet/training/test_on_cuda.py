"""What only a GPU can show: recorded steps are those of the operations one by one, and the same bits every time."""

import gc
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from micronet.architectures.load import create_network
from micronet.contract import Distillation, Normalization, Training
from micronet.evaluation.device import make_repeatable
from micronet.graph.capture import capture
from micronet.graph.ir import Graph
from micronet.journal import MemoryJournal
from micronet.training.ahead import Ahead, Batch
from micronet.training.fit import fit
from micronet.training.gradients import EagerGradients, RecordedGradients
from micronet.training.network import TrainableNetwork
from micronet.training.quantized import quantized_network
from micronet.transformation.plain_batch_norms import plain_batch_norms
from micronet.transformation.quantization import Quantization
from micronet.transformation.quantize import quantize_weights
from tests.micronet.training.lessons import SHORT, Dying, Killed, digits_graph, digits_task, same

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")

EVERYTHING = SHORT.model_copy(
    update={
        "mixup": 0.2,
        "cutmix": 1.0,
        "ema": 0.9,
        "label_smoothing": 0.1,
        "clip_norm": 1.0,
        "cuda_graphs": True,
    }
)
FLOAT32 = EVERYTHING.model_copy(update={"precision": "float32"})
OTHERWISE = Normalization(mean=(0.5,), std=(0.25,))
TAUGHT = FLOAT32.model_copy(
    update={"distillation": Distillation(teacher="0" * 64, normalize=OTHERWISE), "optimizer": "adam"}
)
CUDA = torch.device("cuda")


@pytest.fixture(autouse=True)
def _repeatable() -> None:
    make_repeatable()


def depthwise(dropout: float = 0.5) -> Graph:
    """A depthwise convolution, batch norms, dropout, and weights that are zero and stay so."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        layers = [nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.Hardswish()]
        layers += [nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False), nn.BatchNorm2d(16), nn.Hardswish()]
        layers += [nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(dropout), nn.Linear(64, 10)]
        layers[9].weight.masked_fill_(torch.rand(10, 64) < 0.5, 0.0)  # type: ignore[union-attr, operator]
        return capture(nn.Sequential(*layers), (1, 8, 8))


def trained(how: Training, graph: Graph, journal: MemoryJournal | None = None) -> Graph:
    task = replace(digits_task(journal=journal), device=CUDA, teacher=lambda _: digits_graph(seed=5))
    return fit(TrainableNetwork(graph), how, task)[0]


def assert_close(one: Graph, other: Graph, start: Graph) -> None:
    """And neither is where it started."""
    for name, weight in one.weights.items():
        torch.testing.assert_close(weight, other.weights[name], rtol=1e-3, atol=1e-5, msg=name)
    assert not same(one, start)


@pytest.mark.parametrize("how", [FLOAT32, TAUGHT], ids=["alone", "taught"])
@pytest.mark.parametrize("graph", [digits_graph, lambda: depthwise(0.0)], ids=["digits", "depthwise"])
def test_recorded_steps_are_those_of_the_operations_one_by_one(how: Training, graph: Callable[[], Graph]) -> None:
    one_by_one = how.model_copy(update={"cuda_graphs": False})
    assert_close(trained(how, graph()), trained(one_by_one, graph()), graph())


def test_steps_on_grids_are_recorded_too() -> None:
    latent = plain_batch_norms(digits_graph())
    graph = quantize_weights(latent, Quantization(5, 32, "mse"))
    task = replace(digits_task(), device=CUDA)
    found = []
    for recorded in (True, False):
        how = FLOAT32.model_copy(update={"cuda_graphs": recorded, "learning_rate": 0.01})
        found.append(fit(quantized_network(graph, latent.weights), how, task)[0])
    assert_close(*found, graph)


def test_the_gpu_learns_what_the_cpu_learns() -> None:
    """One step in float32, from the same draws."""
    how = FLOAT32.model_copy(update={"epochs": 1, "steps": 1, "ema": 0.0})
    here = fit(TrainableNetwork(digits_graph()), how, digits_task())[0]
    assert_close(trained(how, digits_graph()), here, digits_graph())


@pytest.mark.parametrize("how", [EVERYTHING, FLOAT32], ids=["bfloat16", "float32"])
def test_the_same_seed_gives_the_same_bits(how: Training) -> None:
    assert same(trained(how, depthwise()), trained(how, depthwise()))


@pytest.mark.parametrize("lives", [0, 1, 2])
def test_killed_anywhere_it_ends_with_the_same_bits(lives: int) -> None:
    """What warming up draws and averages leaves no trace, in whichever epoch the recording is made."""
    journal, whole = Dying(lives), MemoryJournal()
    with pytest.raises(Killed):
        trained(EVERYTHING, depthwise(), journal)
    journal.lives = -1
    trained(EVERYTHING, depthwise(), journal)
    trained(EVERYTHING, depthwise(), whole)
    assert whole.entries["fit"].facts == journal.entries["fit"].facts
    for name, tensor in whole.entries["fit"].tensors.items():
        assert torch.equal(tensor, journal.entries["fit"].tensors[name]), name


@pytest.mark.parametrize("kind", ["dropout", "shakedrop"])
def test_noise_is_drawn_anew_for_every_batch_as_without_a_recording(kind: str) -> None:
    with torch.no_grad():
        options = {"depth": 11, "alpha": 12.0, "num_classes": 10, "image_size": 8}
        shaken = capture(create_network("pyramidnet", options, 0), (3, 8, 8))
    network = TrainableNetwork(depthwise() if kind == "dropout" else shaken).to(CUDA).train()
    shape = network.graph().input_shape
    images, targets = torch.randn(4, *shape, device=CUDA), torch.randn(4, 10, device=CUDA)

    def loss(images: Tensor, targets: Tensor) -> Tensor:
        return (network(images) * targets).sum()

    def losses(of: EagerGradients | RecordedGradients) -> Tensor:
        torch.manual_seed(3)
        return torch.stack([of(images, targets).clone() for _ in range(8)])

    recorded, eager = losses(RecordedGradients(loss, network)), losses(EagerGradients(loss, network))
    torch.testing.assert_close(recorded, eager, rtol=1e-3, atol=1e-4)
    assert len(set(recorded.tolist())) > 4


def allocated() -> int:
    torch._C._cuda_clearCublasWorkspaces()
    return torch.cuda.memory_allocated()


def test_one_training_after_the_other_leaves_no_memory_behind() -> None:
    """Without waiting for the collector, and whatever it collects while a recording is made. Workspaces aside, which
    cuBLAS keeps for every stream."""
    trained(FLOAT32, depthwise())
    before, threshold = allocated(), gc.get_threshold()
    gc.set_threshold(1)
    try:
        for _ in range(3):
            trained(FLOAT32, depthwise())
    finally:
        gc.set_threshold(*threshold)
    assert allocated() == before


def test_batches_come_in_order_and_whole() -> None:
    def batches() -> list[Batch]:
        return [(torch.full((64, 256, 256), float(i), device=CUDA), torch.tensor([i], device=CUDA)) for i in range(20)]

    found = [(images.sum() / images.numel(), targets) for images, targets in Ahead(CUDA)(iter(batches()))]
    assert [(float(mean), int(target)) for mean, target in found] == [(float(i), i) for i in range(20)]


@pytest.mark.parametrize("recorded", [True, False])
def test_batches_are_made_ahead_with_and_without_a_recording(recorded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    passed = []

    class Counting(Ahead):
        def __call__(self, batches: Iterator[Batch]) -> Iterator[Batch]:
            for batch in super().__call__(batches):
                passed.append(batch[1].device.type)
                yield batch

    monkeypatch.setattr("micronet.training.fit.Ahead", Counting)
    trained(FLOAT32.model_copy(update={"cuda_graphs": recorded}), digits_graph())
    assert passed == ["cuda"] * 10  # two epochs of 320 images, 64 a batch


def test_digits_are_learned() -> None:
    how = SHORT.model_copy(update={"epochs": 6, "cuda_graphs": True})
    task = replace(digits_task(1200), device=CUDA)
    assert fit(TrainableNetwork(digits_graph()), how, task)[1].after.correct >= 80
