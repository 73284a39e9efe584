"""What only a GPU can show: recorded steps are those of the operations one by one, and the same bits every time."""

from dataclasses import replace

import pytest
import torch

from micronet.architectures.load import create_network
from micronet.contract import Training
from micronet.evaluation.device import make_repeatable
from micronet.graph.capture import capture
from micronet.graph.ir import Graph
from micronet.journal import MemoryJournal
from micronet.training.fit import fit
from micronet.training.gradients import RecordedGradients
from micronet.training.network import TrainableNetwork
from tests.micronet.training.lessons import SHORT, Dying, Killed, digits_graph, digits_task, same

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")

EVERYTHING = SHORT.model_copy(
    update={
        "mixup": 0.2,
        "cutmix": 1.0,
        "ema": 0.9,
        "label_smoothing": 0.1,
        "clip_norm": 1.0,
        "keep": "best",
        "cuda_graphs": True,
    }
)
FLOAT32 = EVERYTHING.model_copy(update={"precision": "float32"})


@pytest.fixture(autouse=True)
def _repeatable() -> None:
    make_repeatable()


def trained(how: Training, graph: Graph | None = None, journal: MemoryJournal | None = None) -> Graph:
    task = replace(digits_task(journal=journal), device=torch.device("cuda"))
    return fit(TrainableNetwork(graph or digits_graph()), how, task)[0]


def with_dropout_and_shakedrop() -> Graph:
    options = {"depth": 11, "alpha": 12.0, "num_classes": 10, "image_size": 8}
    with torch.no_grad():
        return capture(create_network("pyramidnet", options, 0), (3, 8, 8))


def test_recorded_steps_are_those_of_the_operations_one_by_one() -> None:
    recorded = trained(FLOAT32)
    for name, weight in trained(FLOAT32.model_copy(update={"cuda_graphs": False})).weights.items():
        torch.testing.assert_close(recorded.weights[name], weight, rtol=1e-4, atol=1e-5, msg=name)


def test_the_gpu_learns_what_the_cpu_learns() -> None:
    """One step in float32, from the same draws."""
    how = FLOAT32.model_copy(update={"epochs": 1, "steps": 1})
    here = fit(TrainableNetwork(digits_graph()), how, digits_task())[0]
    for name, weight in trained(how).weights.items():
        torch.testing.assert_close(here.weights[name], weight, rtol=1e-3, atol=1e-5, msg=name)


@pytest.mark.parametrize("how", [EVERYTHING, FLOAT32], ids=["bfloat16", "float32"])
def test_the_same_seed_gives_the_same_bits(how: Training) -> None:
    assert same(trained(how), trained(how))


@pytest.mark.parametrize("lives", [0, 1, 2])
def test_killed_anywhere_it_ends_with_the_same_bits(lives: int) -> None:
    """What warming up before a recording draws and averages leaves no trace."""
    journal = Dying(lives)
    with pytest.raises(Killed):
        trained(EVERYTHING, journal=journal)
    journal.lives = -1
    assert same(trained(EVERYTHING), trained(EVERYTHING, journal=journal))


def test_noise_is_drawn_anew_for_every_batch() -> None:
    """A recording that repeated its first dropout or ShakeDrop would train another network."""
    graph, device = with_dropout_and_shakedrop(), torch.device("cuda")
    network = TrainableNetwork(graph).to(device).train()
    recorded = RecordedGradients(lambda images, targets: (network(images) * targets).sum(), network)
    images, targets = torch.randn(4, *graph.input_shape, device=device), torch.randn(4, 10, device=device)
    losses = {float(recorded(images, targets)) for _ in range(8)}
    assert len(losses) > 1


def test_digits_are_learned() -> None:
    how = SHORT.model_copy(update={"epochs": 6, "keep": "best"})
    task = replace(digits_task(1200), device=torch.device("cuda"))
    assert fit(TrainableNetwork(digits_graph()), how, task)[1].after.correct >= 80
