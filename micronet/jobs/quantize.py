"""The quantize job: the network a score with bits measures, as a file, with the error of every tensor."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from micronet.analysis.widths import FULL_WIDTH, QUANTIZERS, activation_grid
from micronet.contract import MergedBatchNorm, QuantizedTensor, QuantizeResult, QuantizeSettings
from micronet.errors import SettingsError
from micronet.evaluation.calibration import calibrate
from micronet.evaluation.inputs import Inputs
from micronet.graph.grid import Grid
from micronet.graph.ir import Graph, Node, Ref
from micronet.jobs.artifact import write_artifact
from micronet.jobs.context import Context, Stages
from micronet.jobs.network import check_fits, prepare_and_tell, read_network
from micronet.jobs.quantization import Quantized, activation_bits, inputs_of
from micronet.jobs.quantization import quantize as put_on_grids
from micronet.jobs.result import scorer
from micronet.onnx_writer.quantization import MAX_BITS
from micronet.tracks import track
from micronet.transformation.quantize import plain_batch_norms
from micronet.transformation.rounding_errors import ErrorObserver, RoundingError, rounding_error

ARTIFACT = "quantized.onnx"
MEASURED_IMAGES = 100
"""Calibration images that activations are compared on, at most: errors are averages, and need fewer than ranges."""


def quantize(settings: QuantizeSettings, checkpoint: Path, context: Context) -> QuantizeResult:
    """Quantize the file at `checkpoint`. Raises MicronetError, each kind with what would be right."""
    bits = settings.bits
    if MAX_BITS < bits.mul_bits < FULL_WIDTH:
        raise SettingsError(
            f"mul_bits {bits.mul_bits}: the quantizers of ONNX make integers of at most {MAX_BITS} bits. Ask for "
            "these, or for 32, which leaves activations as they are."
        )
    chosen = track(settings.track, context.data_dir)
    stages = Stages(context.progress, ("read", "quantize", "measure", "write"))
    stages.begin("read")
    graph, warnings = read_network(checkpoint, settings.architecture, activation_bits(settings))
    check_fits(graph, chosen)
    graph, merged = prepare_and_tell(graph, settings.fuse_batchnorm)
    stages.begin("quantize")
    quantized = put_on_grids(graph, settings, chosen, context)
    stages.begin("measure")
    images = quantized.images
    if images is not None:
        images = inputs_of(settings, chosen, images.split.subset(MEASURED_IMAGES, settings.seed))
    tensors = (*_weights(quantized), *_activations(quantized.graph, images, context))
    stages.begin("write")
    artifact = write_artifact(plain_batch_norms(quantized.graph), ARTIFACT, context)
    used = None if quantized.images is None else quantized.images.split.sha256
    return QuantizeResult(
        track=chosen.name,
        bits=bits,
        merged=tuple(MergedBatchNorm(norm=one.norm, into=one.into) for one in merged),
        tensors=tensors,
        artifact=artifact,
        scorer=scorer("cpu", settings.seed, chosen.dataset, used),
        warnings=(*warnings, *quantized.warnings),
    )


def _weights(quantized: Quantized) -> Iterator[QuantizedTensor]:
    """Every quantized weight; a file's own were never seen in floating point."""
    own = quantized.before.formats
    for name, grid in quantized.graph.formats.items():
        error = None if name in own else rounding_error(quantized.before.weights[name], grid)
        yield _tensor(name, "weight", grid, error)


def _activations(graph: Graph, images: Inputs | None, context: Context) -> Iterator[QuantizedTensor]:
    """Every quantized value; what rounding did to it on `images`, each with everything before it quantized as well."""
    makers = graph.by_name()
    quantizers = [(node, grid) for node in graph.nodes if (grid := _grid(node)) is not None]
    observers = {_source(node): ErrorObserver(grid) for node, grid in quantizers}
    if images is not None:
        calibrate(graph, observers, images, context.progress.advance)
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
    return (makers[name].layer or name) if name in makers else "input"


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
