"""Where grids lie: by errors of values, or by what these do to the answers."""

import json

import torch
from torch import nn

from micronet.graph.capture import capture
from micronet.graph.grid import fixed_point
from micronet.optimization.grids import around, place_grid
from micronet.optimization.layerwise import carry_out
from micronet.optimization.network_parts import network_parts
from micronet.optimization.placement import PlacedGrid, placed_grids
from micronet.optimization.plan import LayerChoice, NetworkPlan
from micronet.optimization.sensitivity import noises
from tests.micronet import networks


def test_large_values_that_nobody_reads_are_clipped() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Conv2d(4, 6, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5))
        module[0].weight.data[:, 0] = 0
    of, images = network_parts(capture(module.eval().requires_grad_(False), networks.IMAGE)), networks.images(64)
    images[:, 0] *= 20
    key = ("input", next(iter(of.layers)))
    grids = [one for bits in (4, 5) for one in around(place_grid(images, bits))]
    by_error, by_answers, *more = placed_grids(grids, noises(of, images, {key: grids}, 0)[key])
    assert len(more) == 2
    assert (by_error.rule, by_answers.rule) == ("error", "answers")
    assert by_error.grid == place_grid(images, 4)
    assert by_answers.grid.bits == by_error.grid.bits == 4
    assert by_answers.grid.steps < by_error.grid.steps
    assert by_answers.noise < by_error.noise / 2


def test_grids_around_one_are_as_wide() -> None:
    grid = place_grid(torch.linspace(-3, 3, 100), 6)
    assert around(grid)[0] == grid
    assert {(one.bits, one.low, one.high) for one in around(grid)} == {(6, -32, 31)}
    assert sorted(one.steps[0] / grid.steps[0] for one in around(grid)) == [0.25, 0.5, 1, 2]


def test_ranges_are_read_as_they_were_written() -> None:
    for grid in (fixed_point(6, (3,)), place_grid(torch.rand(50), 4)):
        one = PlacedGrid(grid, "answers", 0.1)
        assert PlacedGrid.of(json.loads(json.dumps(one.facts()))) == one


def test_what_a_layer_reads_lies_on_the_grid_that_was_chosen() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Conv2d(4, 6, 1), nn.Flatten(), nn.Linear(6 * 36, 5))
    of, grid = network_parts(capture(module.eval().requires_grad_(False), networks.IMAGE)), fixed_point(5, (6,))
    layers = {name: LayerChoice(6, grid, layer.rows != 0) for name, layer in of.layers.items()}
    graph = carry_out(of, NetworkPlan(layers, dict.fromkeys(of.values, 8), 8), networks.images(16))
    quantizers = [node for node in graph.nodes if node.layer.endswith(".input.quantizer")]
    assert [node.args[1:] for node in quantizers] == [(2.0**-6, 0, -16, 15)] * len(of.layers)
