"""A plan carried out: everything on its grid, proofs that no input breaks, and errors made up for."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from micronet.analysis.accumulators import exact_bits
from micronet.analysis.attainable import attainable
from micronet.analysis.counts import count
from micronet.analysis.shapes import shapes
from micronet.analysis.widths import activation_grid, widths
from micronet.evaluation.bit_true import check_exact
from micronet.graph.capture import capture
from micronet.graph.grid import fixed_point, on_grid
from micronet.graph.interpret import interpret
from micronet.graph.ir import Argument, Graph, Node, Ref, Target
from micronet.optimization.hard_swish import grid_of_clip, grid_of_sum
from micronet.optimization.layerwise import added_to, carry_out, place_bias
from micronet.optimization.network_parts import NetworkParts, network_parts
from micronet.optimization.plan import LayerChoice, NetworkPlan
from tests.micronet import networks
from tests.micronet.optimization.making import uniform_plan

aten = torch.ops.aten


def network() -> NetworkParts:
    """Pointwise, depthwise, a gate, a sum that is read twice, and a linear layer, with hard swishes in between."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(
            nn.Conv2d(4, 8, 1),
            nn.Hardswish(),
            nn.Conv2d(8, 8, 3, padding=1, groups=8),
            nn.Hardswish(),
            nn.Conv2d(8, 4, 1),
            networks.Excite(),
            networks.Residual(inplace=False),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4, 3),
        ).eval()
    module[6].body = module[6].body[0]
    return network_parts(capture(module.requires_grad_(False), networks.IMAGE))


def made(weights: int, inputs: int, *, corrected: bool = True, values: int = 8) -> tuple[NetworkParts, Graph]:
    of = network()
    return of, carry_out(of, uniform_plan(of, weights, inputs, values), networks.images(64), corrected)


def test_layers_that_read_one_value_on_one_grid_share_its_quantizer() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(4, 5, 1), nn.Conv2d(4, 5, 1)

        def forward(self, x: Tensor) -> Tensor:
            return (self.first(x) + self.second(x)).mean((2, 3))

    of = network_parts(capture(Two().eval().requires_grad_(False), networks.IMAGE))
    plan = uniform_plan(of, 4, 6)
    shared = carry_out(of, plan, networks.images(64), corrected=True)
    first, second = of.layers
    apart = carry_out(
        of, replace(plan, layers={**plan.layers, second: replace(plan.layers[second], inputs=7)}), networks.images(64)
    )
    for graph, reads in ((shared, 1), (apart, 2)):
        nodes = graph.by_name()
        assert len({nodes[name].args[0] for name in (first, second)}) == reads


def test_every_weight_and_every_operand_of_a_product_is_on_its_grid() -> None:
    of, graph = made(4, 6)
    for name, grid in graph.formats.items():
        assert torch.equal(on_grid(graph.weights[name], grid), graph.weights[name])
        assert grid.is_fixed_point
    layers = {layer.name: layer for layer in count(graph).layers}
    for layer in of.layers.values():
        assert (layers[layer.name].weight_bits, layers[layer.name].activation_bits) == (4, 6)
    check_exact(graph)


def test_wide_grids_give_what_the_network_gave() -> None:
    of, graph = made(14, 14, values=16)
    x = networks.images(64)
    torch.testing.assert_close(interpret(graph, x), interpret(of.graph, x), rtol=0, atol=0.02)


def test_correction_brings_other_images_nearer_too() -> None:
    others = networks.images(200, seed=1)
    errors = []
    for corrected in (True, False):
        of, graph = made(3, 6, corrected=corrected)
        errors.append(float((interpret(graph, others) - interpret(of.graph, others)).square().mean()))
    assert errors[0] < 0.7 * errors[1]


class Sum(nn.Module):
    """Two layers that read the same value and are added."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Conv2d(4, 6, 1), nn.Conv2d(4, 6, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (self.one(x) + self.other(x)).mean((2, 3))


def test_a_layer_makes_up_for_what_the_value_it_is_added_to_has_lost() -> None:
    """The first on 2 bits, the second on 12: the sum is nearer to what it was than what is left of the first."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = Sum().eval().requires_grad_(False)
    of = network_parts(capture(module, networks.IMAGE))
    first, second = of.layers
    layers = {name: LayerChoice(bits, 12, of.layers[name].rows != 0) for name, bits in ((first, 2), (second, 12))}
    graph = carry_out(of, NetworkPlan(layers, dict.fromkeys(of.values, 16), 8), networks.images(64))
    x = networks.images(200, seed=1)
    weight = graph.by_name()[first].args[1]
    assert isinstance(weight, Ref)
    lost = graph.weights[weight.name] - of.layers[first].linear.weight
    alone = nn.functional.conv2d(x, lost).mean((2, 3))
    alone = alone - alone.mean(0)  # its bias takes the mean
    assert float((interpret(graph, x) - interpret(of.graph, x)).square().mean()) < 0.1 * float(alone.square().mean())


