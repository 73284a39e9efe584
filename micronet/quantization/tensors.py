"""What became of each tensor: its grid, and what rounding to it did."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from micronet.analysis.widths import QUANTIZERS, activation_grid
from micronet.contract import QuantizedTensor
from micronet.evaluation.calibration import calibrate
from micronet.evaluation.inputs import Advance, Inputs
from micronet.graph.grid import Grid
from micronet.graph.ir import Graph, Node, Ref
from micronet.quantization.rounding import Quantized
from micronet.transformation.layer_widths import INPUT
from micronet.transformation.rounding_errors import ErrorObserver, RoundingError, rounding_error

MEASURED_IMAGES = 100
"""Calibration images that activations are compared on, at most: errors are averages, and need fewer than ranges."""


def quantized_tensors(quantized: Quantized, seed: int, advance: Advance) -> tuple[QuantizedTensor, ...]:
    """Every weight and value that is on a grid; errors of values are those on `MEASURED_IMAGES` images, by `seed`."""
    images = quantized.images
    if images is not None:
        images = replace(images, split=images.split.subset(MEASURED_IMAGES, seed))
    return (*_weights(quantized), *_activations(quantized.graph, images, advance))


def _weights(quantized: Quantized) -> Iterator[QuantizedTensor]:
    """A file's own were never seen in floating point, and those that have learned were not rounded from anything."""
    own = quantized.before.formats
    for name, grid in quantized.graph.formats.items():
        rounded = name not in own and not quantized.learned
        yield _tensor(name, "weight", grid, rounding_error(quantized.before.weights[name], grid) if rounded else None)


def _activations(graph: Graph, images: Inputs | None, advance: Advance) -> Iterator[QuantizedTensor]:
    """What rounding did to each value on `images`, with everything before it quantized as well."""
    makers = graph.by_name()
    quantizers = [(node, grid) for node in graph.nodes if (grid := _grid(node)) is not None]
    observers = {_source(node): ErrorObserver(grid) for node, grid in quantizers}
    if images is not None:
        calibrate(graph, observers, images, advance)
    for node, grid in quantizers:
        source = _source(node)
        error = None if images is None else observers[source].error()
        yield _tensor(_path(makers, source), "activation", grid, error)


def _grid(node: Node) -> Grid | None:
    return activation_grid(node) if node.target in QUANTIZERS else None


def _source(quantizer: Node) -> str:
    source = quantizer.args[0]
    assert isinstance(source, Ref)
    return source.name


def _path(makers: Mapping[str, Node], name: str) -> str:
    return (makers[name].layer or name) if name in makers else INPUT


def _tensor(name: str, kind: str, grid: Grid, error: RoundingError | None) -> QuantizedTensor:
    points = grid.points() if grid.is_fixed_point else None
    return QuantizedTensor.model_validate(
        {
            "name": name,
            "kind": kind,
            "bits": grid.bits,
            "points": points,
            "values": None if error is None else error.values,
            "clipped": None if error is None else error.clipped,
            "relative_squared_error": None if error is None else error.relative,
        }
    )
