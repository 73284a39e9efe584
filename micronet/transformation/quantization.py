"""How a network is to be quantized, and to how many bits each of its parameters and values."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from micronet.analysis.counts import layer_names
from micronet.analysis.shapes import constants
from micronet.analysis.widths import FULL_WIDTH, KEEPS_WIDTH, grid_tensors
from micronet.graph.ir import Graph, Node
from micronet.transformation.layer_widths import INPUT, LayerWidths, check_layers, widths_of


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


def layer_outputs(graph: Graph) -> list[str]:
    """The input, and every value that an operation computes from images."""
    fixed = constants(graph)
    computed = [node.name for node in graph.nodes if node.name not in fixed and node.target not in KEEPS_WIDTH]
    return [graph.input, *computed]


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
