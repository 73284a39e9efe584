"""What is foreseen of errors, against what they do; and what is foreseen of costs, against what is counted."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from micronet.analysis.counts import Counts, count
from micronet.analysis.widths import activation_grid
from micronet.contract import OptimizeSettings
from micronet.errors import SettingsError
from micronet.graph.capture import capture
from micronet.graph.grid import fixed_point
from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph, Ref
from micronet.optimization.accumulator_widths import OperandRange
from micronet.optimization.fitted_rounding import Rounding
from micronet.optimization.layer_options import OperandBits, layer_counts
from micronet.optimization.layerwise import carry_out
from micronet.optimization.network_parts import NetworkParts, network_parts
from micronet.optimization.sensitivity import BATCH, PROJECTIONS, moves, noises, sensitivities
from micronet.optimization.survey import survey
from micronet.progress import unheard
from micronet.scoring.policies import POLICIES, UNQUANTIZED, Terms
from micronet.transformation.quantize import insert_quantizers
from tests.micronet import networks
from tests.micronet.optimization.making import LAYERS, one_layer, outputs_of, uniform_plan


def linear_network() -> NetworkParts:
    """Pointwise, mean over 36 positions, linear: everything that happens to values is linear."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Conv2d(4, 6, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5))
    return network_parts(capture(module.eval().requires_grad_(False), networks.IMAGE))


def centred(logits: torch.Tensor) -> torch.Tensor:
    return logits - logits.mean(1, keepdim=True)


@pytest.mark.parametrize("point", [1, 3])
def test_noise_of_a_value_is_the_squared_change_of_the_logits(point: int) -> None:
    of, x, grid = linear_network(), networks.images(600), fixed_point(6, (point,))
    name = next(iter(of.layers))
    found = noises(of, x, {("input", name): [grid]}, 0)["input", name][0]
    plain, narrow = (
        centred(interpret(graph, x)) for graph in (of.graph, insert_quantizers(of.graph, {of.graph.input: grid}))
    )
    change = narrow - plain
    change = change - change.mean(0)  # a bias takes it out
    assert found == pytest.approx(float(change.square().sum() / plain.square().sum()), rel=0.15)


def test_answers_that_are_all_the_same_are_refused() -> None:
    """Nothing can be measured against their size, which is 0: a classifier of zeros, as one that was never trained."""
    of = linear_network()
    last = list(of.layers)[-1]
    zeros = {ref.name: torch.zeros_like(of.graph.weights[ref.name]) for ref in of.graph.by_name()[last].refs()[1:]}
    still = network_parts(replace(of.graph, weights={**of.graph.weights, **zeros}))
    for images in (1, 2 * BATCH + 1):
        with pytest.raises(SettingsError, match=f"of {images} calibration images .* every class the same logit"):
            sensitivities(still, networks.images(images), 0)


def test_a_unit_error_of_one_element_moves_the_logits_as_far_as_foreseen() -> None:
    """Independent errors of the first layer's outputs, through the mean and the last layer, by hand."""
    of, x = linear_network(), networks.images(400)
    first, last = of.layers
    plain = centred(interpret(of.graph, x))
    weight = of.layers[last].linear.weight
    moved = (weight - weight.mean(0)).square().sum(0) / 36**2
    found = sensitivities(of, x, 0)[first]
    torch.testing.assert_close(found.float(), moved / plain.square().sum(1).mean(), rtol=0.25, atol=0)


@pytest.mark.parametrize("size", [0.01, 0.3])
def test_a_change_of_weights_moves_the_logits_as_far_as_foreseen(size: float) -> None:
    """Of any size, as everything is linear; the mean of each filter is taken out, as by its bias."""
    of, x = linear_network(), networks.images(600)
    name = next(iter(of.layers))
    layer = of.layers[name]
    changes = [size * torch.randn(layer.rows.shape, generator=torch.Generator().manual_seed(i)) for i in range(3)]
    found = moves(of, x, {name: changes}, 0)[name]
    plain = centred(interpret(of.graph, x))
    weight = of.graph.by_name()[name].args[1]
    assert isinstance(weight, Ref)
    for change, one in zip(changes, found, strict=True):
        changed = {**of.graph.weights, weight.name: layer.linear.weight + change.view_as(layer.linear.weight)}
        moved = centred(interpret(replace(of.graph, weights=changed), x)) - plain
        moved = moved - moved.mean(0)
        assert one == pytest.approx(float(moved.square().sum() / plain.square().sum()), rel=0.2)


@pytest.mark.parametrize("kind", LAYERS)
def test_gradients_by_weights_are_those_of_autograd(kind: str) -> None:
    """Of every kind of layer, image by image; with a bias, less what a change of the mean would do."""
    of, layer, values = one_layer(kind)
    name, linear = next(iter(of.layers)), layer.linear
    change = torch.randn(layer.rows.shape, generator=torch.Generator().manual_seed(0))
    found = moves(of, values, {name: [change]}, 3)[name][0]
    size, total, generator = 0.0, 0.0, torch.Generator().manual_seed(3)
    for some in torch.split(values, BATCH):
        logits = centred(outputs_of(layer, some))
        changed = replace(linear, weight=change.view_as(linear.weight), bias=None)
        moved = outputs_of(replace(layer, linear=changed), some)
        if linear.bias is not None:
            moved = moved - moved.transpose(0, 1).flatten(1).mean(1).view(-1, *[1] * (moved.dim() - 2))
        moved = centred(moved)
        size += PROJECTIONS * float(logits.double().square().sum())
        for _ in range(PROJECTIONS):
            projection = torch.randn(logits.shape, generator=generator)
            total += float((moved * projection).flatten(1).sum(1).double().square().sum())
    assert found == pytest.approx(total / size, rel=0.05)


