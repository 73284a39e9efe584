"""Small layers with images that make some of their inputs alike, as those of real ones are."""

import torch
from torch import Tensor, nn

from micronet.graph.capture import capture
from micronet.optimization.fitted_rounding import RoundingProblem
from micronet.optimization.moments import Moments, moments
from micronet.optimization.network_parts import NetworkParts, network_parts
from micronet.optimization.plan import LayerChoice, NetworkPlan
from micronet.optimization.quantizable_layers import QuantizableLayer
from micronet.optimization.zeros import solved

LAYERS = {
    "linear": lambda: nn.Linear(12, 7),
    "pointwise": lambda: nn.Conv2d(12, 7, 1),
    "strided": lambda: nn.Conv2d(12, 6, 1, stride=2),
    "convolution": lambda: nn.Conv2d(12, 6, 3, padding=1, stride=2),
    "grouped": lambda: nn.Conv2d(12, 6, 3, padding=1, groups=3),
    "depthwise": lambda: nn.Conv2d(12, 12, 3, padding=1, groups=12, bias=False),
}


def one_layer(kind: str) -> tuple[NetworkParts, QuantizableLayer, Tensor]:
    """A network of one layer, the layer, and inputs (40, 12, ...) that depend on each other."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        module = LAYERS[kind]().eval().requires_grad_(False)
        mixing = torch.randn(12, 12) * torch.linspace(1, 0.05, 12)
        values = torch.randn(40, 12) if kind == "linear" else torch.randn(40, 12, 5, 5)
    values = torch.einsum("nc...,cd->nd...", values, mixing) + 0.3
    made = network_parts(capture(module, tuple(values.shape[1:])))
    (layer,) = made.layers.values()
    return made, layer, values


def outputs_of(layer: QuantizableLayer, values: Tensor) -> Tensor:
    linear = layer.linear
    if linear.weight.dim() == 2:
        return nn.functional.linear(values, linear.weight, linear.bias)
    geometry = (linear.stride, linear.padding, linear.dilation, linear.groups)
    return nn.functional.conv2d(values, linear.weight, linear.bias, *geometry)


def rounding_problem(kind: str) -> tuple[RoundingProblem, Moments]:
    """A layer's own weights as what is to be rounded."""
    _, layer, values = one_layer(kind)
    seen = moments(layer, values, outputs_of(layer, values))
    rows = layer.rows.double()
    return RoundingProblem(rows, seen.inputs, solved(rows, rows != 0, seen)[1]), seen


def uniform_plan(made: NetworkParts, weights: int, inputs: int, values: int = 8) -> NetworkPlan:
    """One width for each kind."""
    layers = {name: LayerChoice(weights, inputs, layer.rows != 0) for name, layer in made.layers.items()}
    return NetworkPlan(layers, dict.fromkeys(made.values, values), 8)
