"""A small network whose every number a person can check, scored in the ways that differ."""

from dataclasses import replace
from fractions import Fraction

import torch
from torch import Tensor, nn

from micronet.analysis.counts import Counts, LayerCounts, count
from micronet.analysis.operations import Operations
from micronet.analysis.parameters import Parameter
from micronet.contract import BitWidths, Charges, ScoreSettings, ScoreTerms
from micronet.graph.capture import capture
from micronet.graph.grid import fixed_point
from micronet.graph.ir import Graph
from micronet.quantization.rounding import quantization
from micronet.reference.costs import amounts
from micronet.reference.values import Example, ExampleLayer, ExampleTensor
from micronet.scoring.policies import POLICIES, UNQUANTIZED, WORD, Terms, Weighed, Widths
from micronet.scoring.score import score
from micronet.tracks import BUILT_IN
from micronet.transformation.prepare import prepare
from micronet.transformation.quantization import layer_outputs
from micronet.transformation.quantize import insert_quantizers, quantize_weights

INPUT_SHAPE = (16, 8, 8)
FILTERS, CLASSES = 32, 10
ZEROS = 44
"""Of the 144 weights of each filter: about 30 %."""
TRACK = "digits"
"""Whose baselines are small enough for the score of so small a network to be read."""
SETTINGS = (
    ScoreSettings(track=TRACK, policy="report", bits=BitWidths()),
    ScoreSettings(track=TRACK, policy="challenge", bits=None),
    ScoreSettings(track=TRACK, policy="challenge", bits=BitWidths(param_bits=8, mul_bits=8)),
)
"""The defaults of `report`; `challenge` with the freebie; `challenge` at 8 bits."""


class Network(nn.Module):
    """A convolution with bias, 3x3, 16 to 32 channels on 8x8, 30 % zeros; ReLU; mean; a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(INPUT_SHAPE[0], FILTERS, 3, padding=1)
        self.relu = nn.ReLU()
        self.fc = nn.Linear(FILTERS, CLASSES)
        for parameter in self.parameters():
            nn.init.constant_(parameter, 0.5)
        with torch.no_grad():
            self.conv.weight.flatten(1)[:, :ZEROS] = 0

    def forward(self, x: Tensor) -> Tensor:
        """(N, 16, 8, 8) to (N, 10)."""
        logits: Tensor = self.fc(self.relu(self.conv(x)).mean((2, 3)))
        return logits


def examples() -> tuple[Example, ...]:
    """The network, scored with each of SETTINGS as a count job does it: a test has one do so."""
    return tuple(map(_example, SETTINGS))


def _example(settings: ScoreSettings) -> Example:
    counts, track = count(_graph(settings)), BUILT_IN[settings.track]
    layers = tuple(_layer(settings, counts, layer) for layer in counts.layers)
    math_bits, storage_bits = sum(layer.math_bits for layer in layers), sum(layer.storage_bits for layer in layers)
    storage, math = Fraction(storage_bits, WORD), Fraction(math_bits, WORD)
    points = score(storage, math, track.baseline_storage, track.baseline_math)
    terms = ScoreTerms(storage=points.storage, math=points.math, total=points.total)
    return Example(settings=settings, layers=layers, math_bits=math_bits, storage_bits=storage_bits, score=terms)


def _graph(settings: ScoreSettings) -> Graph:
    graph, bits = prepare(capture(Network(), INPUT_SHAPE), settings.fuse_batchnorm), settings.bits
    if bits is None:
        return graph
    graph = quantize_weights(graph, quantization(bits, settings.quantizer))
    anywhere = fixed_point(bits.mul_bits, (0,))  # where its ends lie changes no count
    return insert_quantizers(graph, dict.fromkeys(layer_outputs(graph), anywhere))


def _layer(settings: ScoreSettings, counts: Counts, layer: LayerCounts) -> ExampleLayer:
    weighed = _weigh(settings, counts, layer)
    return ExampleLayer(
        name=layer.name,
        op=layer.op,
        shape=layer.shape,
        amounts=amounts(layer.operations),
        exponents=layer.exponents if counts.quantized else 0,
        weight_bits=layer.weight_bits,
        activation_bits=layer.activation_bits,
        tensors=tuple(_tensor(settings, counts, layer, parameter) for parameter in layer.parameters),
        charged=Charges.model_validate({"math": weighed.math, "storage": weighed.storage}),
        math_bits=weighed.math_bits,
        storage_bits=weighed.storage_bits,
    )


def _tensor(settings: ScoreSettings, counts: Counts, layer: LayerCounts, parameter: Parameter) -> ExampleTensor:
    alone = replace(layer, operations=Operations(), parameters=(parameter,), exponents=0)
    weighed = _weigh(settings, counts, alone)
    return ExampleTensor(
        name=parameter.name,
        elements=parameter.elements,
        nonzero=parameter.nonzero,
        bits=parameter.bits,
        exponents=parameter.exponents,
        stored={kind: dict(widths) for kind, widths in weighed.storage.items()},
        stored_bits=weighed.storage_bits,
    )


def _weigh(settings: ScoreSettings, counts: Counts, layer: LayerCounts) -> Weighed:
    widths = UNQUANTIZED if settings.bits is None else Widths(**settings.bits.model_dump())
    return POLICIES[settings.policy](counts, layer, Terms(widths, settings.encoding, settings.accumulators))
