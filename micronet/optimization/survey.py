"""What there is to choose from, for every layer and hard swish of a network, by one pass in floating point."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from micronet.contract import OptimizeSettings
from micronet.graph.grid import Grid
from micronet.graph.interpret import last_uses
from micronet.journal import Entry
from micronet.optimization.correlated_errors import Perturbations, perturbations
from micronet.optimization.gate_options import LEAST, GateOption, gate_options
from micronet.optimization.grids import around, place_grid, sample
from micronet.optimization.layer_options import LayerOption, LayerScore, LayerStatistics, layer_options
from micronet.optimization.moments import Moments, moments
from micronet.optimization.network_parts import NetworkParts
from micronet.optimization.placement import PlacedGrid, PlacementRule, placed_grids
from micronet.optimization.sensitivity import ValueKey, moves, noises, sensitivities
from micronet.optimization.zeros import SHARES, Support, supports
from micronet.progress import Advance, unheard

SENSITIVITY_IMAGES = 128
"""Calibration images whose gradients are taken."""


@dataclass(frozen=True, slots=True)
class Survey:
    """Options of layers by the name of their node, the places of weights their supports stand for, what a unit mean
    squared error of their filters (filters,) does to the logits where fitted rounding makes it, options of the values
    that hard swishes read, and the grids of all."""

    layers: Mapping[str, Sequence[LayerOption]]
    places: Mapping[str, Sequence[Tensor]]
    errors: Mapping[str, Tensor]
    gates: Mapping[str, Sequence[GateOption]]
    grids: Mapping[ValueKey, Sequence[PlacedGrid]]

    def inputs(self, name: str, option: LayerOption) -> int | Grid:
        """What the layer reads then."""
        return self._chosen(("input", name), option.input_bits, option.rule)

    def gate(self, name: str, option: GateOption) -> int | Grid:
        """What the hard swish reads then."""
        return self._chosen(("output", name), option.bits, option.rule)

    def _chosen(self, key: ValueKey, bits: int, rule: PlacementRule) -> int | Grid:
        if rule == "error":
            return bits
        return next(one.grid for one in self.grids[key] if (one.grid.bits, one.rule) == (bits, rule))

    def entry(self) -> Entry:
        """For a journal."""
        facts = {
            "layers": {name: [asdict(one) for one in found] for name, found in self.layers.items()},
            "gates": {name: [asdict(one) for one in found] for name, found in self.gates.items()},
            "ranges": [[key, [one.facts() for one in found]] for key, found in self.grids.items()],
        }
        tensors = {f"{name}:{i}": there for name, found in self.places.items() for i, there in enumerate(found)}
        return Entry(facts, {**tensors, **{f"{name}:errors": errors for name, errors in self.errors.items()}})

    @classmethod
    def of(cls, entry: Entry) -> "Survey":
        """What `entry` gave a journal."""
        layers = {name: [LayerOption(**one) for one in found] for name, found in entry.facts["layers"].items()}
        counts = {name: max(one.support for one in found) + 1 for name, found in layers.items()}
        places = {name: [entry.tensors[f"{name}:{i}"] for i in range(count)] for name, count in counts.items()}
        errors = {name: entry.tensors[f"{name}:errors"] for name in layers}
        gates = {name: [GateOption(**one) for one in found] for name, found in entry.facts["gates"].items()}
        found_grids = {
            (kind, name): [PlacedGrid.of(one) for one in found] for (kind, name), found in entry.facts["ranges"]
        }
        return cls(layers, places, errors, gates, found_grids)


def survey(
    network: NetworkParts,
    images: Tensor,
    settings: OptimizeSettings,
    layer_score: LayerScore,
    advance: Advance = unheard,
) -> Survey:
    """By `images` (N, C, H, W), normalized calibration images."""
    few = images[:SENSITIVITY_IMAGES]
    sensitivity = sensitivities(network, few, settings.seed)
    grids = _grids(network, few, settings)
    noise = noises(network, few, grids, settings.seed)
    placed = {key: placed_grids(found, noise[key]) for key, found in grids.items()}
    found: dict[str, tuple[Moments, list[Support], Perturbations]] = {}
    values: dict[str, list[GateOption]] = {}

    def look(name: str, inputs: Tensor, outputs: Tensor) -> None:
        if name in network.layers:
            layer, errors = network.layers[name], sensitivity[name]
            seen = moments(layer, inputs, outputs)
            places = supports(layer.rows.double(), seen, errors, SHARES if settings.sparsify else SHARES[:1])
            found[name] = seen, places, perturbations(layer, seen, places, errors)
        if ("output", name) in grids:
            values[name] = list(gate_options(outputs[0].numel(), placed["output", name], layer_score))

    _pass(network, images, look, advance)
    moved = moves(network, few, {name: tried.changes for name, (_, _, tried) in found.items()}, settings.seed)
    weight_bits = every_width(settings.weight_bits)
    layers: dict[str, list[LayerOption]] = {}
    fitted: dict[str, Tensor] = {}
    for name, (seen, places, tried) in found.items():
        layer, ratios = network.layers[name], tried.ratios(moved[name])
        least = network.least(layer.linear.source)
        statistics = LayerStatistics(seen, places, sensitivity[name], ratios, placed["input", name], least)
        layers[name] = list(layer_options(layer, statistics, weight_bits, settings.bias_bits, layer_score))
        fitted[name] = ratios.fitted * layer.positions * sensitivity[name]
    there = {name: [one.there for one in places] for name, (_, places, _) in found.items()}
    return Survey(layers, there, fitted, values, placed)


def _grids(network: NetworkParts, images: Tensor, settings: OptimizeSettings) -> dict[ValueKey, list[Grid]]:
    """Of every width that what a layer reads, and what a hard swish reads, may have: that of least squared error, and
    those around it."""
    gates, grids = {gate.x for gate in network.gates}, dict[ValueKey, list[Grid]]()

    def look(name: str, inputs: Tensor, outputs: Tensor) -> None:
        if name in network.layers:
            grids["input", name] = _offered(sample(inputs), settings.input_bits)
        if name in gates:
            grids["output", name] = _offered(sample(outputs).clamp(min=LEAST), settings.gate_bits)

    _pass(network, images, look, unheard)
    return grids


def _offered(seen: Tensor, ends: tuple[int, int]) -> list[Grid]:
    return [one for bits in every_width(ends) for one in around(place_grid(seen, bits))]


def _pass(network: NetworkParts, images: Tensor, look: Callable[[str, Tensor, Tensor], None], advance: Advance) -> None:
    """Every node's name, first operand and value, in order."""
    graph = network.graph
    values: dict[str, object] = {**graph.weights, graph.input: images}
    with torch.no_grad():
        for done, (node, dead) in enumerate(zip(graph.nodes, last_uses(graph), strict=True), 1):
            args, kwargs = node.operands(values)
            value = values[node.name] = node.target(*args, **kwargs)
            if isinstance(args[0], Tensor) and isinstance(value, Tensor):
                look(node.name, args[0], value)
            for name in dead:
                del values[name]
            advance(done, len(graph.nodes), "operations")


def every_width(ends: tuple[int, int]) -> range:
    """From the narrowest of `ends` to the widest."""
    return range(ends[0], ends[1] + 1)
