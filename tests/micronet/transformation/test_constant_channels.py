"""Channels that do nothing: what goes, by hand, and what has to stay."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from micronet.analysis.constant_channels import constant_channels
from micronet.analysis.shapes import shapes
from micronet.analysis.totals import network_totals
from micronet.graph.capture import capture
from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph
from micronet.transformation.constant_channels import RemovedChannels, remove_channels

SIZE = 6


def captured(*layers: nn.Module) -> Graph:
    module = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    return capture(module.eval().requires_grad_(False), (3, SIZE, SIZE))


def without_filters(layer: nn.Conv2d, *filters: int) -> nn.Conv2d:
    with torch.no_grad():
        layer.weight[list(filters)] = 0
    return layer


def without_inputs(layer: nn.Conv2d, *inputs: int) -> nn.Conv2d:
    with torch.no_grad():
        layer.weight[:, list(inputs)] = 0
    return layer


def check(graph: Graph) -> tuple[RemovedChannels, ...]:
    smaller, removed = remove_channels(graph)
    images = torch.randn(2, *graph.input_shape)
    torch.testing.assert_close(interpret(smaller, images), interpret(graph, images), rtol=1e-4, atol=1e-5)
    assert remove_channels(smaller)[1] == ()
    assert network_totals(smaller).parameters < network_totals(graph).parameters or not removed
    return removed


def test_a_filter_of_zeros_by_hand() -> None:
    """One of 5 filters of 3 inputs, and its column in 4 filters: 3 + 1 parameters and 4 go, with 36 * 4 products."""
    graph = captured(without_filters(nn.Conv2d(3, 5, 1), 2), nn.ReLU(), nn.Conv2d(5, 4, 1))
    assert check(graph) == (RemovedChannels("0", constant=1, unread=0),)
    before, after = network_totals(graph), network_totals(remove_channels(graph)[0])
    assert before.parameters - after.parameters == 3 + 1 + 4
    assert before.multiplications - after.multiplications == 36 * (4 + 1)  # the ReLU's comparison, too
    assert before.additions - after.additions == 36 * 4  # the filter's own sum had no terms but its bias


def test_a_channel_nobody_reads_goes_with_what_made_it() -> None:
    graph = captured(
        nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.ReLU(), without_inputs(nn.Conv2d(5, 4, 3, padding=1), 1, 4)
    )
    assert check(graph) == (RemovedChannels("0", constant=0, unread=2),)


def test_what_feeds_only_removed_channels_goes_too() -> None:
    """The second layer's only reader of channel 0 is its filter 1, which nobody reads."""
    second = nn.Conv2d(5, 5, 1)
    with torch.no_grad():
        second.weight[:, 0] = 0
        second.weight[1, 0] = 1
    graph = captured(nn.Conv2d(3, 5, 1), nn.ReLU(), second, nn.ReLU(), without_inputs(nn.Conv2d(5, 4, 1), 1))
    assert check(graph) == (RemovedChannels("2", 0, 1), RemovedChannels("0", 0, 1))


def test_a_batch_norm_of_scale_zero_makes_a_constant() -> None:
    norm = nn.BatchNorm2d(5)
    nn.init.normal_(norm.bias)
    with torch.no_grad():
        norm.weight[3] = 0
    layers = [nn.Conv2d(3, 5, 3, padding=1), norm, nn.Hardswish(), nn.Conv2d(5, 4, 3)]
    assert check(captured(*layers)) == (RemovedChannels("0", 1, 0),)


@pytest.mark.parametrize(("bias", "gone"), [(0.0, 1), (1.0, 0), (-1.0, 1)])
def test_padding_of_zeros_lets_only_zeros_through(bias: float, gone: int) -> None:
    first = without_filters(nn.Conv2d(3, 5, 1), 2)
    nn.init.constant_(first.bias, bias)  # type: ignore[arg-type]
    removed = check(captured(first, nn.ReLU(), nn.Conv2d(5, 4, 3, padding=1)))
    assert sum(one.constant for one in removed) == gone


def test_a_depthwise_convolution_loses_its_channel() -> None:
    first = without_filters(nn.Conv2d(3, 6, 1, bias=False), 0, 4)
    layers = [
        first,
        nn.ReLU6(),
        nn.Conv2d(6, 6, 3, padding=1, groups=6),
        nn.SiLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 4, 1),
    ]
    assert check(captured(*layers)) == (RemovedChannels("0", 2, 0), RemovedChannels("2", 2, 0))


