"""Which weights go, and that the others make up for them."""

from itertools import pairwise

import pytest
import torch

from micronet.optimization.moments import moments
from micronet.optimization.zeros import SHARES, solved, supports
from tests.micronet.optimization.making import LAYERS, one_layer, outputs_of


@pytest.mark.parametrize("kind", LAYERS)
def test_supports_are_nested_of_the_size_asked_for_and_weights_lie_on_them(kind: str) -> None:
    _, layer, values = one_layer(kind)
    seen = moments(layer, values, outputs_of(layer, values))
    found = supports(layer.rows.double(), seen, torch.ones(len(layer.rows)))
    assert [int(one.there.sum()) for one in found] == [round(share * layer.rows.numel()) for share in SHARES]
    for wide, narrow in pairwise(found):
        assert bool((wide.there | ~narrow.there).all())
    for one in found:
        assert not one.rows[~one.there].any()


@pytest.mark.parametrize("kind", LAYERS)
def test_all_weights_for_the_layers_own_outputs_are_the_weights_it_has(kind: str) -> None:
    _, layer, values = one_layer(kind)
    rows = layer.rows.double()
    found, _ = solved(rows, rows != 0, moments(layer, values, outputs_of(layer, values)))
    torch.testing.assert_close(found, rows, rtol=0, atol=1e-4)


def test_what_is_left_makes_up_for_what_went() -> None:
    _, layer, values = one_layer("pointwise")
    seen = moments(layer, values, outputs_of(layer, values))
    rows = layer.rows.double()
    support = supports(rows, seen, torch.ones(len(rows)), (1.0, 0.6))[-1]
    left_alone = torch.where(support.there, rows, 0.0)
    smallest = rows.abs().flatten().sort().values[round(0.4 * rows.numel())]
    magnitude = torch.where(rows.abs() >= smallest, rows, 0.0)
    error = float(seen.error(support.rows - rows).sum())
    assert error < 0.9 * float(seen.error(left_alone - rows).sum())
    assert error < 0.9 * float(seen.error(magnitude - rows).sum())


def test_outputs_that_errors_before_the_layer_moved_are_brought_back() -> None:
    """Asymmetric: inputs are off by a factor that differs from channel to channel, and the weights take it out."""
    _, layer, values = one_layer("pointwise")
    off = values * torch.linspace(0.7, 1.2, 12).view(1, -1, 1, 1)
    seen = moments(layer, off, outputs_of(layer, values))
    rows = layer.rows.double()
    found, _ = solved(rows, rows != 0, seen)
    x, y = layer.columns(off)[0].double(), layer.outputs(outputs_of(layer, values))[0].double()

    def error(weights: torch.Tensor) -> float:
        return float((weights @ x + seen.bias(weights).unsqueeze(1) - y).square().mean())

    assert error(found) < 0.3 * error(rows)
    torch.testing.assert_close((found @ x + seen.bias(found).unsqueeze(1)).mean(1), y.mean(1), rtol=0, atol=1e-5)


def test_filters_whose_errors_matter_keep_their_weights() -> None:
    _, layer, values = one_layer("linear")
    seen = moments(layer, values, outputs_of(layer, values))
    sensitivity = torch.ones(7)
    sensitivity[2] = 1e6
    there = supports(layer.rows.double(), seen, sensitivity, (1.0, 0.5))[-1].there
    assert bool(there[2].all())
