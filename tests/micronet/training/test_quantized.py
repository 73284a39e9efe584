"""Quantization-aware training: gradients by hand, and weights that never leave their grids."""

from dataclasses import replace

import pytest
import torch

from micronet.graph.grid import Grid, fixed_point, on_grid
from micronet.graph.interpret import interpret
from micronet.training.fit import fit
from micronet.training.quantized import OnGrid, quantized_network
from micronet.transformation.plain_batch_norms import plain_batch_norms
from micronet.transformation.quantization import Quantization
from micronet.transformation.quantize import quantize_weights
from tests.micronet.training.lessons import DIGITS, SHORT, digits_graph, digits_task


def test_straight_through_by_hand() -> None:
    """Three bits, steps of 0.5: -2 to 1.5. 1.7 rounds to 1.5, an end; 1.8 to 2, beyond it, and so do -2.3 and 9."""
    weight = torch.tensor([0.3, 1.7, 1.8, -2.2, -2.3, 9.0, 0.0], requires_grad=True)
    seen = OnGrid(fixed_point(3, (1,)))(weight)
    assert seen.tolist() == [0.5, 1.5, 1.5, -2.0, -2.0, 1.5, 0.0]
    (seen * torch.arange(1.0, 8)).sum().backward()  # type: ignore[no-untyped-call]
    assert weight.grad is not None
    assert weight.grad.tolist() == [1, 2, 0, 4, 0, 0, 7]


def test_each_filter_has_its_own_ends() -> None:
    """Two bits: -2, -1, 0, 1 steps of 1 and of 1/4."""
    weight = torch.tensor([[1.4, 1.6], [0.3, 0.5]], requires_grad=True)
    seen = OnGrid(fixed_point(2, (0, 2), axis=0))(weight)
    assert seen.tolist() == [[1, 1], [0.25, 0.25]]
    seen.sum().backward()  # type: ignore[no-untyped-call]
    assert weight.grad is not None
    assert weight.grad.tolist() == [[1, 0], [1, 0]]


@pytest.mark.parametrize("bits", range(2, 17))
def test_values_are_those_of_the_grid_and_gradients_those_of_torch(bits: int) -> None:
    grid = fixed_point(bits, (bits - 2,))
    values = torch.randn(1000, generator=torch.Generator().manual_seed(bits))
    ours, theirs = (values.clone().requires_grad_() for _ in range(2))
    seen = OnGrid(grid)(ours)
    assert torch.equal(seen, on_grid(values, grid))
    fake = torch.fake_quantize_per_tensor_affine(theirs, grid.steps[0], 0, grid.low, grid.high)
    assert torch.equal(seen, fake)
    for one in (seen, fake):
        one.square().sum().backward()  # type: ignore[no-untyped-call]
    assert ours.grad is not None
    assert theirs.grad is not None
    assert torch.equal(ours.grad, theirs.grad)
    assert 0 < int((ours.grad == 0).sum()) < 1000


def test_zero_points_move_values_and_ends() -> None:
    weight = torch.tensor([-1.5, -1.8, 2.0, 2.3], requires_grad=True)
    seen = OnGrid(Grid(3, 0, 7, (0.5,), (3,)))(weight)
    assert seen.tolist() == [-1.5, -1.5, 2.0, 2.0]
    seen.sum().backward()  # type: ignore[no-untyped-call]
    assert weight.grad is not None
    assert weight.grad.tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize("per_filter", [False, True])
def test_it_starts_as_the_rounded_graph_and_stays_on_its_grids(per_filter: bool) -> None:
    graph = plain_batch_norms(digits_graph())
    rounded = quantize_weights(graph, Quantization(5, 32, "mse", per_filter))
    network = quantized_network(rounded, graph.weights)
    first = network.graph()
    assert all(torch.equal(weight, rounded.weights[name]) for name, weight in first.weights.items())
    images = torch.randn(5, *DIGITS.input_shape)
    with torch.no_grad():
        assert torch.equal(network.eval()(images), interpret(rounded, images))
    trained, report = fit(network, SHORT.model_copy(update={"ema": 0.9, "learning_rate": 0.05}), digits_task())
    assert trained.formats == rounded.formats
    moved = 0
    for name, grid in trained.formats.items():
        assert torch.equal(on_grid(trained.weights[name], grid), trained.weights[name])
        moved += int((trained.weights[name] != rounded.weights[name]).sum())
    assert moved > 100
    assert digits_task().holdout_accuracy(trained) == report.after


def test_zeros_stay_zero() -> None:
    graph = plain_batch_norms(digits_graph())
    kernel = graph.weights["conv2.weight"]
    zeros = torch.rand(kernel.shape, generator=torch.Generator().manual_seed(0)) < 0.5
    graph = replace(graph, weights={**graph.weights, "conv2.weight": kernel.masked_fill(zeros, 0.0)})
    rounded = quantize_weights(graph, Quantization(8, 32, "max"))
    trained, _ = fit(quantized_network(rounded, graph.weights), SHORT, digits_task())
    assert not bool(trained.weights["conv2.weight"][zeros].any())
    free, _ = fit(quantized_network(rounded, graph.weights, hold_zeros=False), SHORT, digits_task())
    assert bool(free.weights["conv2.weight"][zeros].any())
