"""Fused equals unfused; and where it would not, nothing is fused."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from torch import Tensor, nn

from micronet.analysis.counts import count
from micronet.architectures.load import create_network
from micronet.graph.capture import capture
from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph, rename
from micronet.transformation.fuse_batchnorm import fuse_batchnorm
from tests.micronet.networks import CHANNELS, IMAGE, Residual, images, network, networks

aten = torch.ops.aten


def _norms(graph: Graph) -> list[str]:
    return [node.layer for node in graph.nodes if node.target is aten.batch_norm.default]


def _check(graph: Graph, fused: Graph, count: int = 3) -> None:
    """Equal in float64, up to the float32 rounding of each merged weight."""
    batch = torch.randn(count, *graph.input_shape, dtype=torch.float64)
    one, other = (interpret(_wide(each), batch) for each in (graph, fused))
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * float(one.abs().max()))


def _wide(graph: Graph) -> Graph:
    return replace(graph, weights={name: weight.double() for name, weight in graph.weights.items()})


@settings(max_examples=60)
@given(networks(8))
def test_fused_equals_unfused(module: nn.Module) -> None:
    graph = capture(module, IMAGE)
    fused = fuse_batchnorm(graph)
    _check(graph, fused)
    assert len(_norms(fused)) < len(_norms(graph))  # the one before the last layer at least
    assert fuse_batchnorm(fused) == fused


@pytest.mark.parametrize("layer", ["pointwise", "convolution", "depthwise", "grouped"])
def test_after_any_convolution(layer: str) -> None:
    graph = capture(network([layer, "norm", "relu"]), IMAGE)
    assert _norms(fuse_batchnorm(graph)) == []


def test_before_a_pointwise_convolution_and_a_fully_connected_layer() -> None:
    graph = capture(network(["relu", "norm", "pointwise"]), IMAGE)
    fused = fuse_batchnorm(graph)
    assert _norms(fused) == []
    assert len(count(fused).layers) == len(count(graph).layers) - 2


def test_a_strided_pointwise_convolution_sees_no_padding_either() -> None:
    norm = network(["norm"])[0]
    module = nn.Sequential(norm, nn.Conv2d(CHANNELS, 2, 1, stride=2), nn.Flatten()).eval().requires_grad_(False)
    fused = fuse_batchnorm(capture(module, IMAGE))
    assert _norms(fused) == []
    _check(capture(module, IMAGE), fused)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(CHANNELS, 2, 3, padding=1),  # the padding is zero, not what the norm makes of zero
        nn.Conv2d(CHANNELS, 2, 1, padding=1),
        nn.Conv2d(CHANNELS, 2, 3),  # exact too, but not done: no network of the table needs it
        nn.Conv2d(CHANNELS, 2, 1, groups=2),
    ],
)
def test_not_before_a_convolution_that_pads_or_has_groups_or_a_window(layer: nn.Module) -> None:
    module = nn.Sequential(network(["norm"])[0], layer, nn.Flatten()).eval().requires_grad_(False)
    assert _norms(fuse_batchnorm(capture(module, IMAGE))) == ["0"]


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize(
    ("filters", "bias", "stays"),
    [
        (100, False, ["0"]),  # 100 parameters and additions, for 6 and 3
        (4, False, ["0"]),  # an addition more
        (3, False, []),
        (100, True, []),  # a bias that is there takes the shift on for nothing
    ],
)
def test_a_norm_before_a_layer_stays_where_the_bias_that_the_layer_would_get_is_dearer(
    filters: int, bias: bool, stays: list[str], device: str
) -> None:
    """It was merged wherever that is exact, and BatchNorm1d(3) before Linear(3, 100, bias=False) cost 29 % more."""
    module = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, filters, bias=bias)).eval().requires_grad_(False)
    nn.init.normal_(module[0].bias)
    graph = capture(module.to(device), (3,))
    fused = fuse_batchnorm(graph)
    assert _norms(fused) == stays
    multiplications, additions = (
        [sum(getattr(layer.operations, what) for layer in count(each).layers) for each in (graph, fused)]
        for what in ("all_multiplications", "all_additions")
    )
    assert multiplications[1] <= multiplications[0]
    assert additions[1] <= additions[0]


def test_a_chain_of_norm_layer_norm_becomes_one_layer() -> None:
    graph = capture(network(["norm", "pointwise", "norm", "norm", "pointwise", "norm"]), IMAGE)
    fused = fuse_batchnorm(graph)
    assert _norms(fused) == []
    assert [node.target for node in fused.nodes].count(aten.conv2d.default) == 2
    _check(graph, fused)


class Shared(nn.Module):
    """Each of the ways in which a batch norm cannot go: `way` says which."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.conv = nn.Conv2d(CHANNELS, CHANNELS, 3)
        self.norm, self.other = nn.BatchNorm2d(CHANNELS), nn.BatchNorm2d(CHANNELS)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        if self.way == "layer read twice":
            return (self.norm(y) + y).flatten(1)
        if self.way == "weights read twice":
            return (self.norm(y) + self.other(self.conv(x + 1))).flatten(1)
        if self.way == "something between":
            return self.norm(torch.relu(y)).flatten(1)
        return self.norm(x).flatten(1)


@pytest.mark.parametrize("way", ["layer read twice", "weights read twice", "something between", "no layer"])
def test_a_norm_whose_layer_others_need_stays(way: str) -> None:
    graph = capture(Shared(way), IMAGE)
    assert _norms(fuse_batchnorm(graph)) == _norms(graph) != []


