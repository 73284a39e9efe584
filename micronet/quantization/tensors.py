"""What became of each tensor: its grid, and what rounding to it did."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

from micronet.analysis.shapes import constants
from micronet.analysis.widths import KEEPS_WIDTH, QUANTIZERS, activation_grid
from micronet.contract import QuantizedTensor
from micronet.errors import NumericalError
from micronet.evaluation.calibration import calibrate
from micronet.evaluation.inputs import Inputs
from micronet.graph.grid import Grid
from micronet.graph.ir import Graph, Node, Ref
from micronet.progress import Advance
from micronet.quantization.rounding import Quantized
from micronet.transformation.layer_widths import INPUT
from micronet.transformation.rounding_errors import ErrorObserver, RoundingError, rounding_error

MEASURED_IMAGES = 100
"""Calibration images that activations are compared on, at most: errors are averages, and need fewer than ranges."""


def quantized_tensors(quantized: Quantized, seed: int, advance: Advance) -> tuple[QuantizedTensor, ...]:
    """Every weight and value that is on a grid; errors of values are those on `MEASURED_IMAGES` images, by `seed`.

    Raises NumericalError where a value is NaN or infinite once those before it are on their grids.
    """
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
        if error is not None and not math.isfinite(error.squares):
            raise NumericalError(_not_finite(graph, makers, source))
        yield _tensor(_path(makers, source), "activation", grid, error)


def _not_finite(graph: Graph, makers: Mapping[str, Node], source: str) -> str:
    """What to say of the first value that rounding has made NaN or infinite, and of the layers it is computed from."""
    message = f"{_path(makers, source)} gives NaN or infinity once what it reads is quantized"
    layers = list(dict.fromkeys(_path(makers, name) for name in _computed_from(graph, makers, source)))
    if not layers:
        return f"{message}. Check normalization and weights."
    one = f'layers = {{"{layers[-1]}": {{"mul_bits": 32}}}}'
    return (
        f"{message}: a divisor, or what a root or a logarithm is taken of, became 0. Place grids by another rule "
        f"(`max` or `mse`), give {' and '.join(layers)} more bits, or keep it in floating point by `layers` of a "
        f"quantize job, such as {one}."
    )


def _computed_from(graph: Graph, makers: Mapping[str, Node], name: str) -> Iterator[str]:
    """The layers whose quantized results a layer computes with, in the order of its operands."""
    fixed = constants(graph)
    waiting = [ref.name for ref in makers[name].refs()] if name in makers else []
    while waiting:
        read = waiting.pop(0)
        maker = makers.get(read)
        if maker is not None and (maker.target in QUANTIZERS or maker.target in KEEPS_WIDTH):
            waiting[:0] = [ref.name for ref in maker.refs()]
        elif read not in fixed:
            yield read


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
