"""How much an error anywhere in a network moves its answers: gradients of logits, no labels needed.

An error e of a value, if it is small, moves the logits by J e. With v of standard normal numbers |J e|^2 is the mean of
(v J e)^2 (Hutchinson's estimate), and v J is a gradient. Logits are taken about their mean, which no answer depends on,
and squared changes over their own squares, so that 1 is an error as large as the logits.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from micronet.errors import SettingsError
from micronet.graph.grid import Grid, on_grid
from micronet.graph.ir import Graph, Ref
from micronet.optimization.network_parts import NetworkParts, tensor_in
from micronet.optimization.quantizable_layers import QuantizableLayer

BATCH = 32
PROJECTIONS = 2

ValueKey = tuple[str, str]
"""("output", name) is a node's value, for all that read it; ("input", name) what a layer reads, for it alone."""
_KINDS = ("input", "output")


def keys(network: NetworkParts) -> list[ValueKey]:
    """Where errors are made: outputs of layers (by their weights), their inputs, and what hard swishes read."""
    outputs = dict.fromkeys([*network.layers, *(gate.x for gate in network.gates)])
    return [("output", name) for name in outputs] + [("input", name) for name in network.layers]


def sensitivities(network: NetworkParts, images: Tensor, seed: int) -> dict[str, Tensor]:
    """(channels,) for the output of every layer: the squared change of logits by a unit squared error of one element.

    For errors of elements that do not depend on each other, E|J e|^2 = sum e_i^2 E|J_i|^2. The mean runs over `images`
    (N, C, H, W) and positions.
    """
    sums: dict[str, Tensor] = {}
    wanted = [key for key in keys(network) if key[0] == "output"]
    size = 0.0
    for probe in _probes(network.graph, images, wanted, seed):
        size += probe.size
        for (_, name), (_, gradient) in probe.values.items():
            squares = _by_channel(gradient.double().square(), _channels(network, name, gradient))
            sums[name] = sums.get(name, torch.zeros_like(squares)) + squares
    return {name: total / size for name, total in sums.items()}


def noises(
    network: NetworkParts, images: Tensor, grids: Mapping[ValueKey, Sequence[Grid]], seed: int
) -> dict[ValueKey, list[float]]:
    """The squared change of the logits by putting one value on each of its `grids`, its mean by channel corrected.

    Taken as it is, not as if its elements were independent: where steps are coarse, neighbouring pixels err alike.
    """
    sums = {key: [0.0] * len(found) for key, found in grids.items()}
    size = 0.0
    for probe in _probes(network.graph, images, list(grids), seed):
        size += probe.size
        for key, (value, gradient) in probe.values.items():
            for index, grid in enumerate(grids[key]):
                error = _centred(on_grid(value, grid) - value, _channels(network, key[1], value))
                sums[key][index] += float((error * gradient).flatten(1).sum(1).double().square().sum())
    return {key: [one / size for one in found] for key, found in sums.items()}


def moves(
    network: NetworkParts, images: Tensor, changes: Mapping[str, Sequence[Tensor]], seed: int
) -> dict[str, list[float]]:
    """To first order, the squared change of the logits by each of the `changes` (filters, terms) of a layer's weights.

    The mean by filter over a batch is corrected where there is a bias.
    Taken as it is: what a weight's error does at one position it does at all of them, and to filters that read alike.
    """
    sums = {name: [0.0] * len(found) for name, found in changes.items()}
    stacked = {name: torch.stack([one.flatten() for one in found], 1).float() for name, found in changes.items()}
    size = 0.0
    for probe in _probes(network.graph, images, [(kind, name) for name in changes for kind in _KINDS], seed):
        size += probe.size
        for name, by_change in stacked.items():
            read, made = (probe.values[kind, name] for kind in _KINDS)
            moved = _gradients(network.layers[name], read[0], made[1]) @ by_change
            sums[name] = [old + new for old, new in zip(sums[name], moved.double().square().sum(0), strict=True)]
    return {name: [float(one) / size for one in found] for name, found in sums.items()}


