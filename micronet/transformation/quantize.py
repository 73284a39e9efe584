"""Fixed point for weights and activations: what is measured afterwards is what was counted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from micronet.analysis.counts import layer_names
from micronet.analysis.dot_products import DOT_PRODUCTS, LAYERS
from micronet.analysis.parameters import scale_and_shift
from micronet.analysis.shapes import constants
from micronet.analysis.widths import FULL_WIDTH, KEEPS_WIDTH, QUANTIZERS, grid_tensors, widths
from micronet.errors import AlreadyQuantized
from micronet.graph.grid import Grid, fixed_point, on_grid
from micronet.graph.ir import Graph, Node, Ref
from micronet.transformation.layer_widths import INPUT, LayerWidths, check_layers, widths_of
from micronet.transformation.ranges import RANGE_RULES, Observer

aten = torch.ops.aten

Calibrate = Callable[[Graph, Mapping[str, Observer]], None]
"""Runs a graph on training images and shows each value that has an observer to it, as one group."""


@dataclass(frozen=True, slots=True)
class Quantization:
    """How to quantize.

    weight_bits, activation_bits   32 leaves the kind as it is
    rule                           key of RANGE_RULES
    per_filter                     one exponent per filter of a layer's weights, instead of one per tensor
    weight_stds, activation_stds   k of SigmaMax
    layers                         widths of single layers in place of the first two, by name or prefix
    """

    weight_bits: int
    activation_bits: int
    rule: str = "sigmamax"
    per_filter: bool = False
    weight_stds: float = 10.0
    activation_stds: float = 20.0
    layers: Mapping[str, LayerWidths] = field(default_factory=dict)

    @property
    def narrows_weights(self) -> bool:
        """Whether any weight is to be on a grid."""
        return _any_narrow(self.weight_bits, *(widths.weight_bits for widths in self.layers.values()))

    @property
    def narrows_activations(self) -> bool:
        """Whether any value is to be on a grid."""
        return _any_narrow(self.activation_bits, *(widths.activation_bits for widths in self.layers.values()))


def _any_narrow(*bits: int | None) -> bool:
    return any(width is not None and width < FULL_WIDTH for width in bits)


def check_names(graph: Graph, how: Quantization) -> None:
    """Raise SettingsError where a name among `how.layers` fits no layer, or none that has what it gives a width for."""
    if how.layers:
        names = layer_names(graph)
        stored = {names[node.name] for node in _stored(graph).values() if node.name in names}
        check_layers(how.layers, names.values(), stored, {INPUT, *(names.get(n, n) for n in layer_outputs(graph)[1:])})


def weight_widths(graph: Graph, how: Quantization) -> dict[str, int]:
    """Bits of every parameter: those of the layer that stores it, which is the first to read it."""
    stored = _stored(graph)
    if not how.layers:
        return dict.fromkeys(stored, how.weight_bits)
    names = layer_names(graph)
    chosen = {name: widths_of(how.layers, names.get(node.name, node.name)) for name, node in stored.items()}
    return {name: widths.weight_bits or how.weight_bits for name, widths in chosen.items()}


def activation_widths(graph: Graph, how: Quantization) -> dict[str, int]:
    """Bits of the input and of every layer's output (see `layer_outputs`): the width of a value is its maker's."""
    outputs = layer_outputs(graph)
    if not how.layers:
        return dict.fromkeys(outputs, how.activation_bits)
    names = {**layer_names(graph), graph.input: INPUT}
    chosen = {name: widths_of(how.layers, names.get(name, name)) for name in outputs}
    return {name: widths.activation_bits or how.activation_bits for name, widths in chosen.items()}


def quantize_weights(graph: Graph, how: Quantization) -> Graph:
    """Every parameter on a fixed-point grid of its own.

    A batch norm becomes the scale and shift it is in inference first, for these are what is stored. A graph whose own
    grids are of the width asked for, all of them, is left as it is.
    Raises AlreadyQuantized where it brings others: widths would be put on top of widths.
    """
    if graph.formats:
        _check_own_weights(graph, how)
        return graph
    if not how.narrows_weights:
        return graph
    graph = plain_batch_norms(graph)
    per_filter = _filters(graph) if how.per_filter else frozenset()
    weights, formats = dict(graph.weights), {}
    for name, bits in weight_widths(graph, how).items():
        if bits < FULL_WIDTH:
            grid = weight_grid(weights[name], replace(how, weight_bits=bits), per_filter=name in per_filter)
            weights[name], formats[name] = on_grid(weights[name], grid), grid
    return replace(graph, weights=weights, formats=formats)


def _check_own_weights(graph: Graph, how: Quantization) -> None:
    """Raise AlreadyQuantized unless every parameter lies on a fixed-point grid of the width asked for."""
    for name, bits in weight_widths(graph, how).items():
        grid = graph.formats.get(name)
        if bits >= FULL_WIDTH if grid is None else grid.bits == bits and grid.is_fixed_point:
            continue
        found = "is not quantized" if grid is None else f"has {grid.bits} bits"
        if grid is not None and not grid.is_fixed_point:
            found += " and a scale that is no power of two"
        raise AlreadyQuantized(
            f"{len(graph.formats)} weights of this network are already quantized ({next(iter(graph.formats))} is one), "
            f"and not all at {bits} bits: {name} {found}. Score it as it is, with bits null."
        )


def quantize_activations(graph: Graph, how: Quantization, calibrate: Calibrate) -> Graph:
    """The input and every layer's output on a grid, placed by what training images show.

    Operations that only move values or choose among them pass a grid on and get none of their own. A graph that brings
    its own quantizers (a WaveComp checkpoint, or ONNX with QuantizeLinear) keeps exactly these.
    """
    if not needs_calibration(graph, how):
        return graph
    narrow = {name: bits for name, bits in activation_widths(graph, how).items() if bits < FULL_WIDTH}
    observers = {name: RANGE_RULES[how.rule](bits, how.activation_stds) for name, bits in narrow.items()}
    calibrate(graph, observers)
    points = {name: narrow[name] - 1 - seen.exponents()[0] for name, seen in observers.items()}
    return insert_quantizers(graph, {name: fixed_point(narrow[name], (point,)) for name, point in points.items()})


def needs_calibration(graph: Graph, how: Quantization) -> bool:
    """Whether activations are to be quantized and the graph does not do so already."""
    return how.narrows_activations and not any(node.target in QUANTIZERS for node in graph.nodes)


def check_own_quantizers(graph: Graph, how: Quantization) -> None:
    """Raise AlreadyQuantized where a graph's own quantizers leave a dot product wider inputs than `how` declares.

    Such a graph keeps its quantizers (`quantize_activations`), and would be measured at other widths than it is counted
    at.
    """
    if not how.narrows_activations or needs_calibration(graph, how):
        return
    bits, declared, fixed = widths(graph), _declared_widths(graph, how), constants(graph)
    for node in graph.nodes:
        for name in [ref.name for ref in node.refs() if ref.name not in fixed and node.target in DOT_PRODUCTS]:
            if bits[name] > declared[name]:
                raise AlreadyQuantized(
                    f"this network brings its own quantizers, and {node.path} reads values of "
                    f"{bits[name]} bits, not {declared[name]}. Score it as it is, with bits null, or take the "
                    "quantizers out of the file."
                )


def _declared_widths(graph: Graph, how: Quantization) -> dict[str, int]:
    """Bits that `how` declares each value to have: a layer's output its own, what only passes values on the widest."""
    declared = activation_widths(graph, how)
    fixed = constants(graph)
    for node in graph.nodes:
        if node.target in KEEPS_WIDTH or node.target in QUANTIZERS:
            read = (declared[ref.name] for ref in node.refs() if ref.name not in fixed)
            declared[node.name] = max(read, default=how.activation_bits)
    return declared


