"""Magnitude pruning: exact counts, the same zeros again, and nothing touched that should not be."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from micronet.architectures.load import create_network
from micronet.errors import SettingsError
from micronet.graph.capture import capture
from micronet.graph.ir import Graph
from micronet.sparsity.magnitude import (
    Scope,
    kept_weights,
    set_smallest_to_zero,
    share_of_zeros,
    sparse_weights,
)
from tests.micronet.networks import IMAGE, networks
from tests.micronet.training.lessons import digits_graph, same

SCOPES: list[Scope] = ["global", "layer", "normalized"]


def zeros(graph: Graph) -> dict[str, int]:
    return {name: int((graph.weights[name] == 0).sum()) for name in sparse_weights(graph)}


def test_by_hand() -> None:
    """Magnitudes 1..6 in two layers; a third of them, 2, go; then half, 3; of equal ones the first go."""
    graph = capture(nn.Sequential(nn.Linear(3, 1), nn.Linear(1, 3)), (3,))
    first, second = sparse_weights(graph)
    values = {first: torch.tensor([[6.0, -1.0, 3.0]]), second: torch.tensor([[-2.0], [5.0], [4.0]])}
    graph = replace(graph, weights={**graph.weights, **values})
    third = set_smallest_to_zero(graph, 1 / 3)
    assert third.weights[first].tolist() == [[6, 0, 3]]
    assert third.weights[second].tolist() == [[0], [5], [4]]
    half = set_smallest_to_zero(graph, 1 / 3, "layer")
    assert half.weights[first].tolist() == [[6, 0, 3]]
    assert half.weights[second].tolist() == [[0], [5], [4]]
    level = replace(graph, weights={**graph.weights, first: torch.ones(1, 3), second: -torch.ones(3, 1)})
    assert set_smallest_to_zero(level, 2 / 3).weights[first].tolist() == [[0, 0, 0]]
    assert set_smallest_to_zero(level, 2 / 3).weights[second].tolist() == [[0], [-1], [-1]]


def test_a_bias_is_left_alone_wherever_it_stands() -> None:
    """Smaller than every weight it would go first; addmm takes it before the matrices, the others after them."""

    class Products(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.matrix = nn.Linear(6, 5), nn.Parameter(torch.rand(5, 10) + 1)
            self.layer.bias.data.fill_(1e-3)
            self.shift = nn.Parameter(torch.full((10,), 1e-3))

        def forward(self, x: Tensor) -> Tensor:
            return torch.addmm(self.shift, self.layer(x), self.matrix)

    graph = capture(Products(), (6,))
    assert sorted(graph.weights[name].dim() for name in sparse_weights(graph)) == [2, 2]
    sparse = set_smallest_to_zero(graph, 0.1)
    assert {w.count_nonzero().item() for w in sparse.weights.values() if w.dim() == 1} == {5, 10}
    assert sum(zeros(sparse).values()) == round(0.1 * (30 + 50))


def test_a_layer_of_small_weights_is_spared_by_normalizing() -> None:
    graph = digits_graph()
    small = replace(graph, weights={**graph.weights, "conv1.weight": graph.weights["conv1.weight"] * 1e-3})
    everywhere = zeros(set_smallest_to_zero(small, 0.5))["conv1.weight"]
    assert everywhere == graph.weights["conv1.weight"].numel()
    assert zeros(set_smallest_to_zero(small, 0.5, "normalized")) == zeros(
        set_smallest_to_zero(graph, 0.5, "normalized")
    )


@settings(max_examples=25)
@given(networks(4), st.floats(0.01, 0.99), st.sampled_from(SCOPES))
def test_counts_are_exact_and_zeros_stay(module: nn.Module, sparsity: float, scope: Scope) -> None:
    graph = capture(module, IMAGE)
    sparse = set_smallest_to_zero(graph, sparsity, scope)
    sizes = {name: graph.weights[name].numel() for name in sparse_weights(graph)}
    if scope == "layer":
        assert zeros(sparse) == {name: round(sparsity * size) for name, size in sizes.items()}
    assert scope == "layer" or sum(zeros(sparse).values()) == round(sparsity * sum(sizes.values()))
    assert same(set_smallest_to_zero(graph, sparsity, scope), sparse)
    more = set_smallest_to_zero(sparse, (1 + sparsity) / 2, scope)
    for name in graph.weights:
        if name not in sizes:
            assert torch.equal(sparse.weights[name], graph.weights[name])
        else:
            assert bool((more.weights[name][sparse.weights[name] == 0] == 0).all())
            left = sparse.weights[name] != 0
            assert torch.equal(sparse.weights[name][left], graph.weights[name][left])


@pytest.mark.parametrize("scope", SCOPES)
def test_a_network_that_is_sparse_enough_stays_as_it_is(scope: Scope) -> None:
    sparse = set_smallest_to_zero(digits_graph(), 0.6, scope)
    assert same(set_smallest_to_zero(sparse, 0.6, scope), sparse)
    assert same(set_smallest_to_zero(sparse, 0.3, scope), sparse)


def test_kept_layers_stay_and_are_not_counted() -> None:
    graph = digits_graph()
    kept = kept_weights(graph, ["fc", "conv1.weight"])
    assert kept == {"fc.weight", "conv1.weight"}
    sparse = set_smallest_to_zero(graph, 0.5, kept=kept)
    assert zeros(sparse) == {"conv1.weight": 0, "fc.weight": 0, "conv2.weight": 16 * 32 * 9 // 2}
    assert share_of_zeros(sparse, kept) == 0.5
    assert same(set_smallest_to_zero(graph, 0.5, kept=sparse_weights(graph)), graph)


@pytest.mark.parametrize(("name", "nearest"), [("conv3", "conv"), ("fc.wieght", "fc.weight")])
def test_an_unknown_layer_is_named_with_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(SettingsError, match=f"{name}.*{nearest}"):
        kept_weights(digits_graph(), [name])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("pyramidnet", {"depth": 20, "alpha": 24}),
        ("mobilenetv2", {"num_classes": 10, "image_size": 32, "width_multiplier": 0.25}),
    ],
)
def test_networks_of_the_catalogue(name: str, options: dict[str, object]) -> None:
    with torch.no_grad():
        graph = capture(create_network(name, options), (3, 32, 32))
    elements = sum(graph.weights[weight].numel() for weight in sparse_weights(graph))
    for scope in SCOPES:
        sparse = set_smallest_to_zero(graph, 0.7, scope)
        assert abs(share_of_zeros(sparse) - 0.7) < (1 / elements if scope != "layer" else 0.01)
