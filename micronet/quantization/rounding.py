"""Post-training quantization: grids placed by what weights are and training images show, and everything rounded."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from micronet.contract import BitWidths, LayerBits, QuantizerSettings
from micronet.evaluation.calibration import calibrate
from micronet.evaluation.inputs import Inputs
from micronet.graph.ir import Graph
from micronet.progress import Advance
from micronet.transformation.layer_widths import LayerWidths
from micronet.transformation.plain_batch_norms import plain_batch_norms
from micronet.transformation.quantization import Quantization, check_names
from micronet.transformation.quantize import (
    check_own_quantizers,
    needs_calibration,
    quantize_activations,
    quantize_weights,
)
from micronet.transformation.ranges import Observer

_NO_LAYERS: Mapping[str, LayerBits] = {}


@dataclass(frozen=True, slots=True)
class Quantized:
    """A graph on its grids.

    before     the same graph in floating point, its batch norms as the scales and shifts that are quantized
    images     what placed the grids of activations, None where none were needed
    learned    whether weights have learned on their grids since, and were not just rounded to them
    """

    graph: Graph
    before: Graph
    images: Inputs | None
    learned: bool = False

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was found out about the images."""
        return () if self.images is None else self.images.split.warnings


def quantization(
    bits: BitWidths, quantizer: QuantizerSettings, layers: Mapping[str, LayerBits] = _NO_LAYERS
) -> Quantization:
    """How settings want it done."""
    return Quantization(
        weight_bits=bits.param_bits,
        activation_bits=bits.mul_bits,
        rule=quantizer.rule,
        per_filter=quantizer.granularity == "channel",
        weight_stds=quantizer.weight_stds,
        activation_stds=quantizer.activation_stds,
        layers={name: LayerWidths(widths.param_bits, widths.mul_bits) for name, widths in layers.items()},
    )


def put_on_grids(graph: Graph, how: Quantization, images: Callable[[], Inputs], advance: Advance) -> Quantized:
    """Weights and activations on their grids. `images` is asked only where activations need them.

    Raises AlreadyQuantized where the graph has other grids, SettingsError for names of layers it does not have.
    """
    check_names(graph, how)
    check_own_quantizers(graph, how)
    rounded = weights_on_grids(graph, how)
    if not needs_calibration(rounded.graph, how):
        return rounded
    shown = images()

    def show(graph: Graph, observers: Mapping[str, Observer]) -> None:
        calibrate(graph, observers, shown, advance)

    return replace(rounded, graph=quantize_activations(rounded.graph, how, show), images=shown)


def weights_on_grids(graph: Graph, how: Quantization) -> Quantized:
    """Weights on their grids, for which no image is needed. Raises AlreadyQuantized where the graph has others."""
    if how.narrows_weights and not graph.formats:
        graph = plain_batch_norms(graph)
    return Quantized(quantize_weights(graph, how), graph, None)
