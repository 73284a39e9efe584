"""How much farther errors of weights move the logits than independent ones: where that can be said by hand."""

import pytest
import torch
from torch import nn

from micronet.graph.capture import capture
from micronet.optimization.alike import BITS, Alike, Trials, trials
from micronet.optimization.moments import moments
from micronet.optimization.plan import subject
from micronet.optimization.sensitivity import moves, sensitivities
from micronet.optimization.zeros import supports
from tests.micronet import networks
from tests.micronet.optimization.making import outputs_of


def test_where_all_positions_are_alike_errors_add_up() -> None:
    """36 positions of which the mean is taken: independent errors add up to 36 of one's squares, alike ones to 36^2."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Conv2d(4, 6, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5))
    of = subject(capture(module.eval().requires_grad_(False), networks.IMAGE))
    images = networks.images(200)[:, :, :1, :1].expand(-1, -1, 6, 6).contiguous()
    name, _ = of.sites
    site, sensitivity = of.sites[name], sensitivities(of, images, 0)
    seen = moments(site, images, outputs_of(site, images))
    tried = trials(site, seen, supports(site.rows.double(), seen, sensitivity[name]), sensitivity[name])
    assert len(tried.changes) == 6 + len(BITS)
    found = tried.alike(moves(of, images, {name: tried.changes}, 0)[name])
    assert found.removed == pytest.approx(36, rel=0.35)  # what filters do together is no sum of what each does
    assert found.fitted == pytest.approx(36, rel=0.35)


def test_ratios_of_what_changes_do_to_what_is_foreseen() -> None:
    change = torch.zeros(1, 1)
    tried = Trials(removed=[(change, 2.0), (change, 0.0)], fitted=[(change, 1.0), (change, 2.0)], nearest=[4.0, 8.0])
    assert tried.alike([6.0, 0.0, 2.0, 8.0]) == Alike(removed=3.0, nearest=0.75, fitted=3.0)
    assert Trials([], [(change, 0.0)], [0.0]).alike([0.0]) == Alike(1.0, 1.0, 1.0)
