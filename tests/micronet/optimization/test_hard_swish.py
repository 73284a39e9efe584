"""Hard swish in steps: the same function, exact on its grids, and cheaper."""

import pytest
import torch
from torch import nn

from micronet.graph.capture import capture
from micronet.graph.grid import Grid, fixed_point, on_grid
from micronet.graph.interpret import interpret
from micronet.optimization.hard_swish import grid_of_clip, grid_of_sum, split_hard_swish
from micronet.transformation.prepare import prepare
from tests.micronet import networks


def chain(*last: nn.Module) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(4, 6, 3), nn.Hardswish(), *last).eval().requires_grad_(False)


def test_it_is_the_same_function_and_the_sixth_is_in_the_weights() -> None:
    graph = capture(chain(nn.Conv2d(6, 5, 1), nn.Hardswish(), nn.Conv2d(5, 3, 1)), networks.IMAGE)
    split, gates = split_hard_swish(graph)
    assert [str(node.target) for node in split.nodes if "mul" in str(node.target) or "swish" in str(node.target)] == [
        "aten.mul.Tensor"
    ] * 2
    assert len(gates) == 2
    x = 5 * networks.images(20)
    torch.testing.assert_close(interpret(split, x), interpret(graph, x), rtol=1e-5, atol=1e-5)
    assert {name for gate in gates for name in (gate.x, gate.sum, gate.clip)} <= {node.name for node in split.nodes}


@pytest.mark.parametrize("last", [nn.ReLU(), nn.AvgPool2d(2), nn.Identity()])
def test_one_that_is_read_by_anything_but_layers_stays_whole(last: nn.Module) -> None:
    graph = prepare(capture(chain(last), networks.IMAGE), fuse=True)
    split, gates = split_hard_swish(graph)
    assert (split, gates) == (graph, ())


@pytest.mark.parametrize("point", range(-3, 9))
def test_on_their_grids_the_steps_are_exact(point: int) -> None:
    """Every x of 8 bits: clip(q(x + 3)) is what clip(x + 3) is, where steps are no coarser than the 3."""
    grid = fixed_point(8, (point,))
    x = torch.arange(grid.low, grid.high + 1) * grid.steps[0]
    clipped = on_grid(on_grid(x + 3, grid_of_sum(grid)).clamp(0, 6), grid_of_clip(grid))
    torch.testing.assert_close(clipped, (x + 3).clamp(0, 6), rtol=0, atol=0)


def test_widths_by_hand() -> None:
    """Steps of 1/16 from -8 to 8 are 8 bits; from 0 to 8, 7 bits. A step of 4 does not hold the 3: 1 is taken."""
    grid = fixed_point(8, (4,))
    assert grid_of_sum(grid) == Grid(8, -128, 127, (1 / 16,), (0,))
    assert grid_of_clip(grid) == Grid(7, 0, 127, (1 / 16,), (0,))
    assert grid_of_clip(fixed_point(8, (-2,))) == Grid(3, 0, 7, (1.0,), (0,))