def test_a_flattened_channel_is_many_features() -> None:
    layers = [without_filters(nn.Conv2d(3, 5, 3), 1), nn.ReLU(), nn.Flatten(), nn.Linear(5 * 16, 3)]
    graph = capture(nn.Sequential(*layers).eval().requires_grad_(False), (3, SIZE, SIZE))
    assert check(graph) == (RemovedChannels("0", 1, 0),)
    assert network_totals(remove_channels(graph)[0]).parameters == 4 * 28 + 4 * 16 * 3 + 3


class Branches(nn.Module):
    """Two layers added, or gated, and a third that reads the result."""

    def __init__(self, join: Callable[[Tensor, Tensor], Tensor], one: nn.Conv2d, other: nn.Conv2d) -> None:
        super().__init__()
        self.one, self.other, self.join, self.last = one, other, join, nn.Conv2d(5, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.join(self.one(x), self.other(x))

    def network(self) -> Graph:
        return captured(self, nn.ReLU(), self.last)


def test_a_residual_sum_loses_only_what_all_its_operands_agree_on() -> None:
    one, other = without_filters(nn.Conv2d(3, 5, 1), 0, 1), without_filters(nn.Conv2d(3, 5, 1), 1, 2)
    removed = check(Branches(torch.add, one, other).network())
    assert removed == (RemovedChannels("0.one", 1, 0), RemovedChannels("0.other", 1, 0))


def test_a_gated_channel_of_zeros_goes_with_its_gate() -> None:
    def gated(x: Tensor, gate: Tensor) -> Tensor:
        return x * torch.sigmoid(gate.mean((2, 3), keepdim=True))

    one = without_filters(nn.Conv2d(3, 5, 1, bias=False), 3)
    removed = check(Branches(gated, one, nn.Conv2d(3, 5, 1)).network())
    assert removed == (RemovedChannels("0.one", 1, 0), RemovedChannels("0.other", 1, 0))


@pytest.mark.parametrize("join", [lambda x, y: torch.cat([x[:, :2], y[:, :3]], 1), lambda x, y: x.softmax(1) + y])
def test_channels_whose_ends_are_not_known_stay(join: Callable[[Tensor, Tensor], Tensor]) -> None:
    one, other = (without_filters(nn.Conv2d(3, 5, 1), 1) for _ in range(2))
    assert check(Branches(join, one, other).network()) == ()


def test_logits_and_the_last_channel_stay() -> None:
    with torch.no_grad():
        graph = captured(without_filters(nn.Conv2d(3, 5, 1), *range(5)), nn.ReLU(), nn.Conv2d(5, 4, 1))
        graph.weights[graph.nodes[-1].args[1].name][1] = 0  # type: ignore[union-attr]
    smaller, removed = remove_channels(graph)
    assert removed[0] == RemovedChannels("0", 4, 0)
    assert shapes(smaller)[smaller.output] == (1, 3)
    check(graph)


def test_a_new_bias_has_to_pay() -> None:
    """The constant reaches one of 4 filters that had no bias: a bias for all costs more than the one weight saves."""
    first, second = without_filters(nn.Conv2d(3, 5, 1), 0), nn.Conv2d(5, 4, 1, bias=False)
    with torch.no_grad():
        second.weight[1:, 0] = 0
        first.bias[0] = 1  # type: ignore[index]
    assert check(captured(first, nn.ReLU(), second)) == ()


def test_constants_by_hand() -> None:
    """Bias 2 becomes 3 in the addition, 1.5 in the product, and of -1 the ReLU makes 0, which is 1 and 0.5."""
    first = without_filters(nn.Conv2d(3, 3, 1), 0, 2)
    with torch.no_grad():
        first.bias.copy_(torch.tensor([2.0, 5.0, -1.0]))  # type: ignore[union-attr]

    class Arithmetic(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (torch.relu(x) + 1) * 0.5

    graph = capture(nn.Sequential(first, Arithmetic(), nn.MaxPool2d(3, 1, 1), nn.Flatten()), (3, 2, 2))
    found = constant_channels(graph, shapes(graph))
    expected = torch.tensor([1.5, torch.nan, 0.5], dtype=torch.float64)
    pooled = next(node.name for node in graph.nodes if "max_pool2d" in str(node.target))
    torch.testing.assert_close(found[pooled], expected, equal_nan=True)
    torch.testing.assert_close(found[graph.output], expected.repeat_interleave(4), equal_nan=True)
