"""The quantize job: the network a score with bits measures, as a file, with the error of every tensor.

With `train`, that network has learned on its grids before it is written.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from micronet.analysis.widths import FULL_WIDTH
from micronet.contract import QuantizeResult, QuantizeSettings, Scorer
from micronet.contract.quantizing import Quantizing
from micronet.errors import SettingsError
from micronet.evaluation.inputs import Inputs
from micronet.graph.ir import Graph
from micronet.jobs.artifact import write_artifact
from micronet.jobs.context import Context, Stages
from micronet.jobs.learning import Lesson, begin, own
from micronet.jobs.network import check_fits, read_network
from micronet.jobs.quantization import activation_bits, calibration_images
from micronet.jobs.result import scorer
from micronet.jobs.table import JOBS
from micronet.onnx_writer.quantization import MAX_BITS
from micronet.quantization import stage
from micronet.quantization.rounding import Quantized, put_on_grids, quantization
from micronet.quantization.tensors import quantized_tensors
from micronet.quantization.training import check_precision, train_on_grids
from micronet.tracks import Track, track
from micronet.transformation.plain_batch_norms import plain_batch_norms
from micronet.transformation.prepare import prepare


def quantize(settings: QuantizeSettings, checkpoint: Path, context: Context) -> QuantizeResult:
    """Quantize the file at `checkpoint`. Raises MicronetError, each kind with what would be right."""
    check_quantizing(settings)
    context = own(context)
    trains, advance = settings.train is not None, context.progress.advance
    asked = {"train": trains, "evaluate": trains and settings.evaluate}
    stages = Stages.asked(context.progress, read=True, quantize=True, **asked, measure=True, write=True)
    stages.begin("read")
    source = _read(settings, checkpoint, context)
    graph, merged = stage.merged_batchnorms(source.graph, settings)
    stages.begin("quantize")
    how = quantization(settings.bits, settings.quantizer, settings.layers)
    quantized = put_on_grids(graph, how, source.images, advance)
    training = accuracy = teacher = None
    if settings.train is not None and source.lesson is not None:
        stages.begin("train")
        quantized, training = train_on_grids(quantized, settings.train, source.lesson.task)
        if settings.evaluate:
            stages.begin("evaluate")
        accuracy, teacher = source.lesson.measured(quantized.graph, context), source.lesson.teacher(settings)
    stages.begin("measure")
    tensors = quantized_tensors(quantized, settings.seed, advance)
    stages.begin("write")
    return QuantizeResult(
        track=source.track.name,
        bits=settings.bits,
        merged=merged,
        tensors=tensors,
        training=training,
        accuracy=accuracy,
        teacher=teacher,
        artifact=write_artifact(plain_batch_norms(quantized.graph), JOBS["quantize"].artifact, context),
        scorer=_scorer(settings, source, quantized),
        warnings=tuple(dict.fromkeys((*source.warnings, *quantized.warnings))),
    )


@dataclass(frozen=True, slots=True)
class _Source:
    """A network, the images that place its grids, and what it learns from, if it does."""

    graph: Graph
    track: Track
    images: Callable[[], Inputs]
    warnings: tuple[str, ...]
    lesson: Lesson | None = None


def _read(settings: QuantizeSettings, checkpoint: Path, context: Context) -> _Source:
    """Without training no image is read unless a grid depends on it, and all training images may place grids."""
    if settings.train is not None:
        lesson = begin(settings, checkpoint, context)
        images = partial(stage.calibration_images, settings, lesson.task)
        return _Source(lesson.graph, lesson.track, images, lesson.warnings, lesson)
    chosen = track(settings.track, context.data_dir)
    graph, warnings = read_network(checkpoint, settings.architecture, activation_bits(settings))
    check_fits(graph, chosen)
    graph = prepare(graph, fuse=False)
    return _Source(graph, chosen, partial(calibration_images, settings, chosen, context), warnings)


def check_quantizing(settings: Quantizing) -> None:
    """Raise SettingsError for what would be found wrong only after much work."""
    if settings.train is not None:
        check_precision(settings.train)
    widths = {"mul_bits": settings.bits.mul_bits}
    widths |= {f"mul_bits of {name}": bits.mul_bits for name, bits in settings.layers.items() if bits.mul_bits}
    for name, bits in widths.items():
        if MAX_BITS < bits < FULL_WIDTH:
            raise SettingsError(
                f"{name} {bits}: the quantizers of ONNX make integers of at most {MAX_BITS} bits. Ask for these, or "
                "for 32, which leaves activations as they are."
            )


def _scorer(settings: QuantizeSettings, source: _Source, quantized: Quantized) -> Scorer:
    if source.lesson is not None:
        return source.lesson.scorer()
    used = None if quantized.images is None else quantized.images.split.sha256
    return scorer("cpu", settings.seed, source.track.dataset, used)