class Tokens(nn.Module):
    """A fully connected layer at each of 4 tokens, over three axes or four, or the same as a pointwise convolution."""

    def __init__(self, filters: int, way: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear, self.way = nn.Linear(36, filters), way
        self.conv = nn.Conv2d(36, filters, 1)
        self.conv.weight, self.conv.bias = nn.Parameter(self.linear.weight[:, :, None, None]), self.linear.bias
        self.act, self.last = nn.Hardswish(), nn.Linear(4 * filters, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = x.flatten(2)  # (N, 4, 36)
        if self.way == "convolution":
            made = self.act(self.conv(tokens.transpose(1, 2).unsqueeze(3))).squeeze(3).transpose(1, 2)
        elif self.way == "three axes":
            made = self.act(self.linear(tokens))
        else:
            made = self.act(self.linear(tokens.reshape(-1, 2, 2, 36)))
        return self.last(made.flatten(1))


@pytest.mark.parametrize("filters", [5, 4])  # of which 4 are as many as there are tokens
@pytest.mark.parametrize("way", ["three axes", "four axes"])
def test_a_linear_layer_at_every_token_is_the_pointwise_convolution_it_is(filters: int, way: str) -> None:
    with torch.random.fork_rng(devices=[]):
        ours, theirs = (
            network_parts(capture(Tokens(filters, one).eval().requires_grad_(False), networks.IMAGE))
            for one in (way, "convolution")
        )
    x, settings = networks.images(64), OptimizeSettings(weight_bits=(4, 5), input_bits=(4, 5), gate_bits=(4, 5))
    found = [
        survey(of, x, settings, lambda layer: float(layer.operations.all_multiplications)) for of in (ours, theirs)
    ]
    felt = [sensitivities(of, x, 0) for of in (ours, theirs)]
    for one, other in zip(ours.layers, theirs.layers, strict=True):
        torch.testing.assert_close(felt[0][one], felt[1][other])
        torch.testing.assert_close(found[0].errors[one], found[1].errors[other], rtol=1e-3, atol=0)
        options = zip(found[0].layers[one], found[1].layers[other], strict=True)
        assert all(a.loss == pytest.approx(b.loss, rel=0.01) and a.cost == b.cost for a, b in options)
    gates = zip(found[0].gates.values(), found[1].gates.values(), strict=True)
    assert all(
        a.loss == pytest.approx(b.loss, rel=0.01) for one, other in gates for a, b in zip(one, other, strict=True)
    )
    graph = carry_out(ours, uniform_plan(ours, 6, 8), x, corrected=True, advance=unheard)
    answers = [centred(interpret(one, x)) for one in (graph, ours.graph)]
    assert float((answers[0] - answers[1]).square().sum() / answers[1].square().sum()) < 0.05


def placed(of: NetworkParts, graph: Graph) -> dict[str, tuple[float, float]]:
    """Bits of math and storage of each layer: foreseen, and counted."""
    made, nodes = count(graph), graph.by_name()
    counted = {layer.name: layer for layer in made.layers}
    terms, price = Terms(UNQUANTIZED, "cheapest", "proven"), POLICIES["challenge"]
    found = {}
    for name, layer in of.layers.items():
        weight, bias = (ref.name for ref in nodes[name].refs() if ref.name in graph.weights)
        steps = torch.tensor(graph.formats[weight].steps, dtype=torch.float64)
        rows = graph.weights[weight].double().flatten(1)
        none = torch.zeros(len(rows))
        rounded = Rounding(rows / steps.view(-1, 1), steps.log2().long(), none, none)
        source = nodes[name].args[0]
        assert isinstance(source, Ref)
        grid = activation_grid(nodes[source.name])
        assert grid is not None
        biased = replace(layer, linear=replace(layer.linear, bias=graph.weights[bias]))
        widths = OperandBits(graph.formats[weight].bits, grid.bits, graph.formats[bias].bits)
        ours = layer_counts(biased, rounded, widths, OperandRange.on(grid, of.least(layer.linear.source)))
        theirs = counted[layer.name]
        assert ours.accumulator_bits == theirs.accumulator_bits
        assert (ours.operations, ours.additions_by_filter) == (theirs.operations, theirs.additions_by_filter)
        weighed = [price(Counts((one,), True, 0), one, terms) for one in (ours, theirs)]
        found[layer.name] = (weighed[0].math_bits, weighed[1].math_bits)
    return found


def test_what_a_layer_would_count_as_is_what_its_file_counts() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(
            nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Conv2d(6, 6, 3, groups=6), nn.Flatten(), nn.Linear(24, 3)
        )
    of = network_parts(capture(module.eval().requires_grad_(False), networks.IMAGE))
    graph = carry_out(of, uniform_plan(of, 4, 6), networks.images(64), corrected=True, advance=unheard)
    found = placed(of, graph)
    assert len(found) == 3
    assert all(foreseen == counted for foreseen, counted in found.values())