def test_the_same_plan_gives_the_same_bits() -> None:
    one, other = made(4, 6)[1], made(4, 6)[1]
    assert one.nodes == other.nodes
    assert all(torch.equal(one.weights[name], other.weights[name]) for name in one.weights)


def worst(graph: Graph, node: Node) -> list[tuple[int, int, int]]:
    """Of every filter: its least and greatest sum in units of its products, for the inputs that drive it furthest, and
    the proven bits. The inputs are all that its quantizer gives for the values of the one it depends on, if any."""
    makers = graph.by_name()
    quantizer = makers[_name(node.args[0])]
    inputs = activation_grid(quantizer)
    assert inputs is not None
    low, high = attainable(makers, quantizer, inputs)
    assert inputs.low <= low < high <= inputs.high
    weight, bias = (_name(argument) for argument in node.args[1:3])
    steps = torch.tensor(graph.formats[weight].steps, dtype=torch.float64)
    rows = (graph.weights[weight].double().flatten(1) / steps.view(-1, 1)).to(torch.int64)
    offsets = (graph.weights[bias].double() / (steps * inputs.steps[0])).to(torch.int64)
    reached = []
    for row, offset, bits in zip(rows, offsets, exact_bits(graph, shapes(graph))[node.name], strict=True):
        least, greatest = (
            int((row * torch.where(row * sign > 0, high, min(low, 0))).sum() + offset) for sign in (-1, 1)
        )
        reached.append((least, greatest, bits))
    return reached


def _name(argument: object) -> str:
    assert isinstance(argument, Ref)
    return argument.name


@pytest.mark.parametrize(("weights", "inputs"), [(3, 4), (5, 7)])
def test_no_input_leaves_a_proven_width_and_one_bit_less_is_too_few_for_every_filter(weights: int, inputs: int) -> None:
    of, graph = made(weights, inputs)
    for name in of.layers:
        for least, greatest, bits in worst(graph, graph.by_name()[name]):
            assert -(2 ** (bits - 1)) <= least <= greatest <= 2 ** (bits - 1) - 1
            assert least < -(2 ** (bits - 2)) or greatest > 2 ** (bits - 2) - 1


def test_random_images_never_leave_a_proven_width() -> None:
    of, graph = made(3, 5)
    x = 20 * networks.images(50, seed=2)
    proofs, grids = (
        exact_bits(graph, shapes(graph)),
        {name: activation_grid(node) for name, node in graph.by_name().items()},
    )

    def check(node: Node, value: object) -> None:
        if node.name not in of.layers:
            return
        assert isinstance(value, torch.Tensor)
        inputs = grids[_name(node.args[0])]
        assert inputs is not None
        steps = torch.tensor(graph.formats[_name(node.args[1])].steps) * inputs.steps[0]
        sums = value.abs().transpose(0, 1).flatten(1).amax(1) / steps
        assert bool((sums <= 2.0 ** (torch.tensor(proofs[node.name]) - 1) - 1).all())

    interpret(graph, x, check)


def test_a_bias_is_never_finer_than_the_products_it_is_added_to() -> None:
    bias, products = torch.tensor([0.3, -1.7, 0.01, 0.26]).double(), torch.tensor([0.5, 2**-6, 2**-9, 2**-3]).double()
    placed, grid = place_bias(bias, products, 8)
    assert grid.steps == (2**-6,)
    assert torch.equal(on_grid(placed, grid), placed)
    units = placed.double() / products.clamp(min=2**-6)
    assert torch.equal(units, units.round())
    assert bool(((placed - bias).abs() <= products.clamp(min=2**-6) / 2 + 1e-9).all())