def insert_quantizers(graph: Graph, grids: Mapping[str, Grid]) -> Graph:
    """`graph` with each value in `grids` put on its grid, one per tensor and of fixed point, for all its readers."""
    renamed: dict[str, str] = {}
    nodes: list[Node] = []
    free = graph.names()

    def put(name: str, layer: str) -> None:
        grid = grids[name]
        args = (Ref(name), grid.steps[0], 0, grid.low, grid.high)
        renamed[name] = free.new(f"{name}.quantized", "_")
        nodes.append(
            Node(renamed[name], aten.fake_quantize_per_tensor_affine.default, args, layer=f"{layer}.quantizer")
        )

    if graph.input in grids:
        put(graph.input, "input")
    for node in graph.nodes:
        nodes.append(node.renamed(renamed))
        if node.name in grids:
            put(node.name, node.path)
    return replace(graph, nodes=tuple(nodes), output=renamed.get(graph.output, graph.output))


def weight_grid(weight: Tensor, how: Quantization, per_filter: bool) -> Grid:
    """Grid for one tensor by the rule of `how`; with `per_filter` one step per index of its first axis."""
    observer = RANGE_RULES[how.rule](how.weight_bits, how.weight_stds)
    observer.take(observer.measure(weight.flatten(1) if per_filter else weight.reshape(1, -1)))
    points = tuple(how.weight_bits - 1 - exponent for exponent in observer.exponents())
    return fixed_point(how.weight_bits, points, axis=0 if per_filter else None)


