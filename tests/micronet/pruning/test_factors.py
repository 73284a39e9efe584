"""Kronecker factors: by loops over images, positions, taps, classes; and against the exact Fisher."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from micronet import network_file
from micronet.data.split import Split
from micronet.errors import NumericalError
from micronet.evaluation.inputs import Inputs
from micronet.graph.capture import capture
from micronet.graph.ir import Graph
from micronet.pruning.blocks import find_blocks
from micronet.pruning.eigenbasis import Factors
from micronet.pruning.factors import Answers, every_class, factors, sampled

CPU = torch.device("cpu")
SHAPE = (3, 5, 6)


class Small(nn.Module):
    """A strided, padded convolution of uneven dilation, a pointwise one, a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, stride=2, padding=(1, 2), dilation=(1, 2))
        self.second = nn.Conv2d(4, 3, 1, stride=2, bias=False)
        self.last = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.tanh(self.second(torch.tanh(self.first(x))))
        return self.last(hidden.mean((2, 3)))


def small() -> tuple[nn.Module, Graph]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = Small().eval()
    with torch.no_grad():
        return module, capture(module, SHAPE)


def some_inputs(count: int, shape: tuple[int, ...] = SHAPE, same: bool = False) -> Inputs:
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(256, (1 if same else count, *shape), generator=generator, dtype=torch.uint8)
    split = Split.of("noise", pixels.expand(count, *shape).contiguous(), torch.zeros(count, dtype=torch.int64))
    return Inputs(split, (0.5,) * shape[0], (0.25,) * shape[0])


def found(graph: Graph, inputs: Inputs, answers: Answers = every_class, batch: int = 128) -> dict[str, Factors]:
    return factors(graph, find_blocks(graph)[0], inputs, CPU, answers, batch=batch)


