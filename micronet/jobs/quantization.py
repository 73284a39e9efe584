"""Quantizing as settings ask for it: what the jobs that measure and the jobs that write have in common."""

from collections.abc import Mapping
from dataclasses import dataclass

from micronet.analysis.widths import FULL_WIDTH
from micronet.contract import Normalization, QuantizingSettings
from micronet.data.datasets import calibration_split
from micronet.data.split import Split
from micronet.errors import SettingsError
from micronet.evaluation.calibration import calibrate
from micronet.evaluation.inputs import Inputs
from micronet.graph.ir import Graph
from micronet.jobs.context import Context
from micronet.tracks import Track
from micronet.transformation.quantize import (
    Quantization,
    check_own_quantizers,
    needs_calibration,
    plain_batch_norms,
    quantize_activations,
    quantize_weights,
)
from micronet.transformation.ranges import Observer


@dataclass(frozen=True, slots=True)
class Quantized:
    """A graph on its grids.

    before     the same graph in floating point, its batch norms as the scales and shifts that are quantized
    images     what placed the grids of activations, None where none were needed
    """

    graph: Graph
    before: Graph
    images: Inputs | None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was found out about the images."""
        return () if self.images is None else self.images.split.warnings


def activation_bits(settings: QuantizingSettings) -> int | None:
    """Width for a file's own exponents; None where activations are not quantized."""
    bits = settings.bits
    return None if bits is None or bits.mul_bits >= FULL_WIDTH else bits.mul_bits


def quantization_of(settings: QuantizingSettings) -> Quantization:
    """How settings whose `bits` are given want it done."""
    assert settings.bits is not None
    quantizer = settings.quantizer
    return Quantization(
        weight_bits=settings.bits.param_bits,
        activation_bits=settings.bits.mul_bits,
        rule=quantizer.rule,
        per_filter=quantizer.granularity == "channel",
        weight_stds=quantizer.weight_stds,
        activation_stds=quantizer.activation_stds,
    )


def quantize(graph: Graph, settings: QuantizingSettings, chosen: Track, context: Context) -> Quantized:
    """Weights and activations on their grids. Raises AlreadyQuantized where the graph has others."""
    how = quantization_of(settings)
    check_own_quantizers(graph, how)
    if how.weight_bits < FULL_WIDTH and not graph.formats:
        graph = plain_batch_norms(graph)
    narrow = quantize_weights(graph, how)
    if not needs_calibration(narrow, how):
        return Quantized(narrow, graph, None)
    split = calibration_split(chosen, context.data_dir, settings.quantizer.calibration_images, settings.seed)
    images = inputs_of(settings, chosen, split)

    def show(graph: Graph, observers: Mapping[str, Observer]) -> None:
        calibrate(graph, observers, images, context.progress.advance)

    return Quantized(quantize_activations(narrow, how, show), graph, images)


def inputs_of(settings: QuantizingSettings, chosen: Track, split: Split) -> Inputs:
    """Images with the normalization of the settings, else the track's."""
    return normalized(settings.normalize, chosen, split)


def normalized(given: Normalization | None, chosen: Track, split: Split) -> Inputs:
    """Images with the given normalization, else the track's. Raises SettingsError unless it is for their channels."""
    mean, std = (chosen.mean, chosen.std) if given is None else (given.mean, given.std)
    channels = chosen.input_shape[0]
    if len(mean) != channels or len(std) != channels:
        raise SettingsError(
            f"normalize: {len(mean)} means and {len(std)} deviations, and images of track {chosen.name!r} have "
            f"{channels} channels."
        )
    return Inputs(split, mean, std)
