"""The score job: from a file and settings to a score of which every number is derived from the weights."""

from dataclasses import replace
from pathlib import Path

from micronet.analysis.counts import count
from micronet.contract import QuantizedTensor, ScoreResult, ScoreSettings
from micronet.data.datasets import open_split
from micronet.errors import SettingsError
from micronet.evaluation.accuracy import evaluate
from micronet.evaluation.device import choose_device
from micronet.graph.grid import fixed_point
from micronet.graph.ir import Graph
from micronet.jobs.changes import Before, changes, fuse_and_tell
from micronet.jobs.context import Context, Stages
from micronet.jobs.network import check_fits, check_images_stand_alone, dense_network, read_network
from micronet.jobs.quantization import activation_bits, normalized, quantization_of, quantize
from micronet.jobs.result import Measurement, score_result
from micronet.progress import unheard
from micronet.quantization.rounding import weights_on_grids
from micronet.quantization.tensors import quantized_tensors
from micronet.shown import show
from micronet.tracks import Track, track
from micronet.transformation.fold_constants import lost_grids
from micronet.transformation.quantization import layer_outputs
from micronet.transformation.quantize import check_own_quantizers, insert_quantizers, needs_calibration


def score(settings: ScoreSettings, checkpoint: Path | Graph, context: Context) -> ScoreResult:
    """Score the file at `checkpoint`, or a graph as it is. Raises MicronetError, each kind with what would be right."""
    chosen = track(settings.track, context.data_dir)
    stages = Stages.asked(
        context.progress, read=True, quantize=settings.bits is not None, count=True, evaluate=settings.evaluate
    )
    device = choose_device(context.device)
    stages.begin("read")
    test = open_split(chosen, "test", context.data_dir) if settings.evaluate else None
    graph, warnings = _read(settings, checkpoint)
    check_fits(graph, chosen)
    graph, before = fuse_and_tell(graph, settings)
    tensors: tuple[QuantizedTensor, ...] = ()
    if settings.bits is not None:
        stages.begin("quantize")
        quantized = quantize(graph, settings, chosen, context)
        tensors = quantized_tensors(quantized, settings.seed, context.progress.advance)
        graph, warnings = quantized.graph, warnings + quantized.warnings
    stages.begin("count")
    counts = count(graph)
    told = changes(before, tensors, counts)
    measured = None
    if test is not None:
        stages.begin("evaluate")
        inputs = normalized(settings.normalize, chosen, test)
        check_images_stand_alone(graph, inputs.mean, inputs.std)
        measured = evaluate(graph, inputs, device, settings.bit_true, context.progress.advance)
        warnings += test.warnings
    measurement = Measurement(counts, measured, None if test is None else test.sha256, str(device), warnings, told)
    return score_result(settings, chosen, measurement)


def count_network(settings: ScoreSettings, checkpoint: Path | Graph | None, context: Context) -> ScoreResult:
    """The same without data: what would this cost? Without a file, the architecture with no weight zero.

    Activations are as wide as `bits` says; where their binary points lie, which only data could tell, changes no count.
    Raises SettingsError where it would: proven accumulators.
    """
    chosen = track(settings.track, context.data_dir)
    settings = settings.model_copy(update={"evaluate": False})
    bits = settings.bits
    if bits is not None and settings.accumulators == "proven":
        raise SettingsError("proven accumulators need calibrated activations, and so data: use `score` for them.")
    if checkpoint is not None:
        graph, warnings = _read(settings, checkpoint)
    elif settings.architecture is not None:
        graph, warnings = dense_network(settings.architecture.name, settings.architecture.options), ()
    else:
        raise SettingsError("nothing to count: give a file, or the name of an architecture.")
    warnings += _other_task(graph, chosen)
    graph, before = fuse_and_tell(graph, settings)
    graph, tensors = (graph, ()) if bits is None else _quantized_unseen(graph, settings)
    return score_of(graph, settings, chosen, warnings=warnings, before=before, tensors=tensors)


def score_of(
    graph: Graph,
    settings: ScoreSettings,
    chosen: Track,
    *,
    warnings: tuple[str, ...] = (),
    before: Before | None = None,
    tensors: tuple[QuantizedTensor, ...] = (),
) -> ScoreResult:
    """Score of a prepared graph as it stands, with the widths of `settings`, and accuracy left out: no image is seen.

    before   what the network was until it was fused and quantized, and
    tensors  what was put on grids since; without them the result tells of no changes
    """
    counts = count(graph)
    told = changes(before, tensors, counts)
    return score_result(settings, chosen, Measurement(counts, None, None, "none", warnings, told))


def _read(settings: ScoreSettings, checkpoint: Path | Graph) -> tuple[Graph, tuple[str, ...]]:
    """The graph that is scored, and warnings: of a file's reader, and of weights that lost the grids they had."""
    if isinstance(checkpoint, Graph):
        return checkpoint, _off_grid(checkpoint)
    graph, warnings = read_network(checkpoint, settings.architecture, activation_bits(settings))
    return graph, (*warnings, *_off_grid(graph))


def _off_grid(graph: Graph) -> tuple[str, ...]:
    """A warning where arithmetic on quantized weights gives one that is on no grid."""
    paths = lost_grids(graph)
    if not paths:
        return ()
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return (
        f"{show(paths[0])}{more}: a weight is computed of a quantized one and is on no grid any more, so it counts as "
        "any weight that nothing quantized. To count at fewer bits, quantize last, what the layer multiplies by.",
    )


def _quantized_unseen(graph: Graph, settings: ScoreSettings) -> tuple[Graph, tuple[QuantizedTensor, ...]]:
    """The graph with weights on their grids and activations on grids of the right width that lie anywhere."""
    how = quantization_of(settings)
    check_own_quantizers(graph, how)
    rounded = weights_on_grids(graph, how)
    if not needs_calibration(rounded.graph, how):
        return rounded.graph, quantized_tensors(rounded, settings.seed, unheard)
    anywhere = fixed_point(how.activation_bits, (0,))
    narrow = insert_quantizers(rounded.graph, dict.fromkeys(layer_outputs(rounded.graph), anywhere))
    tensors = quantized_tensors(replace(rounded, graph=narrow), settings.seed, unheard)
    return narrow, tuple(one if one.kind == "weight" else one.model_copy(update={"points": None}) for one in tensors)


def _other_task(graph: Graph, chosen: Track) -> tuple[str, ...]:
    """A warning where the network is not for the track's images and classes: its cost is right, its score is not."""
    try:
        check_fits(graph, chosen)
    except SettingsError as error:
        return (f"the counts are right, but the score is against baselines of another task: {error}",)
    return ()