def _stored(graph: Graph) -> dict[str, Node]:
    """Weights that are parameters: not fixed by an operation, not a batch norm's former statistics, not indices, and
    not steps of the graph's own quantizers.

    With each, the node that is the first to read it.
    """
    stored: dict[str, Node] = {}
    others = graph.literals | grid_tensors(graph)
    for node in graph.nodes:
        for ref in node.refs():
            weight = graph.weights.get(ref.name)
            if weight is not None and ref.name not in others and weight.is_floating_point():
                stored.setdefault(ref.name, node)
    return stored


def _filters(graph: Graph) -> frozenset[str]:
    """Weights with one filter per index of the first axis."""
    layers = (node for node in graph.nodes if node.target in LAYERS)
    return frozenset(layer.args[1].name for layer in layers if isinstance(layer.args[1], Ref))


def layer_outputs(graph: Graph) -> list[str]:
    """The input, and every value that an operation computes from images."""
    fixed = constants(graph)
    computed = [node.name for node in graph.nodes if node.name not in fixed and node.target not in KEEPS_WIDTH]
    return [graph.input, *computed]


def plain_batch_norms(graph: Graph) -> Graph:
    """Each batch norm as scale * x + shift: mean 0, variance 1, epsilon 0, which are literals from then on."""
    weights, literals, nodes, free = dict(graph.weights), set(graph.literals), [], graph.names()
    for node in graph.nodes:
        if node.target is not aten.batch_norm.default or _is_plain(graph, node):
            nodes.append(node)
            continue
        scale, shift = scale_and_shift(graph, node)
        tensors = {"scale": scale, "shift": shift, "mean": torch.zeros_like(scale), "variance": torch.ones_like(scale)}
        names = {kind: free.new(f"{node.name}.{kind}", "_") for kind in tensors}
        weights.update({names[kind]: tensor for kind, tensor in tensors.items()})
        literals.update({names["mean"], names["variance"]})
        refs = tuple(Ref(names[kind]) for kind in ("scale", "shift", "mean", "variance"))
        nodes.append(replace(node, args=(node.args[0], *refs, False, 0.0, 0.0, False)))
    return replace(graph, nodes=tuple(nodes), weights=weights, literals=frozenset(literals)).live()


def _is_plain(graph: Graph, norm: Node) -> bool:
    """Whether a batch norm is a scale and a shift already."""
    names = [argument.name for argument in norm.args[1:5] if isinstance(argument, Ref)]
    if len(names) != 4 or norm.args[7] != 0 or not graph.literals.issuperset(names[2:]):
        return False
    mean, variance = (graph.weights[name] for name in names[2:])
    return not bool(mean.any()) and bool((variance == 1).all())
