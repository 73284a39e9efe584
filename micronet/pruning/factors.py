"""Kronecker factors of the Fisher information, layer by layer, from some images."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from micronet.errors import NumericalError
from micronet.evaluation.inputs import Inputs
from micronet.graph.interpret import last_uses
from micronet.graph.ir import Graph, Node, substitute
from micronet.progress import Advance, unheard
from micronet.pruning.blocks import Block
from micronet.pruning.eigenbasis import Factors

Answers = Callable[[Tensor, int], Iterator[tuple[Tensor, Tensor]]]
"""From probabilities (n, classes) of the images from the given one on: labels (n,), and what they weigh (n,)."""


def sampled(images: int, seed: int) -> Answers:
    """One label for each of `images`, drawn from the network's own prediction: an unbiased estimate of the Fisher.

    Not the true labels (the "empirical Fisher"): of a trained network their gradients are next to nothing, and their
    second moment is not what the loss curves by (Kunstner et al. 2019). An image's draw does not depend on batches.
    """
    draws = torch.rand(images, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)

    def answers(probabilities: Tensor, start: int) -> Iterator[tuple[Tensor, Tensor]]:
        cumulative = probabilities.cpu().double().cumsum(1)
        u = draws[start : start + len(probabilities)] * cumulative[:, -1:]
        labels = (cumulative <= u).sum(1).clamp(max=probabilities.shape[1] - 1)
        yield labels.to(probabilities.device), torch.ones(len(labels), device=probabilities.device)

    return answers


def every_class(probabilities: Tensor, _start: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Every label, weighing as much as the network believes in it: the Fisher exactly, at one pass per class."""
    for label in range(probabilities.shape[1]):
        yield torch.full((len(probabilities),), label, device=probabilities.device), probabilities[:, label]


def factors(
    graph: Graph,
    blocks: tuple[Block, ...],
    inputs: Inputs,
    device: torch.device,
    answers: Answers,
    *,
    batch: int = 128,
    advance: Advance = unheard,
) -> dict[str, Factors]:
    """Factors of each block's core, by the block's name, on the CPU in float64; batch norms as in evaluation.

    Over images n, output positions t (of T) and taps k (of K) of the kernel, with a the input at the pixel that tap k
    reads at t (zero where that is padding) and g the gradient of log p(label | image n) at output t:

        A = mean over n, t, k of a a'         G = mean over n of the sum over t of g g'

    so that the Fisher of the core's weights is about I_K x A x G (Grosse and Martens 2016, whose derivatives at
    different positions are uncorrelated). For a linear layer T = K = 1; more axes count as positions, folded into that
    of the images or not. Raises NumericalError where they are no numbers.
    """
    gathered = _Gathered(graph, blocks, device)
    for start in inputs.starts(batch):
        images, _ = inputs.batch(start, batch)
        gathered.add_(images.to(device), start, answers)
        advance(min(start + batch, len(inputs)), len(inputs), "images")
    return gathered.means(len(inputs))


class _Gathered:
    """Sums over the images so far."""

    def __init__(self, graph: Graph, blocks: tuple[Block, ...], device: torch.device) -> None:
        self._graph = graph
        self._weights = {name: weight.to(device) for name, weight in graph.weights.items()}
        self._cores = {block.core.name: block for block in blocks}
        self._dead = last_uses(graph)
        self._a: dict[str, Tensor] = {}
        self._g: dict[str, Tensor] = {}
        self._read: dict[str, Tensor] = {}

    def add_(self, images: Tensor, start: int, answers: Answers) -> None:
        with torch.enable_grad():
            log = F.log_softmax(self._run(images), 1)
            passes = list(answers(log.detach().exp(), start))
            for index, (labels, weights) in enumerate(passes):
                # scaled by the root of its weight, an image's g g' has that weight
                likelihood = (log.gather(1, labels[:, None])[:, 0] * weights.sqrt()).sum()
                torch.autograd.backward(likelihood, retain_graph=index < len(passes) - 1)

    def means(self, images: int) -> dict[str, Factors]:
        sums = {block.name: (self._a[name].cpu(), self._g[name].cpu()) for name, block in self._cores.items()}
        for name, both in sums.items():
            if not all(bool(one.isfinite().all()) for one in both):
                raise NumericalError(
                    f"what {name} reads, or the gradient of its outputs, is NaN or infinite, so there is no Fisher "
                    "information. Check the weights, and normalization."
                )
        return {name: Factors(a / images, g / images) for name, (a, g) in sums.items()}

    def _run(self, images: Tensor) -> Tensor:
        """Logits; cores' inputs are added on the way, gradients of their outputs whenever there is a backward pass."""
        graph = self._graph
        values: dict[str, object] = {**self._weights, graph.input: images}
        for node, dead in zip(graph.nodes, self._dead, strict=True):
            value = node.value(values)
            if node.name in self._cores:
                assert isinstance(value, Tensor)
                self._add_inputs_(node, values, value, len(images))
                value = value if value.requires_grad else value.requires_grad_()
                value.register_hook(partial(self._add_gradient_, node.name))  # type: ignore[no-untyped-call]
            values[node.name] = value
            for name in dead:
                del values[name]
        logits = values[graph.output]
        assert isinstance(logits, Tensor)
        return logits

    @torch.no_grad()
    def _add_inputs_(self, node: Node, values: Mapping[str, object], output: Tensor, images: int) -> None:
        x, weight = (substitute(argument, values) for argument in node.args[:2])
        assert isinstance(x, Tensor)
        assert isinstance(weight, Tensor)
        block = self._cores[node.name]
        rows = _rows(x, block)
        positions = len(_rows(output, block)) // images  # of each, on whichever axes they lie
        if block.is_convolution:
            if node.name not in self._read:
                self._read[node.name] = times_read(block, weight, x)
            times = self._read[node.name].flatten().repeat(len(x))[:, None]
            added = rows.T @ (rows * times) / (weight[0, 0].numel() * positions)
        else:
            added = rows.T @ rows / positions
        self._a[node.name] = _sum(self._a.get(node.name), added)

    def _add_gradient_(self, name: str, gradient: Tensor) -> None:
        rows = _rows(gradient, self._cores[name])
        self._g[name] = _sum(self._g.get(name), rows.T @ rows)


def _sum(so_far: Tensor | None, added: Tensor) -> Tensor:
    return added.double() if so_far is None else so_far + added


def times_read(block: Block, weight: Tensor, x: Tensor) -> Tensor:
    """(H, W): how many pairs of a tap and an output position read each pixel of an image x (N, C, H, W)."""
    kernel, size = weight.shape[2:], x.shape[2:]
    where = {"dilation": block.dilation, "padding": block.padding, "stride": block.stride}
    ones = torch.ones(1, 1, *size, device=x.device)
    return F.fold(torch.ones_like(F.unfold(ones, kernel, **where)), size, kernel, **where)[0, 0]


def _rows(x: Tensor, block: Block) -> Tensor:
    """(positions, channels) of a value: channels are axis 1 of a convolution, the last one of a linear layer."""
    return (x.movedim(1, -1) if block.is_convolution else x).reshape(-1, x.shape[1 if block.is_convolution else -1])
