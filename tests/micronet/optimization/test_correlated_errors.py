"""How much farther errors of weights move the logits than independent ones: where that can be said by hand."""

import pytest
import torch
from torch import nn

from micronet.graph.capture import capture
from micronet.optimization.correlated_errors import BITS, ErrorRatios, Perturbations, perturbations
from micronet.optimization.moments import moments
from micronet.optimization.network_parts import network_parts
from micronet.optimization.sensitivity import moves, sensitivities
from micronet.optimization.zeros import supports
from tests.micronet import networks
from tests.micronet.optimization.making import outputs_of


def test_where_all_positions_are_alike_errors_add_up() -> None:
    """36 positions of which the mean is taken: independent errors add up to 36 of one's squares, alike ones to 36^2."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Conv2d(4, 6, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5))
    of = network_parts(capture(module.eval().requires_grad_(False), networks.IMAGE))
    images = networks.images(200)[:, :, :1, :1].expand(-1, -1, 6, 6).contiguous()
    name, _ = of.layers
    layer, sensitivity = of.layers[name], sensitivities(of, images, 0)
    seen = moments(layer, images, outputs_of(layer, images))
    tried = perturbations(layer, seen, supports(layer.rows.double(), seen, sensitivity[name]), sensitivity[name])
    assert len(tried.changes) == 6 + len(BITS)
    found = tried.ratios(moves(of, images, {name: tried.changes}, 0)[name])
    assert found.removed == pytest.approx(36, rel=0.35)  # what filters do together is no sum of what each does
    assert found.fitted == pytest.approx(36, rel=0.35)


def test_ratios_of_what_changes_do_to_what_is_foreseen() -> None:
    change = torch.zeros(1, 1)
    tried = Perturbations(
        removed=[(change, 2.0), (change, 0.0)], fitted=[(change, 1.0), (change, 2.0)], nearest=[4.0, 8.0]
    )
    assert tried.ratios([6.0, 0.0, 2.0, 8.0]) == ErrorRatios(removed=3.0, nearest=0.75, fitted=3.0)
    assert Perturbations([], [(change, 0.0)], [0.0]).ratios([0.0]) == ErrorRatios(1.0, 1.0, 1.0)