def _gradients(layer: QuantizableLayer, values: Tensor, gradients: Tensor) -> Tensor:
    """(N, weights): of each image's projection by a layer's weights, from what it reads and from the gradients of its
    outputs (N, filters, ...). With a bias, which takes the mean out, by columns about their mean."""
    columns, outputs = layer.columns(values), layer.outputs(gradients)
    if layer.linear.bias is not None:
        columns = columns - columns.mean(2, keepdim=True)
    read, made = (part.reshape(*part.shape[:2], len(values), -1).movedim(2, 0) for part in (columns, outputs))
    return torch.matmul(made, read.transpose(2, 3)).flatten(1)


def _channels(network: NetworkParts, name: str, value: Tensor) -> int:
    """The axis of the channels of what the layer `name` makes and reads; of another `value` the usual one."""
    layer = network.layers.get(name)
    return layer.channels if layer is not None else 1 if value.dim() == 4 else -1


def _centred(errors: Tensor, channels: int) -> Tensor:
    """Less their mean by index of the axis `channels`, which a bias takes out."""
    means = errors.movedim(channels, 0).flatten(1).mean(1)
    return errors - means.view(-1, *[1] * (errors.dim() - 1 - channels % errors.dim()))


@dataclass(frozen=True, slots=True)
class _Probe:
    """Values and the gradients of one projection of the logits, and the squares of the logits of these images."""

    values: Mapping[ValueKey, tuple[Tensor, Tensor]]
    size: float


def _probes(graph: Graph, images: Tensor, wanted: Sequence[ValueKey], seed: int) -> Iterator[_Probe]:
    """Of every batch and projection. Raises SettingsError where all answers are the same, as nothing can move these."""
    generator = torch.Generator().manual_seed(seed)
    total = 0.0
    for some in torch.split(images, BATCH):
        logits, values = _run(graph, some, wanted)
        size = float(logits.detach().double().square().sum())
        total += size
        for turn in range(PROJECTIONS):
            projection = torch.randn(logits.shape, generator=generator)
            scalar, again = (logits * projection).sum(), turn + 1 < PROJECTIONS
            gradients = torch.autograd.grad(scalar, list(values.values()), retain_graph=again)
            pairs = zip(values, gradients, strict=True)
            yield _Probe({key: (values[key].detach(), gradient) for key, gradient in pairs}, size)
    if total == 0:
        raise SettingsError(
            f"for each of {len(images)} calibration images the network gives every class the same logit, and errors "
            "are measured against what tells its answers apart. Start from a trained network."
        )


def _run(graph: Graph, images: Tensor, wanted: Sequence[ValueKey]) -> tuple[Tensor, dict[ValueKey, Tensor]]:
    """Centred logits, and the values of `wanted`, which they depend on."""
    values: dict[str, object] = {**graph.weights, graph.input: images.clone().requires_grad_()}
    asked, kept = set(wanted), dict[ValueKey, Tensor]()
    for node in graph.nodes:
        own = dict(values)
        source = node.args[0]
        if ("input", node.name) in asked and isinstance(source, Ref):
            own[source.name] = kept["input", node.name] = tensor_in(values, source.name) * 1.0
        values[node.name] = node.value(own)
        if ("output", node.name) in asked:
            kept["output", node.name] = tensor_in(values, node.name)
    logits = tensor_in(values, graph.output)
    return logits - logits.mean(1, keepdim=True), {key: kept[key] for key in wanted}


def _by_channel(squares: Tensor, channels: int) -> Tensor:
    """Sum over images, mean over positions: (N, ...) to one number per index of the axis `channels`."""
    return squares.movedim(channels, 1).sum(0).flatten(1).mean(1) if squares.dim() > 2 else squares.sum(0)
