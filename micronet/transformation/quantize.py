"""Fixed point for weights and activations: what is measured afterwards is what was counted."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from micronet.analysis.dot_products import DOT_PRODUCTS, LAYERS
from micronet.analysis.shapes import constants
from micronet.analysis.widths import FULL_WIDTH, KEEPS_WIDTH, QUANTIZERS, widths
from micronet.errors import AlreadyQuantized
from micronet.graph.grid import Grid, fixed_point, on_grid
from micronet.graph.ir import Graph, Node, Ref
from micronet.transformation.plain_batch_norms import plain_batch_norms
from micronet.transformation.quantization import Quantization, activation_widths, weight_widths
from micronet.transformation.ranges import RANGE_RULES, Observer

aten = torch.ops.aten

AS_IT_IS = "Score it as it is, with bits null (on the command line --unquantized)"
"""What whoever scores a file with widths of its own is to do: by default others are asked for."""
Calibrate = Callable[[Graph, Mapping[str, Observer]], None]
"""Runs a graph on training images and shows each value that has an observer to it, as one group."""


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
            grid = fitted_grid(weights[name], replace(how, weight_bits=bits), per_filter=name in per_filter)
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
            f"and not all at {bits} bits: {name} {found}. {AS_IT_IS}."
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
                    f"{bits[name]} bits, not {declared[name]}. {AS_IT_IS}, or take the quantizers out of the file."
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


def fitted_grid(weight: Tensor, how: Quantization, per_filter: bool) -> Grid:
    """Grid for one tensor by the rule of `how`; with `per_filter` one step per index of its first axis."""
    observer = RANGE_RULES[how.rule](how.weight_bits, how.weight_stds)
    observer.take(observer.measure(weight.flatten(1) if per_filter else weight.reshape(1, -1)))
    points = tuple(how.weight_bits - 1 - exponent for exponent in observer.exponents())
    return fixed_point(how.weight_bits, points, axis=0 if per_filter else None)


def _filters(graph: Graph) -> frozenset[str]:
    """Weights with one filter per index of the first axis."""
    layers = (node for node in graph.nodes if node.target in LAYERS)
    return frozenset(layer.args[1].name for layer in layers if isinstance(layer.args[1], Ref))
