"""What there is to choose from, for every layer and hard swish of a network, by one pass in floating point."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from micronet.contract import OptimizeSettings
from micronet.evaluation.inputs import Advance, unheard
from micronet.graph.grid import Grid
from micronet.graph.interpret import last_uses
from micronet.journal import Entry
from micronet.optimization.alike import Trials, trials
from micronet.optimization.grids import around, place_grid, sample
from micronet.optimization.moments import Moments, moments
from micronet.optimization.options import Evidence, Option, Price, options
from micronet.optimization.plan import Subject
from micronet.optimization.ranges import Range, Rule, ranges
from micronet.optimization.sensitivity import Key, moves, noises, sensitivities
from micronet.optimization.values import LEAST, ValueOption, value_options
from micronet.optimization.zeros import SHARES, Support, supports

SENSITIVITY_IMAGES = 128
"""Calibration images whose gradients are taken."""


@dataclass(frozen=True, slots=True)
class Survey:
    """Options of layers by the name of their node, the places of weights their supports stand for, what a unit mean
    squared error of their filters (filters,) does to the logits where fitted rounding makes it, options of the values
    that hard swishes read, and the ranges of all."""

    layers: Mapping[str, Sequence[Option]]
    places: Mapping[str, Sequence[Tensor]]
    errors: Mapping[str, Tensor]
    gates: Mapping[str, Sequence[ValueOption]]
    ranges: Mapping[Key, Sequence[Range]]

    def inputs(self, name: str, option: Option) -> int | Grid:
        """What the layer reads then."""
        return self._chosen(("input", name), option.input_bits, option.rule)

    def gate(self, name: str, option: ValueOption) -> int | Grid:
        """What the hard swish reads then."""
        return self._chosen(("output", name), option.bits, option.rule)

    def _chosen(self, key: Key, bits: int, rule: Rule) -> int | Grid:
        if rule == "error":
            return bits
        return next(one.grid for one in self.ranges[key] if (one.grid.bits, one.rule) == (bits, rule))

    def entry(self) -> Entry:
        """For a journal."""
        facts = {
            "layers": {name: [asdict(one) for one in found] for name, found in self.layers.items()},
            "gates": {name: [asdict(one) for one in found] for name, found in self.gates.items()},
            "ranges": [[key, [one.facts() for one in found]] for key, found in self.ranges.items()],
        }
        tensors = {f"{name}:{i}": there for name, found in self.places.items() for i, there in enumerate(found)}
        return Entry(facts, {**tensors, **{f"{name}:errors": errors for name, errors in self.errors.items()}})

    @classmethod
    def of(cls, entry: Entry) -> "Survey":
        """What `entry` gave a journal."""
        layers = {name: [Option(**one) for one in found] for name, found in entry.facts["layers"].items()}
        counts = {name: max(one.support for one in found) + 1 for name, found in layers.items()}
        places = {name: [entry.tensors[f"{name}:{i}"] for i in range(count)] for name, count in counts.items()}
        errors = {name: entry.tensors[f"{name}:errors"] for name in layers}
        gates = {name: [ValueOption(**one) for one in found] for name, found in entry.facts["gates"].items()}
        found_ranges = {(kind, name): [Range.of(one) for one in found] for (kind, name), found in entry.facts["ranges"]}
        return cls(layers, places, errors, gates, found_ranges)


def survey(
    subject: Subject, images: Tensor, settings: OptimizeSettings, price: Price, advance: Advance = unheard
) -> Survey:
    """By `images` (N, C, H, W), normalized calibration images."""
    few = images[:SENSITIVITY_IMAGES]
    sensitivity = sensitivities(subject, few, settings.seed)
    grids = _grids(subject, few, settings)
    noise = noises(subject, few, grids, settings.seed)
    placed = {key: ranges(found, noise[key]) for key, found in grids.items()}
    found: dict[str, tuple[Moments, list[Support], Trials]] = {}
    values: dict[str, list[ValueOption]] = {}

    def look(name: str, inputs: Tensor, outputs: Tensor) -> None:
        if name in subject.sites:
            site, errors = subject.sites[name], sensitivity[name]
            seen = moments(site, inputs, outputs)
            places = supports(site.rows.double(), seen, errors, SHARES if settings.sparsify else SHARES[:1])
            found[name] = seen, places, trials(site, seen, places, errors)
        if ("output", name) in grids:
            values[name] = list(value_options(outputs[0].numel(), placed["output", name], price))

    _pass(subject, images, look, advance)
    moved = moves(subject, few, {name: tried.changes for name, (_, _, tried) in found.items()}, settings.seed)
    layers: dict[str, list[Option]] = {}
    fitted: dict[str, Tensor] = {}
    for name, (seen, places, tried) in found.items():
        site, alike = subject.sites[name], tried.alike(moved[name])
        least = subject.least(site.layer.source)
        known = Evidence(seen, places, sensitivity[name], alike, placed["input", name], least)
        layers[name] = list(options(site, known, _widths(settings.weight_bits), settings.bias_bits, price))
        fitted[name] = alike.fitted * site.positions * sensitivity[name]
    there = {name: [one.there for one in places] for name, (_, places, _) in found.items()}
    return Survey(layers, there, fitted, values, placed)


def _grids(subject: Subject, images: Tensor, settings: OptimizeSettings) -> dict[Key, list[Grid]]:
    """Of every width that what a layer reads, and what a hard swish reads, may have: that of least squared error, and
    those around it."""
    gates, grids = {gate.x for gate in subject.gates}, dict[Key, list[Grid]]()

    def look(name: str, inputs: Tensor, outputs: Tensor) -> None:
        if name in subject.sites:
            grids["input", name] = _offered(sample(inputs), settings.input_bits)
        if name in gates:
            grids["output", name] = _offered(sample(outputs).clamp(min=LEAST), settings.gate_bits)

    _pass(subject, images, look, unheard)
    return grids


def _offered(seen: Tensor, ends: tuple[int, int]) -> list[Grid]:
    return [one for bits in _widths(ends) for one in around(place_grid(seen, bits))]


def _pass(subject: Subject, images: Tensor, look: Callable[[str, Tensor, Tensor], None], advance: Advance) -> None:
    """Every node's name, first operand and value, in order."""
    graph = subject.graph
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


def _widths(ends: tuple[int, int]) -> range:
    return range(ends[0], ends[1] + 1)