def test_a_filter_that_lost_all_its_weights_keeps_a_narrow_sum() -> None:
    """Its bias is all it gives, and has to be a few units of products."""
    of = network()
    plan = uniform_plan(of, 4, 6)
    first, choice = next(iter(plan.layers.items()))
    there = choice.there.clone()
    there[2] = False
    graph = carry_out(
        of, replace(plan, layers={**plan.layers, first: replace(choice, there=there)}), networks.images(64)
    )
    assert not graph.weights[_name(graph.by_name()[first].args[1])][2].any()
    assert max(exact_bits(graph, shapes(graph))[first]) <= 16
    check_exact(graph)


@pytest.mark.parametrize("corrected", [True, False])
@pytest.mark.parametrize("magnitude", [0.0, 1e-15, 1e-30])
def test_a_layer_of_nothing_but_zeros_is_its_bias_and_sums_nothing(magnitude: float, corrected: bool) -> None:
    of = network()
    first = next(iter(of.layers))
    weight, bias = (_name(argument) for argument in of.graph.by_name()[first].args[1:3])
    weights = {**of.graph.weights, weight: of.graph.weights[weight] * magnitude}
    of = network_parts(replace(of.graph, weights=weights))
    graph = carry_out(of, uniform_plan(of, 4, 6), networks.images(64), corrected)
    check_exact(graph)
    assert not graph.weights[weight].any()
    assert exact_bits(graph, shapes(graph))[first] == [1] * 8
    inputs = activation_grid(graph.by_name()[_name(graph.by_name()[first].args[0])])
    assert inputs is not None
    step = max(inputs.steps[0] * graph.formats[weight].steps[0], graph.formats[bias].steps[0])
    torch.testing.assert_close(graph.weights[bias], weights[bias], rtol=0, atol=step / 2 + 1e-6)


def test_a_bias_of_zeros_is_on_the_grid_of_ones() -> None:
    placed, grid = place_bias(torch.zeros(3).double(), torch.full((3,), 2**-9).double(), 8)
    assert not placed.any()
    assert grid.steps == (2**-6,)


def test_what_a_layer_reads_is_narrowed_for_it_alone() -> None:
    of, graph = made(4, 5, values=9)
    bits = widths(graph)
    assert {bits[_name(graph.by_name()[name].args[0])] for name in of.layers} == {5}
    (add,) = [node for node in graph.nodes if str(node.target) == "aten.add.Tensor" and len(list(node.refs())) == 2]
    assert [bits[ref.name] for ref in add.refs()] == [9, 9]


def test_a_chosen_grid_is_taken_as_it_is_and_what_a_hard_swish_computes_follows_from_it() -> None:
    """Of what a layer reads and of what a hard swish reads; no other grid depends on the images then."""
    of = network()
    plan, gate = uniform_plan(of, 6, 8), of.gates[0]
    first, choice = next(iter(plan.layers.items()))
    read, gated = fixed_point(7, (5,)), fixed_point(6, (3,))
    assert gate.x in plan.values
    plan = replace(
        plan,
        layers={**plan.layers, first: replace(choice, inputs=read)},
        values={**plan.values, gate.x: gated},
    )
    for shown in (networks.images(64), 3 * networks.images(64, seed=1)):
        graph = carry_out(of, plan, shown)
        makers, users = graph.by_name(), graph.users()
        assert activation_grid(makers[_name(makers[first].args[0])]) == read
        for name, grid in ((gate.x, gated), (gate.sum, grid_of_sum(gated)), (gate.clip, grid_of_clip(gated))):
            assert [activation_grid(user) for user in users[name]] == [grid]


def read_by(target: Target, *args: Argument, others: tuple[Node, ...] = (), **kwargs: Argument) -> str | None:
    node = Node("layer", aten.relu.default, (Ref("x"),))
    return added_to(node, [Node("sum", target, args, kwargs), *others])


def test_what_a_layer_is_added_to_is_known_where_a_plain_sum_alone_reads_it() -> None:
    layer, other = Ref("layer"), Ref("other")
    assert read_by(aten.add.Tensor, layer, other) == read_by(aten.add.Tensor, other, layer) == "other"
    assert read_by(aten.mul.Tensor, layer, other) is None
    assert read_by(aten.add.Tensor, layer, 1.0) is None
    assert read_by(aten.add.Tensor, layer, layer) is None
    assert read_by(aten.add.Tensor, layer, other, alpha=2) is None
    assert read_by(aten.add.Tensor, layer, other, others=(Node("more", aten.relu.default, (layer,)),)) is None
    assert added_to(Node("layer", aten.relu.default, (Ref("x"),)), []) is None
