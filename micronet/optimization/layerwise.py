"""A plan carried out: layer after layer is rounded on what the layers before it, rounded already, really give."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from micronet.graph.grid import Grid, fixed_point, on_grid
from micronet.graph.interpret import last_uses
from micronet.graph.ir import Argument, Graph, Node, Ref
from micronet.optimization.accumulator_widths import OperandRange, powers
from micronet.optimization.fitted_rounding import RoundingProblem, nearest_placed, round_rows
from micronet.optimization.gate_options import LEAST
from micronet.optimization.grids import exponents_above, place_grid
from micronet.optimization.hard_swish import grid_of_clip, grid_of_sum
from micronet.optimization.moments import moments
from micronet.optimization.network_parts import NetworkParts, tensor_in
from micronet.optimization.objective import Objective
from micronet.optimization.plan import LayerChoice, NetworkPlan
from micronet.optimization.quantizable_layers import QuantizableLayer
from micronet.optimization.zeros import solved
from micronet.progress import Advance, unheard
from micronet.transformation.merge_quantizers import merge_quantizers

aten = torch.ops.aten


def carry_out(
    network: NetworkParts, plan: NetworkPlan, images: Tensor, corrected: bool = True, advance: Advance = unheard
) -> Graph:
    """`network` on the grids of `plan`, by `images` (N, C, H, W), normalized calibration images.

    Each layer's weights are first the least-squares ones, from the inputs the narrow network gives it to the outputs
    of the network in floating point and what a value they are added to has lost (which makes up for errors before it,
    and corrects its bias), then rounded. Without `corrected` every weight that stays is the nearest point to what it
    was.
    """
    walk = _Walk(network, plan, images, corrected)
    nodes = network.graph.nodes
    with torch.no_grad():
        for done, (node, dead) in enumerate(zip(nodes, last_uses(network.graph), strict=True), 1):
            walk.step(node)
            walk.forget(dead)
            advance(done, len(nodes), "operations")
    return walk.graph()


class _Walk:
    """Both networks at the same node: `wide` values are those in floating point, `narrow` ones those on grids."""

    def __init__(self, network: NetworkParts, plan: NetworkPlan, images: Tensor, corrected: bool) -> None:
        self._network, self._plan, self._corrected = network, plan, corrected
        graph = network.graph
        self._users = graph.users()
        self._free, self._renamed = graph.names(), dict[str, str]()
        self._nodes: list[Node] = []
        self._weights, self._formats = dict(graph.weights), dict[str, Grid]()
        self._wide: dict[str, object] = {**graph.weights, graph.input: images}
        self._narrow: dict[str, object] = dict(self._wide)
        self._grids: dict[str, Grid] = {}
        self._derived = {gate.sum: (gate.x, grid_of_sum) for gate in network.gates}
        self._derived |= {gate.clip: (gate.x, grid_of_clip) for gate in network.gates}
        self._gated = {gate.x for gate in network.gates}
        if graph.input in plan.values:
            self._put_value(graph.input, "input")

    def step(self, node: Node) -> None:
        """The node in both networks."""
        self._wide[node.name] = node.value(self._wide)
        layer = self._network.layers.get(node.name)
        if layer is None:
            self._narrow[node.name] = node.value(self._narrow)
            self._nodes.append(node.renamed(self._renamed))
        else:
            self._layer(node, layer, self._plan.layers[node.name])
        if node.name in self._plan.values or node.name in self._derived:
            self._put_value(node.name, node.layer or node.name)

    def forget(self, names: list[str]) -> None:
        """Values nothing reads any more."""
        for name in names:
            del self._wide[name], self._narrow[name]

    def graph(self) -> Graph:
        """The narrow network."""
        graph = self._network.graph
        made = replace(graph, nodes=tuple(self._nodes), weights=self._weights, formats=self._formats)
        return merge_quantizers(replace(made, output=self._renamed.get(graph.output, graph.output)))

    def _layer(self, node: Node, layer: QuantizableLayer, choice: LayerChoice) -> None:
        """Its inputs on their grid, its weights rounded on these, its bias what is then best."""
        source = layer.linear.source
        values = tensor_in(self._narrow, source)
        grid = _placed(values, choice.inputs)
        values = on_grid(values, grid)
        put = self._quantizer(self._renamed.get(source, source), f"{node.layer or node.name}.input", grid)
        rows, bias = self._rounded(node, layer, choice, values, grid)
        self._nodes.append(replace(node.renamed(self._renamed), args=(Ref(put), *node.args[1:])))
        weight = _name(node.args[1])
        self._weights[weight] = self._narrow[weight] = rows.view_as(layer.linear.weight)
        if bias is not None:
            self._weights[_name(node.args[2])] = self._narrow[_name(node.args[2])] = bias
        self._narrow[node.name] = node.value({**self._narrow, source: values})

    def _rounded(
        self, node: Node, layer: QuantizableLayer, choice: LayerChoice, values: Tensor, grid: Grid
    ) -> tuple[Tensor, Tensor | None]:
        seen = moments(layer, values, self._wanted(node))
        rows = layer.rows.double()
        if self._corrected:
            wanted, factors = solved(rows, choice.there, seen)
            operands = OperandRange.on(grid, self._network.least(layer.linear.source))
            objective = None if choice.tradeoff is None else Objective(choice.tradeoff, operands, layer.linear.bias)
            found = round_rows(RoundingProblem(wanted, seen.inputs, factors, objective), choice.weight_bits)
        else:
            plain = torch.eye(rows.shape[1]).double().expand(layer.groups, -1, -1)
            found = nearest_placed(torch.where(choice.there, rows, 0.0), plain, choice.weight_bits)
        points = tuple((-found.exponents).tolist())
        shared = len(set(points)) == 1
        self._formats[_name(node.args[1])] = fixed_point(
            choice.weight_bits, points[:1] if shared else points, axis=None if shared else 0
        )
        if layer.linear.bias is None:
            return found.rows.float(), None
        bias = seen.bias(found.rows) if self._corrected else layer.linear.bias.double()
        placed, bias_grid = place_bias(bias, grid.steps[0] * powers(found.exponents), self._plan.bias_bits)
        self._formats[_name(node.args[2])] = bias_grid
        return found.rows.float(), placed

    def _wanted(self, node: Node) -> Tensor:
        """What the layer should give: what it gives in floating point and, where that is added to another value and
        read by nothing else, what that value has lost, of which the layer's inputs may tell something."""
        wide = tensor_in(self._wide, node.name)
        other = added_to(node, self._users.get(node.name, []))
        narrow = None if other is None else self._narrow.get(other)  # None where it comes later
        if other is None or not isinstance(narrow, Tensor) or narrow.shape != wide.shape:
            return wide
        return wide + (tensor_in(self._wide, other) - narrow)

    def _put_value(self, name: str, layer: str) -> None:
        """The value on a grid, for all that read it."""
        values = tensor_in(self._narrow, name)
        if name in self._derived:
            x, grid_of = self._derived[name]
            grid = grid_of(self._grids[x])
        else:
            grid = _placed(values.clamp(min=LEAST) if name in self._gated else values, self._plan.values[name])
        self._grids[name] = grid
        self._narrow[name] = on_grid(values, grid)
        self._renamed[name] = self._quantizer(name, f"{layer}.value", grid)

    def _quantizer(self, name: str, layer: str, grid: Grid) -> str:
        made = self._free.new(f"{name}.quantized", "_")
        args: tuple[Argument, ...] = (Ref(name), grid.steps[0], 0, grid.low, grid.high)
        self._nodes.append(Node(made, aten.fake_quantize_per_tensor_affine.default, args, layer=f"{layer}.quantizer"))
        return made


