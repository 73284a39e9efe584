"""Accuracy is a fact of the graph and the images: not of batches, threads or the order of sums."""

import pytest
import torch
from torch import Tensor, nn

from micronet.data.datasets import open_split
from micronet.data.split import Split
from micronet.errors import NumericalError, SettingsError
from micronet.evaluation import accuracy, threads
from micronet.evaluation.accuracy import Measured, evaluate, logits_of
from micronet.evaluation.bit_true import check_exact
from micronet.evaluation.calibration import calibrate
from micronet.evaluation.device import choose_device, make_repeatable
from micronet.evaluation.inputs import Inputs
from micronet.graph.capture import capture
from micronet.graph.ir import Graph
from micronet.tracks import track
from micronet.training.fit import fit
from micronet.training.network import TrainableNetwork
from micronet.transformation.quantization import Quantization, layer_outputs
from micronet.transformation.quantize import quantize_activations, quantize_weights
from micronet.transformation.ranges import SigmaMax
from tests.micronet.networks import halfway
from tests.micronet.training.lessons import SHORT, digits_graph, digits_task

CPU = torch.device("cpu")
DIGITS = track("digits")
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@pytest.fixture(scope="module")
def inputs() -> Inputs:
    return Inputs(open_split(DIGITS, "test", None), DIGITS.mean, DIGITS.std)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return fit(TrainableNetwork(digits_graph()), SHORT.model_copy(update={"epochs": 3}), digits_task(1200))[0]


def quantized(graph: Graph, inputs: Inputs, bits: int) -> Graph:
    how = Quantization(bits, bits)
    return quantize_activations(quantize_weights(graph, how), how, lambda shown, seen: calibrate(shown, seen, inputs))


