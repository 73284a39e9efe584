"""Small layers with images that make some of their inputs alike, as those of real ones are."""

import torch
from torch import Tensor, nn

from micronet.graph.capture import capture
from micronet.optimization.moments import Moments, moments
from micronet.optimization.plan import LayerChoice, Plan, Subject, subject
from micronet.optimization.rounding import Wanted
from micronet.optimization.sites import Site
from micronet.optimization.zeros import solved

LAYERS = {
    "linear": lambda: nn.Linear(12, 7),
    "pointwise": lambda: nn.Conv2d(12, 7, 1),
    "strided": lambda: nn.Conv2d(12, 6, 1, stride=2),
    "convolution": lambda: nn.Conv2d(12, 6, 3, padding=1, stride=2),
    "grouped": lambda: nn.Conv2d(12, 6, 3, padding=1, groups=3),
    "depthwise": lambda: nn.Conv2d(12, 12, 3, padding=1, groups=12, bias=False),
}


def one_layer(kind: str) -> tuple[Subject, Site, Tensor]:
    """A network of one layer, the layer, and inputs (40, 12, ...) that depend on each other."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        layer = LAYERS[kind]().eval().requires_grad_(False)
        mixing = torch.randn(12, 12) * torch.linspace(1, 0.05, 12)
        values = torch.randn(40, 12) if kind == "linear" else torch.randn(40, 12, 5, 5)
    values = torch.einsum("nc...,cd->nd...", values, mixing) + 0.3
    made = subject(capture(layer, tuple(values.shape[1:])))
    (site,) = made.sites.values()
    return made, site, values


def outputs_of(site: Site, values: Tensor) -> Tensor:
    layer = site.layer
    if layer.weight.dim() == 2:
        return nn.functional.linear(values, layer.weight, layer.bias)
    geometry = (layer.stride, layer.padding, layer.dilation, layer.groups)
    return nn.functional.conv2d(values, layer.weight, layer.bias, *geometry)


def wanted(kind: str) -> tuple[Wanted, Moments]:
    """A layer's own weights as what is to be rounded."""
    _, site, values = one_layer(kind)
    seen = moments(site, values, outputs_of(site, values))
    rows = site.rows.double()
    return Wanted(rows, seen.inputs, solved(rows, rows != 0, seen)[1]), seen


def alike(made: Subject, weights: int, inputs: int, values: int = 8) -> Plan:
    """One width for each kind."""
    layers = {name: LayerChoice(weights, inputs, site.rows != 0) for name, site in made.sites.items()}
    return Plan(layers, dict.fromkeys(made.values, values), 8)