def test_factors_are_those_of_loops() -> None:
    module, graph = small()
    inputs = some_inputs(3)
    ours = found(graph, inputs)
    images, _ = inputs.batch(0, 3)
    for name in ("first", "second", "last"):
        layer = module.get_submodule(name)
        a = torch.zeros_like(ours[name].inputs)
        g = torch.zeros_like(ours[name].outputs)
        for image in images:
            seen: dict[str, Tensor] = {}
            hook = layer.register_forward_hook(lambda _m, i, o, seen=seen: seen.update(x=i[0], y=o))
            log = F.log_softmax(module(image[None]), 1)[0]
            hook.remove()
            vectors = taps(layer, seen["x"])
            a += sum(torch.outer(v, v) for v in vectors) / len(vectors) / 3
            for label in range(3):
                (gradient,) = torch.autograd.grad(log[label], seen["y"], retain_graph=True)
                for position in gradient.reshape(gradient.shape[1], -1).T:
                    g += float(log[label].detach().exp()) * torch.outer(position, position) / 3
        torch.testing.assert_close(ours[name].inputs, a, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(ours[name].outputs, g, rtol=1e-4, atol=1e-6)


def taps(layer: nn.Module, x: Tensor) -> list[Tensor]:
    """The input vector at each tap of each output position of one image, zeros for padding."""
    if isinstance(layer, nn.Linear):
        return [x[0].detach()]
    assert isinstance(layer, nn.Conv2d)
    (down, right), (top, left) = layer.stride, layer.padding
    y = layer(x)
    vectors = []
    for row in range(y.shape[2]):
        for column in range(y.shape[3]):
            for i in range(layer.kernel_size[0]):
                for j in range(layer.kernel_size[1]):
                    h, w = row * down + i * layer.dilation[0] - top, column * right + j * layer.dilation[1] - left
                    inside = 0 <= h < x.shape[2] and 0 <= w < x.shape[3]
                    vectors.append(x[0, :, h, w].detach() if inside else torch.zeros(x.shape[1]))
    return vectors


class Folded(nn.Module):
    """Linear layers over 30 tokens, and a convolution over 6 rows of each image, on axes that are one with images."""

    def __init__(self, fold: bool) -> None:
        super().__init__()
        self._fold = fold
        self.tokens, self.across, self.last = nn.Linear(3, 4), nn.Conv2d(4, 3, (1, 3), padding=(0, 1)), nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        hidden = x.permute(0, 2, 3, 1)
        hidden = self.tokens(hidden.reshape(-1, 3)).reshape(-1, 5, 6, 4) if self._fold else self.tokens(hidden)
        rows = torch.tanh(hidden).permute(0, 3, 1, 2)
        if self._fold:
            rows = self.across(rows.permute(0, 2, 1, 3).reshape(-1, 4, 1, 6)).reshape(-1, 5, 3, 6).permute(0, 2, 1, 3)
        else:
            rows = self.across(rows)
        return self.last(rows.mean((2, 3)))


def test_positions_count_alike_on_whichever_axis_they_lie() -> None:
    """As a file has them, for one: its linear layers read matrices only."""
    graphs = []
    for fold in (False, True):
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(0)
            graphs.append(capture(Folded(fold).eval(), SHAPE))
    plain, folded = (found(graph, some_inputs(3)) for graph in graphs)
    filed = found(network_file.from_bytes(network_file.to_bytes(graphs[0])), some_inputs(3))
    for name, both in plain.items():
        for other in (folded[name], filed[name]):
            torch.testing.assert_close(other.inputs, both.inputs, rtol=1e-4, atol=1e-7)
            torch.testing.assert_close(other.outputs, both.outputs, rtol=1e-4, atol=1e-7)


def test_what_is_no_number_is_no_information() -> None:
    _, graph = small()
    graph.weights["first.bias"].fill_(float("nan"))
    with pytest.raises(NumericalError, match="NaN or infinite, so there is no Fisher information"):
        found(graph, some_inputs(2))


def test_a_split_into_batches_changes_nothing() -> None:
    _, graph = small()
    inputs = some_inputs(7)
    for answers in (every_class, sampled(7, seed=0)):
        whole, parts = found(graph, inputs, answers), found(graph, inputs, answers, batch=3)
        for name, both in whole.items():
            torch.testing.assert_close(parts[name].inputs, both.inputs, rtol=1e-4, atol=1e-7)
            torch.testing.assert_close(parts[name].outputs, both.outputs, rtol=1e-4, atol=1e-7)


def test_labels_are_drawn_as_often_as_the_network_believes_in_them() -> None:
    believed = torch.tensor([[0.1, 0.0, 0.6, 0.3]]).expand(20_000, 4)
    ((labels, weights),) = sampled(20_000, seed=0)(believed, 0)
    shares = torch.bincount(labels, minlength=4) / len(labels)
    torch.testing.assert_close(shares, believed[0], atol=0.015, rtol=0)  # four deviations of a share of 0.6
    assert shares[1] == 0
    assert bool((weights == 1).all())
    again = next(sampled(20_000, seed=0)(believed, 0))[0]
    assert torch.equal(again, labels)


def test_sampling_comes_to_the_exact_factors() -> None:
    _, graph = small()
    inputs = some_inputs(4000, same=True)
    exact, drawn = found(graph, some_inputs(1)), found(graph, inputs, sampled(4000, seed=0), batch=1000)
    for name, both in exact.items():
        largest = float(both.outputs.abs().max())
        torch.testing.assert_close(drawn[name].outputs, both.outputs, rtol=0, atol=0.1 * largest)


@pytest.mark.parametrize("name", ["hidden", "last"])
def test_of_one_image_a_linear_layers_fisher_is_the_product_of_its_factors(name: str) -> None:
    """Inputs do not vary, so they cannot vary with the gradients: E[gg' x aa'] = E[gg'] x aa'."""
    module, graph, inputs = one_image()
    both = found(graph, inputs)[name]
    product = torch.kron(both.outputs, both.inputs).float()
    torch.testing.assert_close(fisher(module, inputs, f"{name}.weight"), product, rtol=1e-4, atol=1e-7)


def one_image() -> tuple[nn.Module, Graph, Inputs]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        parts = nn.Sequential()
        parts.add_module("flatten", nn.Flatten())
        parts.add_module("hidden", nn.Linear(12, 5))
        parts.add_module("tanh", nn.Tanh())
        parts.add_module("last", nn.Linear(5, 4))
    with torch.no_grad():
        return parts, capture(parts, (3, 2, 2)), some_inputs(1, (3, 2, 2))


def fisher(module: nn.Module, inputs: Inputs, name: str) -> Tensor:
    """Exactly: the mean over images and classes, as the network believes in them, of the gradient times itself."""
    images, _ = inputs.batch(0, len(inputs))
    weight = module.get_parameter(name)
    total = torch.zeros(weight.numel(), weight.numel())
    for image in images:
        log = F.log_softmax(module(image[None]), 1)[0]
        for label in range(len(log)):
            (gradient,) = torch.autograd.grad(log[label], weight, retain_graph=True)
            total += (
                float(log[label].detach().exp()) * torch.outer(gradient.flatten(), gradient.flatten()) / len(images)
            )
    return total