def added_to(node: Node, users: Sequence[Node]) -> str | None:
    """The other value of the sum that alone reads `node`; None where anything else does."""
    if len(users) != 1 or users[0].target is not aten.add.Tensor or users[0].kwargs:
        return None
    others = [ref.name for ref in users[0].refs() if ref.name != node.name]
    return others[0] if len(others) == 1 else None


def _placed(values: Tensor, grid: int | Grid) -> Grid:
    """The grid, or that of so many bits that is best for `values`."""
    return grid if isinstance(grid, Grid) else place_grid(values, grid)


def place_bias(bias: Tensor, products: Tensor, bits: int) -> tuple[Tensor, Grid]:
    """`bias` (filters,) on one grid of `bits` bits, and the grid.

    Never finer than `products` (filters,), the steps of the filters' sums: a finer bias would widen every accumulator.
    """
    grid = fixed_point(bits, (bits - 1 - int(exponents_above(bias.abs().max())),))
    steps = products.clamp(min=grid.steps[0])
    return ((bias / steps).round() * steps).clamp(*bias_ends(steps, grid)).float(), grid


def bias_ends(steps: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
    """The least and the largest multiples of `steps` (filters,), each a multiple of the grid's own, within `grid`."""
    low, high = (end * grid.steps[0] / steps for end in (grid.low, grid.high))
    return low.ceil() * steps, high.floor() * steps


def _name(argument: Argument) -> str:
    assert isinstance(argument, Ref)
    return argument.name
