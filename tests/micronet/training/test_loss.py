"""The precision that losses are computed in; test_network.py has their values by hand."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from micronet.contract import Distillation, Normalization
from micronet.data.split import Split
from micronet.errors import SettingsError
from micronet.evaluation.calibration import calibrate
from micronet.evaluation.inputs import Inputs
from micronet.training.fit import in_half
from micronet.training.loss import Loss, Renormalization, Teacher
from micronet.training.network import TrainableNetwork
from micronet.transformation.plain_batch_norms import plain_batch_norms
from micronet.transformation.quantization import Quantization
from micronet.transformation.quantize import quantize_activations, quantize_weights
from tests.micronet.training.lessons import SHORT, digits_graph, digits_task

HOW = SHORT.model_copy(update={"distillation": Distillation(teacher="0" * 64)})


@pytest.mark.parametrize("quantized", [False, True])
@pytest.mark.parametrize("half", [False, True])
def test_a_teacher_answers_in_the_precision_of_what_it_teaches_unless_it_is_quantized(
    quantized: bool, half: bool
) -> None:
    graph = plain_batch_norms(digits_graph(seed=5))
    if quantized:
        graph = quantize_weights(graph, Quantization(12, 32, "mse"))
    teacher = Teacher.of(HOW, replace(digits_task(), teacher=lambda _: graph))
    assert teacher is not None
    images = digits_task().train.take(torch.arange(64))[0]
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=half and not quantized):
        wanted = TrainableNetwork(graph).eval()(images)
    found = teacher(images, half)
    assert found.dtype == torch.float32
    assert torch.equal(found, wanted.float())
    with torch.no_grad():
        assert torch.equal(found, TrainableNetwork(graph).eval()(images)) is (quantized or not half)


WHITE_IS_ONE = Normalization(mean=(0.0,), std=(1.0,))


def taught_by(normalize: Normalization | None) -> Teacher:
    distillation = Distillation(teacher="0" * 64, normalize=normalize)
    how = SHORT.model_copy(update={"distillation": distillation})
    teacher = Teacher.of(how, replace(digits_task(), teacher=lambda _: digits_graph(seed=5)))
    assert teacher is not None
    return teacher


def test_a_teacher_is_shown_images_with_its_own_normalization() -> None:
    """Also where images are mixed, and laid out by channels last."""
    task, first, second = digits_task(), torch.arange(64), torch.arange(64, 128)
    there = replace(task.train, mean=WHITE_IS_ONE.mean, std=WHITE_IS_ONE.std)

    def mixed(inputs: Inputs) -> Tensor:
        return 0.25 * inputs.take(first)[0] + 0.75 * inputs.take(second)[0]

    teacher = taught_by(WHITE_IS_ONE)
    assert teacher.renormalized is not None
    shown = teacher.renormalized(mixed(task.train))
    torch.testing.assert_close(shown, mixed(there), rtol=1e-6, atol=1e-6)
    with torch.no_grad():
        wanted = TrainableNetwork(digits_graph(seed=5)).eval()(mixed(there))
    torch.testing.assert_close(teacher(mixed(task.train), False), wanted, rtol=1e-4, atol=1e-4)
    three = Inputs(Split.of("x", torch.zeros(1, 3, 2, 2, dtype=torch.uint8), torch.zeros(1)), (0.5,) * 3, (0.2,) * 3)
    other = Renormalization.of(three, Normalization(mean=(0.0, 0.1, 0.2), std=(1.0, 2.0, 4.0)), torch.device("cpu"))
    images = torch.randn(4, 3, 8, 8).contiguous(memory_format=torch.channels_last)
    assert other(images).is_contiguous(memory_format=torch.channels_last)
    assert float(other(torch.ones(1, 3, 2, 2))[0, 2, 0, 0]) == pytest.approx((0.2 * 1 + 0.5 - 0.2) / 4)


def test_without_a_normalization_of_its_own_or_with_the_same_a_teacher_is_shown_the_same_images() -> None:
    train = digits_task().train
    images = train.take(torch.arange(64))[0]
    plain = taught_by(None)
    same = taught_by(Normalization(mean=train.mean, std=train.std))
    assert plain.renormalized is same.renormalized is None
    assert torch.equal(plain(images, False), same(images, False))


def test_a_teacher_s_normalization_has_a_number_for_each_channel() -> None:
    with pytest.raises(SettingsError, match=r"distillation.normalize: 3 means and 3 deviations, .* have 1 channels"):
        taught_by(Normalization(mean=(0.5,) * 3, std=(0.25,) * 3))


def test_what_learns_is_computed_in_half_precision_and_its_loss_is_not() -> None:
    seen: list[torch.dtype] = []

    class Watched(TrainableNetwork):
        def forward(self, images: Tensor) -> Tensor:
            logits = super().forward(images)
            seen.append(logits.dtype)
            return logits

    network = Watched(digits_graph()).train()
    images, labels = digits_task().train.take(torch.arange(64))
    loss = Loss(network, half=True, teacher=None)(images, torch.nn.functional.one_hot(labels, 10).float())
    assert (seen, loss.dtype) == ([torch.bfloat16], torch.float32)


@pytest.mark.parametrize(
    ("precision", "device", "bits", "half"),
    [
        ("auto", "cuda", None, True),
        ("auto", "cuda:1", None, True),
        ("auto", "cpu", None, False),
        ("auto", "cuda", Quantization(12, 32), False),
        ("auto", "cuda", Quantization(32, 12), False),
        ("float32", "cuda", None, False),
        ("bfloat16", "cpu", None, True),
    ],
)
def test_by_itself_only_a_network_on_no_grid_learns_in_half_precision_and_only_on_cuda(
    precision: str, device: str, bits: Quantization | None, half: bool
) -> None:
    graph = plain_batch_norms(digits_graph())
    if bits is not None:
        train = digits_task().train
        graph = quantize_activations(quantize_weights(graph, bits), bits, lambda g, seen: calibrate(g, seen, train))
    assert in_half(SHORT.model_copy(update={"precision": precision}), graph, torch.device(device)) is half
