"""The precision that losses are computed in; test_network.py has their values by hand."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from micronet.contract import Distillation
from micronet.evaluation.calibration import calibrate
from micronet.training.fit import in_half
from micronet.training.loss import Loss, Teacher
from micronet.training.network import TrainableNetwork
from micronet.transformation.quantize import Quantization, plain_batch_norms, quantize_activations, quantize_weights
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