def test_a_norm_that_is_read_twice_stays_before_its_layer() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.conv = nn.BatchNorm2d(CHANNELS), nn.Conv2d(CHANNELS, CHANNELS, 1)

        def forward(self, x: Tensor) -> Tensor:
            y = self.norm(x)
            return (self.conv(y) + y).flatten(1)

    assert _norms(fuse_batchnorm(capture(Twice(), IMAGE))) == ["norm"]


@pytest.mark.parametrize("order", ["before", "after"])
def test_a_norm_over_another_axis_than_the_layer_sums_over_stays(order: str) -> None:
    """On (N, 5, 5) a batch norm scales axis 1 and a fully connected layer sums over axis 2."""
    layers = [nn.Linear(5, 5), nn.BatchNorm1d(5)]
    body = layers if order == "after" else layers[::-1]
    module = nn.Sequential(*body, nn.Flatten()).eval().requires_grad_(False)
    nn.init.uniform_(layers[1].weight)
    graph = capture(module, (5, 5))
    fused = fuse_batchnorm(graph)
    assert len(_norms(fused)) == 1
    _check(graph, fused)


def test_zeros_stay_zero() -> None:
    module = network(["convolution", "norm", "relu", "norm", "pointwise", "norm"])
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            layer.weight *= torch.rand(layer.weight.shape) < 0.5
    graph = capture(module, IMAGE)
    fused = fuse_batchnorm(graph)
    zeros = [sorted(int((w == 0).sum()) for w in g.weights.values() if w.dim() == 4) for g in (graph, fused)]
    assert zeros[0] == zeros[1] != [0, 0]


def test_the_residual_sum_keeps_its_operands() -> None:
    module = nn.Sequential(Residual(inplace=True), nn.Flatten()).eval().requires_grad_(False)
    graph = capture(module, IMAGE)
    fused = fuse_batchnorm(graph)
    assert _norms(fused) == []
    torch.testing.assert_close(interpret(fused, images(2)), interpret(graph, images(2)))


def test_pyramidnet_keeps_one_norm_only() -> None:
    """The first of a bottleneck block stands before a 1x1 convolution and goes into it, the others into the layer
    before them. The last of all follows a sum and stands before a ReLU: it stays."""
    network = create_network("pyramidnet", {"depth": 11, "alpha": 12}).requires_grad_(False)
    assert _norms(fuse_batchnorm(capture(network, (3, 32, 32)))) == ["bn_final"]


def test_pyramidnet_of_basic_blocks_keeps_the_first_norm_of_each() -> None:
    """It stands before a padded 3x3 convolution and after a sum, or a value that the shortcut reads too."""
    options = {"depth": 8, "alpha": 12, "bottleneck": False}
    network = create_network("pyramidnet", options).requires_grad_(False)
    assert _norms(fuse_batchnorm(capture(network, (3, 32, 32)))) == [
        "layer1.0.bn1", "layer2.0.bn1", "layer3.0.bn1", "bn_final"
    ]  # fmt: skip


def test_merged_tensors_take_names_that_nobody_has() -> None:
    """One convolution's weight is called as another's merged weight would be; all three have the same shape."""
    layers = nn.Sequential(*(nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False) for _ in range(3)))
    module = nn.Sequential(layers[0], layers[1], network(["norm"])[0], nn.ReLU(), layers[2], nn.Flatten()).eval()
    graph = capture(module, (CHANNELS, 6, 6))
    names = {"4.weight": "1.weight.fused"}
    clashing = replace(
        graph,
        nodes=tuple(replace(node, args=tuple(rename(a, names) for a in node.args)) for node in graph.nodes),
        weights={names.get(name, name): weight for name, weight in graph.weights.items()},
    )
    fused = fuse_batchnorm(clashing)
    _check(graph, fused)
    assert len(count(fused).layers) == len(count(fuse_batchnorm(graph)).layers)


def test_two_norms_in_a_row_of_which_the_first_is_read_twice() -> None:
    """As PyramidNet begins: the first goes into the layer before, the second into the one after, in one round."""

    class Beginning(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.before, self.first, self.second, self.after = network(["convolution", "norm", "norm", "pointwise"])[:4]
            self.head = nn.Linear(CHANNELS, 2)

        def forward(self, x: Tensor) -> Tensor:
            y = self.first(self.before(x))
            return self.head((self.after(self.second(y)) + y).mean((2, 3)))

    graph = capture(Beginning(), IMAGE)
    fused = fuse_batchnorm(graph)
    assert _norms(fused) == []
    _check(graph, fused)


def test_a_kernel_that_is_no_parameter_stays_none() -> None:
    """Merged, a blur of which nothing is stored would be stored filter by filter."""
    blur = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, groups=CHANNELS, bias=False)
    norm = nn.BatchNorm2d(CHANNELS).eval()
    nn.init.constant_(blur.weight, 1 / 9)
    stem = nn.Conv2d(IMAGE[0], CHANNELS, 1)
    network = nn.Sequential(stem, blur, norm, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with torch.no_grad():
        graph = capture(network, IMAGE)
    (kernel,) = (name for name, weight in graph.weights.items() if weight.shape == blur.weight.shape)
    stored = replace(graph, literals=graph.literals | {kernel})
    assert not _norms(fuse_batchnorm(graph))
    assert fuse_batchnorm(stored) == stored


def test_a_bias_that_two_layers_share_goes_into_both() -> None:
    module = network(["convolution", "norm", "relu", "convolution", "norm"])
    module[3].bias = module[0].bias
    graph = capture(module, IMAGE)
    assert len({node.args[2] for node in graph.nodes if node.target is aten.conv2d.default}) == 1
    fused = fuse_batchnorm(graph)
    assert _norms(fused) == []
    _check(graph, fused)
