"""What becomes of a module's tensors, whatever their type, and whether they are registered or not."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import micronet
from micronet.errors import UnsupportedTensor
from micronet.graph.interpret import interpret
from tests.micronet.jobs.asking import numbers
from tests.micronet.test_library import network


class Projected(nn.Module):
    """A linear layer behind a product with 64 x 64 numbers that nobody trained: an attribute, or a buffer."""

    def __init__(self, registered: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        table = torch.randn(64, 64)
        if registered:
            self.register_buffer("table", table)
        else:
            self.table = table
        self.last = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.last(x.flatten(1) @ self.table)
        return answer


@pytest.mark.parametrize("registered", [False, True])
def test_numbers_that_nobody_trained_are_stored_all_the_same(registered: bool, tmp_path: Path) -> None:
    module, path = Projected(registered), tmp_path / "network.onnx"
    assert micronet.count(module, track="digits", bits=None).storage.parameters == 64 * 64 + 64 * 10 + 10
    micronet.write(micronet.capture(module, (1, 8, 8)), path)
    assert numbers(micronet.count(path, track="digits")) == numbers(micronet.count(module, track="digits"))


class Beside(nn.Module):
    """A linear layer behind what `made`, of as many images as there are, does to them."""

    def __init__(self, made: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.made, self.last = made, nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.last(self.made(x).flatten(1))
        return answer


@pytest.mark.parametrize(
    "made",
    [
        lambda x: torch.maximum(x, torch.full((8, 8), 0.5)),
        lambda x: torch.cat([x, torch.ones(x.shape[0], 1, 8, 8)], 1)[:, :1],
    ],
)
def test_one_number_made_in_the_forward_costs_no_storage(made: Callable[[Tensor], Tensor]) -> None:
    result = micronet.score(Beside(made), track="digits", bits=None)
    assert result.storage.parameters == 64 * 10 + 10


@pytest.mark.parametrize(
    "other", [lambda net: net.double(), torch.compile, lambda net: net.to(memory_format=torch.channels_last)]
)
def test_weights_are_those_a_file_would_have(other: Callable[[nn.Module], nn.Module]) -> None:
    same = micronet.score(other(network()), track="digits", bits=None)
    assert same.score == micronet.score(network(), track="digits", bits=None).score


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_a_network_of_another_precision_is_one_of_float32(kind: torch.dtype, tmp_path: Path) -> None:
    class Cast(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = nn.Linear(64, 10).to(kind)

        def forward(self, x: Tensor) -> Tensor:
            half = torch.full((64,), 0.5, dtype=kind)
            answer: Tensor = self.last(x.flatten(1).to(kind) + half).to(torch.float32, copy=True)
            return answer

    module = Cast()
    graph = micronet.capture(module, (1, 8, 8))
    assert [node.layer for node in graph.nodes] == ["", "", "", "last"]  # flatten, full, add; no conversions
    images = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(interpret(graph, images), module(images), rtol=0.05, atol=0.05)
    micronet.write(graph, tmp_path / "network.onnx")
    assert numbers(micronet.score(module, track="digits")) == numbers(
        micronet.score(tmp_path / "network.onnx", track="digits")
    )


def test_autocast_and_conversions_that_do_nothing_leave_no_trace(tmp_path: Path) -> None:
    class Autocast(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = nn.Linear(64, 10)

        def forward(self, x: Tensor) -> Tensor:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                answer: Tensor = self.last(x.to(torch.float32).flatten(1)).float()
            return answer

    graph = micronet.capture(Autocast(), (1, 8, 8))
    assert [node.layer for node in graph.nodes] == ["", "last"]
    assert set(graph.weights) == {"last.weight", "last.bias"}
    micronet.write(graph, tmp_path / "network.onnx")


@pytest.mark.parametrize("kind", [torch.bool, torch.uint8, torch.int64])
def test_integers_and_truth_values_that_images_meet_are_weights_of_float32(kind: torch.dtype, tmp_path: Path) -> None:
    mask = (torch.rand(8, 8, generator=torch.Generator().manual_seed(0)) > 0.5).to(kind)
    module, path = Beside(lambda x: x * mask + mask.float()), tmp_path / "network.onnx"
    graph, images = micronet.capture(module, (1, 8, 8)), torch.randn(4, 1, 8, 8)
    torch.testing.assert_close(interpret(graph, images), module(images))
    micronet.write(graph, path)
    assert numbers(micronet.count(path, track="digits")) == numbers(micronet.count(module, track="digits"))


def test_complex_numbers_are_refused() -> None:
    phase = nn.Parameter(torch.randn(64, dtype=torch.complex64))
    module = Beside(lambda x: (x.flatten(1) * phase).abs())
    module.register_parameter("phase", phase)
    with pytest.raises(UnsupportedTensor, match=r"phase holds complex numbers: store their real"):
        micronet.count(module, track="digits")
    with pytest.raises(UnsupportedTensor, match=r"to makes complex numbers"):
        micronet.count(Beside(lambda x: x.to(torch.complex64).abs()), track="digits")
