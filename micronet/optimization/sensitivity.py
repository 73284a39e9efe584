"""How much an error anywhere in a network moves its answers: squared gradients of logits, no labels needed."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from micronet.graph.ir import Graph, substitute

BATCH = 32
PROJECTIONS = 2


def sensitivities(graph: Graph, images: Tensor, names: Iterable[str], seed: int) -> dict[str, Tensor]:
    """(channels,) for each value of `names`: how far a squared error of one element moves the logits, squared.

    For errors e that are small and of elements that do not depend on each other, the logits move by J e, and
    E|J e|^2 = sum e_i^2 E|J_i|^2. With v of standard normal numbers, E (v J)_i^2 = |J_i|^2 (Hutchinson's estimate), and
    v J is a gradient. Logits are taken about their mean, which no answer depends on, and over their own size, so that 1
    is an error as large as the logits. The mean runs over `images` (N, C, H, W) and positions.
    """
    wanted = dict.fromkeys(names)
    generator = torch.Generator().manual_seed(seed)
    sums: dict[str, Tensor] = {}
    size = 0.0
    for some in torch.split(images, BATCH):
        logits, values = _run(graph, some, wanted)
        size += float(logits.detach().double().square().sum())
        for turn in range(PROJECTIONS):
            projection = torch.randn(logits.shape, generator=generator)
            gradients = torch.autograd.grad(
                (logits * projection).sum(), list(values.values()), retain_graph=turn + 1 < PROJECTIONS
            )
            for name, gradient in zip(values, gradients, strict=True):
                squares = _by_channel(gradient.double().square())
                sums[name] = sums.get(name, torch.zeros_like(squares)) + squares
    return {name: total / PROJECTIONS / size for name, total in sums.items()}


def _run(graph: Graph, images: Tensor, wanted: Mapping[str, None]) -> tuple[Tensor, dict[str, Tensor]]:
    """Centred logits, and the values of `wanted`, which they depend on."""
    values: dict[str, object] = {**graph.weights, graph.input: images.clone().requires_grad_()}
    for node in graph.nodes:
        kwargs = {key: substitute(argument, values) for key, argument in node.kwargs.items()}
        values[node.name] = node.target(*(substitute(argument, values) for argument in node.args), **kwargs)
    logits = values[graph.output]
    assert isinstance(logits, Tensor)
    kept = {name: value for name in wanted if isinstance(value := values[name], Tensor)}
    return logits - logits.mean(1, keepdim=True), kept


def _by_channel(squares: Tensor) -> Tensor:
    """Sum over images, mean over positions: (N, channels, ...) to (channels,)."""
    return squares.sum(0).flatten(1).mean(1) if squares.dim() > 2 else squares.sum(0)
