"""Quantizing as settings ask for it: what the jobs that measure and the jobs that write have in common."""

from micronet.analysis.widths import FULL_WIDTH
from micronet.contract import Normalization, QuantizingSettings
from micronet.data.datasets import calibration_split
from micronet.data.split import Split
from micronet.errors import SettingsError
from micronet.evaluation.inputs import Inputs
from micronet.graph.ir import Graph
from micronet.jobs.context import Context
from micronet.quantization.rounding import Quantized, put_on_grids, quantization
from micronet.tracks import Track
from micronet.transformation.quantization import Quantization


def activation_bits(settings: QuantizingSettings) -> int | None:
    """Width for a file's own exponents; None where activations are not quantized."""
    bits = settings.bits
    return None if bits is None or bits.mul_bits >= FULL_WIDTH else bits.mul_bits


def quantization_of(settings: QuantizingSettings) -> Quantization:
    """How settings whose `bits` are given want it done."""
    assert settings.bits is not None
    return quantization(settings.bits, settings.quantizer)


def quantize(graph: Graph, settings: QuantizingSettings, chosen: Track, context: Context) -> Quantized:
    """Weights and activations on their grids. Raises AlreadyQuantized where the graph has others."""
    how, advance = quantization_of(settings), context.progress.advance
    return put_on_grids(graph, how, lambda: calibration_images(settings, chosen, context), advance)


def calibration_images(settings: QuantizingSettings, chosen: Track, context: Context) -> Inputs:
    """Those of the track's training images that the seed chooses."""
    split = calibration_split(chosen, context.data_dir, settings.quantizer.calibration_images, settings.seed)
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
