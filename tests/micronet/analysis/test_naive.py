"""The counter against networks computed number by number."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from torch import nn

from micronet.analysis.counts import count
from micronet.graph.capture import capture
from tests.micronet.analysis import naive_counter
from tests.micronet.analysis.graphs import parameters_of, totals, weigh
from tests.micronet.analysis.networks import Shape, networks

FREEBIE = 16


def check(network: nn.Module, shape: Shape) -> None:
    image = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values, tally = naive_counter.run(network, image)
    with torch.no_grad():
        right = network(image[None])[0].flatten().tolist()
    assert values == pytest.approx(right, abs=1e-3, rel=1e-3)
    counts = count(capture(network, shape))
    assert totals(counts) == (tally.multiplications, tally.additions)
    tensors = list(naive_counter.stored(network))
    nonzero = sum(value != 0 for tensor in tensors for value in tensor)
    assert parameters_of(counts) == (sum(map(len, tensors)), nonzero)
    for encoding in ("cheapest", "masked"):
        bits = naive_counter.storage_bits(network, FREEBIE, encoding == "cheapest")
        assert weigh(counts, "challenge", encoding) == (
            tally.multiplications * FREEBIE + tally.additions * 32,
            bits,
        )


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(networks())
def test_counts_are_those_of_numbers_that_count(case: tuple[nn.Module, Shape]) -> None:
    check(*case)


def test_numbers_that_count_see_what_is_done() -> None:
    """By hand: two weights, one of them zero, and a bias: 1 product, 1 addition; ReLU: 1."""
    linear = nn.Linear(2, 1)
    linear.weight.data = torch.tensor([[0.0, 3.0]])
    linear.bias.data = torch.tensor([-1.0])
    linear.requires_grad_(False)
    values, tally = naive_counter.run(nn.Sequential(nn.Flatten(), linear, nn.ReLU()), torch.tensor([[[5.0, 2.0]]]))
    assert values == [5.0]
    assert (tally.multiplications, tally.additions) == (2, 1)


def test_a_filter_of_zeros_costs_nothing_and_its_bias_is_its_only_term() -> None:
    network = nn.Sequential(nn.Conv2d(2, 2, 3), nn.Flatten())
    network[0].weight.data[0] = 0
    check(network.requires_grad_(False), (2, 4, 4))
    # the other filter: 2*3*3 products at 2x2 positions, as many additions with the bias
    assert totals(capture(network, (2, 4, 4))) == (18 * 4, 18 * 4)