@pytest.mark.parametrize("batch", [1, 7, 64, 1000])
def test_a_batch_split_changes_nothing(
    graph: Graph, inputs: Inputs, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = evaluate(graph, inputs, CPU)
    monkeypatch.setattr(accuracy, "cpu_batch", lambda graph: batch)
    assert evaluate(graph, inputs, CPU) == whole
    assert whole.total == 360


def test_nor_does_the_number_of_processors(graph: Graph, inputs: Inputs, monkeypatch: pytest.MonkeyPatch) -> None:
    def points(processors: int) -> list[list[int]]:
        monkeypatch.setattr(threads, "processors", lambda: processors)
        observers = {name: SigmaMax(8, 20.0) for name in layer_outputs(graph)}
        calibrate(graph, observers, inputs)
        return [observer._averages.tolist() for observer in observers.values() if observer._averages is not None]

    assert points(1) == points(3)


def test_every_image_is_shown_and_progress_reaches_the_end(graph: Graph, inputs: Inputs) -> None:
    heard: list[tuple[int, int, str]] = []
    evaluate(graph, inputs, CPU, advance=lambda *news: heard.append(news))
    assert heard[-1] == (360, 360, "images")
    assert [done for done, _, _ in heard] == sorted(done for done, _, _ in heard)


def test_bit_true_answers_are_those_of_integer_arithmetic() -> None:
    """A linear layer of fixed-point weights: the oracle multiplies and adds Python integers, which never round."""

    class Classifier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(64, 10)

        def forward(self, x: Tensor) -> Tensor:
            return self.linear(x.flatten(1))  # type: ignore[no-any-return]

    torch.manual_seed(0)
    images = torch.randint(0, 256, (50, 1, 8, 8), dtype=torch.uint8)
    plain = capture(Classifier().requires_grad_(False), (1, 8, 8))
    shown = Inputs(Split.of("random", images, torch.zeros(50, dtype=torch.int64)), (0.0,), (1.0,))
    graph = quantized(plain, shown, 16)
    weight, bias = (graph.weights[name] for name in ("linear.weight", "linear.bias"))
    first, last = (node for node in graph.nodes if "quantizer" in node.layer)
    step, low, high = first.args[1], first.args[3], first.args[4]
    assert isinstance(step, float)
    pixels = (shown.batch(0, 50)[0].flatten(1).double() / step).round().clamp(low, high).to(torch.int64)  # type: ignore[arg-type]
    unit = 2.0**-40
    rows = (weight.double() / unit * step).to(torch.int64).tolist()
    offsets = (bias.double() / unit).to(torch.int64).tolist()
    sums = [
        [sum(w * x for w, x in zip(row, image, strict=True)) + b for row, b in zip(rows, offsets, strict=True)]
        for image in pixels.tolist()
    ]
    out_step, out_low, out_high = last.args[1], last.args[3], last.args[4]
    assert isinstance(out_step, float)
    exact = (torch.tensor(sums, dtype=torch.float64) * unit / out_step).round().clamp(out_low, out_high)  # type: ignore[arg-type]
    labelled = Inputs(Split.of("random", images, exact.argmax(1)), (0.0,), (1.0,))
    assert evaluate(graph, labelled, CPU, bit_true=True).correct == 50


def test_an_output_that_is_not_finite_is_no_accuracy(graph: Graph, inputs: Inputs) -> None:
    class Overflowing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.exp(x.flatten(1)[:, :10] * 1e6 + 1e6)

    with pytest.raises(NumericalError, match=r"images 0 to .* running statistics"):
        evaluate(capture(Overflowing(), (1, 8, 8)), inputs, CPU)


def test_an_image_without_a_finite_answer_counts_as_wrong_where_asked(graph: Graph, inputs: Inputs) -> None:
    """Half of the images are white in a corner, for which every logit is infinite; argmax would still name a class."""

    class Half(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            corner = x.flatten(1)[:, :1] / 255
            return torch.exp(corner * 1e6) * torch.tensor([[1.0, 0.5]])

    images = torch.zeros(20, 1, 8, 8, dtype=torch.uint8)
    images[::2, 0, 0, 0] = 255
    shown = Inputs(Split.of("half", images, torch.zeros(20, dtype=torch.int64)), (0.0,), (1 / 255,))
    assert evaluate(capture(Half(), (1, 8, 8)), shown, CPU, count_infinite=True) == Measured(10, 20, 10)
    assert evaluate(graph, inputs, CPU, count_infinite=True) == evaluate(graph, inputs, CPU)


@pytest.mark.parametrize("name", ["cuda:99", "tpu", "", "meta", "CPU"])
def test_a_device_this_machine_lacks_is_named(name: str) -> None:
    with pytest.raises(SettingsError, match="this machine has cpu"):
        choose_device(name)


@needs_cuda
def test_cuda_and_cpu_agree(graph: Graph, inputs: Inputs) -> None:
    make_repeatable()
    there, here = (evaluate(quantized(graph, inputs, 8), inputs, torch.device(name)) for name in ("cuda", "cpu"))
    assert abs(there.correct - here.correct) <= 1


@needs_cuda
@pytest.mark.parametrize("bits", [3, 8, 12])
def test_where_sums_are_exact_cuda_gives_the_very_logits_of_the_cpu(graph: Graph, inputs: Inputs, bits: int) -> None:
    on_grids = quantized(graph, inputs, bits)
    check_exact(on_grids)
    here, there = (
        torch.cat([logits_of(on_grids, device, 64, True)(inputs.batch(at, 64, device)[0]).cpu() for at in (0, 64, 128)])
        for device in (CPU, torch.device("cuda"))
    )
    assert torch.equal(here.double(), there)


@needs_cuda
def test_quotients_between_two_points_of_a_grid_round_alike() -> None:
    graph, images = halfway()
    here, there = (logits_of(graph, device, 512, True)(images.to(device)) for device in (CPU, torch.device("cuda")))
    assert torch.equal(here.double(), there.cpu())


@needs_cuda
def test_images_are_normalized_to_the_same_bits_on_cuda(inputs: Inputs) -> None:
    assert torch.equal(inputs.batch(0, 360, torch.device("cuda"))[0].cpu(), inputs.batch(0, 360)[0])
