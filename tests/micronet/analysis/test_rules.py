"""SCORING section 3, row by row, on images of 4x6x6 = 144 values unless a row says otherwise; arithmetic shown."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from micronet.analysis.counts import count
from micronet.graph.ir import Graph, Node, Ref
from tests.micronet.analysis.graphs import captured, dense, totals, weigh

N = 4 * 6 * 6


@dataclass(frozen=True)
class Row:
    """What one operation costs."""

    name: str
    does: nn.Module | Callable[[Tensor], Tensor]
    multiplications: int
    additions: int
    shape: tuple[int, ...] = (4, 6, 6)


TABLE = [
    # sums of t terms: non-zero weights; t - 1
    Row("convolution", dense(nn.Conv2d(4, 8, 3, bias=False)), 8 * 36 * 16, 8 * 35 * 16),
    Row("convolution with bias", dense(nn.Conv2d(4, 8, 3)), 8 * 36 * 16, 8 * 36 * 16),
    Row("convolution, padded", dense(nn.Conv2d(4, 8, 3, padding=1)), 8 * 36 * 36, 8 * 36 * 36),
    Row("convolution, stride 2", dense(nn.Conv2d(4, 8, 3, 2, 1)), 8 * 36 * 9, 8 * 36 * 9),
    Row("convolution, dilated", dense(nn.Conv2d(4, 8, 3, dilation=2)), 8 * 36 * 4, 8 * 36 * 4),
    Row("depthwise convolution", dense(nn.Conv2d(4, 4, 3, groups=4, bias=False)), 4 * 9 * 16, 4 * 8 * 16),
    Row("convolution, 1d", dense(nn.Conv1d(4, 8, 3)), 8 * 12 * 7, 8 * 12 * 7, (4, 9)),
    Row("linear", dense(nn.Linear(6, 5)), 24 * 5 * 6, 24 * 5 * 6),
    Row("linear without bias", dense(nn.Linear(6, 5, bias=False)), 24 * 5 * 6, 24 * 5 * 5),
    Row("matmul of two values", lambda x: x @ x.transpose(2, 3), 4 * 36 * 6, 4 * 36 * 5),
    # normalization
    Row("batch norm", nn.BatchNorm2d(4), N, N),
    # 24 rows of 6: mean 1+(6+1)+2+6+6 = 22; 5+6+5+1+6 = 23
    Row("layer norm", nn.LayerNorm(6), 24 * 22, 24 * 23),
    Row("layer norm, not affine", nn.LayerNorm(6, elementwise_affine=False), 24 * 16, 24 * 17),
    # 24 rows of 6: squares 6, mean 1, 1/sqrt 2, scale 6, its own 6 = 21; mean 5, epsilon 1 = 6
    Row("rms norm", nn.RMSNorm(6), 24 * 21, 24 * 6),
    Row("rms norm, not affine", nn.RMSNorm(6, elementwise_affine=False), 24 * 15, 24 * 6),
    # 4 planes of 36: 36+1+2+36 = 75; 35+1 = 36
    Row("rms norm of planes", lambda x: F.rms_norm(x, (6, 6), eps=1e-3), 4 * 75, 4 * 36),
    # 2 groups of 72: 1+73+2+72+72 = 220; 71+72+71+1+72 = 287
    Row("group norm", nn.GroupNorm(2, 4), 2 * 220, 2 * 287),
    # comparisons and clips
    Row("relu", nn.ReLU(), N, 0),
    Row("maximum, of a product", lambda x: torch.maximum(x, x * 1.5), 2 * N, 0),
    Row("one-sided clip", lambda x: x.clamp(min=0.5), N, 0),
    Row("one-sided clip, by name", lambda x: torch.clamp(x, max=6.0), N, 0),
    Row("relu6", nn.ReLU6(), 2 * N, 0),
    Row("clip with both ends", lambda x: x.clamp(-1, 1), 2 * N, 0),
    Row("absolute value", torch.abs, N, 0),
    Row("leaky relu", nn.LeakyReLU(), 2 * N, 0),
    Row("prelu", nn.PReLU(4), 2 * N, 0),
    # activation functions
    Row("sigmoid", nn.Sigmoid(), 2 * N, N),
    Row("swish", nn.SiLU(), 3 * N, N),
    Row("swish, written out", lambda x: x * torch.sigmoid(x), 3 * N, N),
    Row("hard sigmoid", nn.Hardsigmoid(), 3 * N, N),
    Row("hard sigmoid, written out", lambda x: F.relu6(x + 3) / 6, 3 * N, N),
    Row("hard swish", nn.Hardswish(), 4 * N, N),
    Row("gelu", nn.GELU(), 4 * N, N),  # x/2, x/sqrt 2, erf, product; 1 + erf
    Row("gelu, written out", lambda x: (x / 2) * (1 + torch.erf(x / 2**0.5)), 4 * N, N),
    Row("gelu by tanh", nn.GELU("tanh"), 7 * N, 2 * N),  # x*x, *x, *b, *a, tanh, x/2, product; x + , 1 +
    Row("gelu by tanh, out", lambda x: (x / 2) * (1 + torch.tanh(0.8 * (x + 0.04 * (x * x * x)))), 7 * N, 2 * N),
    Row("elu", nn.ELU(), 2 * N, N),  # comparison, exponential; - 1
    Row("elu with alpha", nn.ELU(0.5), 3 * N, N),
    Row("selu", nn.SELU(), 4 * N, N),  # comparison, exponential, alpha, scale; - 1
    Row("softplus", nn.Softplus(), 2 * N, N),  # exponential, logarithm; 1 +
    Row("softplus with beta", nn.Softplus(2), 4 * N, N),
    Row("mish", nn.Mish(), 4 * N, N),  # softplus 2, tanh, product; 1 +
    Row("softmax over 4", nn.Softmax(1), 36 * 2 * 4, 36 * 3),
    Row("softmax over 6, from behind", nn.Softmax(-1), 24 * 2 * 6, 24 * 5),
    Row("log softmax over 4", nn.LogSoftmax(1), 36 * (4 + 1), 36 * (3 + 4)),  # exponentials, log; sum, differences
    # one transcendental each
    *(
        Row(f.__name__, f, N, 0)
        for f in (torch.exp, torch.log, torch.sqrt, torch.tanh, torch.erf, torch.sin, torch.cos, torch.reciprocal)
    ),
    Row("square", lambda x: x**2, N, 0),
    Row("cube", lambda x: x**3, 2 * N, 0),
    Row("power", lambda x: x**1.7, N, 0),
    Row("exponent", lambda x: 2.0**x, N, 0),
    # element by element
    Row("product", lambda x: x * x, N, 0),
    Row("quotient", lambda x: x / 3, N, 0),
    Row("sum", lambda x: x + x, 0, N),
    Row("difference", lambda x: 1 - x, 0, N),
    Row("sum with a factor", lambda x: torch.add(x, x, alpha=2), N, N),
    Row("sum with a scaled number", lambda x: torch.add(x, 3, alpha=2), 0, N),
    Row("from a number, with a factor", lambda x: torch.rsub(x, 3, alpha=2), N, N),
    Row("one number per channel", lambda x: x * x.mean((2, 3), keepdim=True), 4 + N, 4 * 35),
    # pools and reductions
    Row("average pool", nn.AvgPool2d(2), 4 * 9, 4 * 9 * 3),
    Row("average pool, padded", nn.AvgPool2d(3, 1, 1), 4 * 36, 4 * 36 * 8),
    Row("global average", nn.AdaptiveAvgPool2d(1), 4, 4 * 35),
    # 6 values in 4 windows: [0,2) [1,3) [3,5) [4,6), 2 each, so 4 in a plane of 2x2 windows
    Row("adaptive average, overlapping", nn.AdaptiveAvgPool2d(4), 4 * 16, 4 * 16 * 3),
    Row("adaptive average, upwards", nn.AdaptiveAvgPool2d(7), 4 * 49, 0, (4, 1, 1)),
    Row("adaptive max, overlapping", nn.AdaptiveMaxPool2d(4), 4 * 16 * 3, 0),
    Row("mean", lambda x: x.mean((2, 3)), 4, 4 * 35),
    Row("total", lambda x: x.sum((2, 3)), 0, 4 * 35),
    Row("max pool", nn.MaxPool2d(2), 4 * 9 * 3, 0),
    Row("max pool 3x2", nn.MaxPool2d((3, 2)), 4 * 6 * 5, 0),
    Row("largest", lambda x: x.amax((2, 3)), 4 * 35, 0),
    # 4 heads, 6 tokens of depth 6: Q and K scaled 36 each, scores 36*6; 36*5, softmax 72; 6*5, times values 36*6; 36*5
    Row(
        "attention",
        lambda x: F.scaled_dot_product_attention(x, x, x),
        4 * (72 + 216 + 72 + 216),
        4 * (180 + 30 + 180),
    ),
    # free
    *(
        Row(name, does, 0, 0)
        for name, does in {
            "nearest upsample": nn.Upsample(scale_factor=2, mode="nearest"),
            "pad": lambda x: F.pad(x, (1, 2, 0, 1)),
            "slice": lambda x: x[:, 1:3, ::2],
            "concatenate": lambda x: torch.cat([x, x], 1),
            "reshape": lambda x: x.view(x.size(0), -1),
            "transpose": lambda x: x.transpose(2, 3),
            "permute": lambda x: x.permute(0, 2, 3, 1),
            "split": lambda x: torch.cat(torch.split(x, [1, 3], 1)[::-1], 1),
            "pixel shuffle": nn.PixelShuffle(2),
            "identity": lambda x: x.clone(),
            "dropout": nn.Dropout(),
        }.items()
    ),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_row(row: Row) -> None:
    counts = count(captured(row.does, row.shape))
    assert totals(counts) == (row.multiplications, row.additions)
    freebie, _ = weigh(counts, "challenge")
    assert freebie == row.multiplications * 16 + row.additions * 32
    plain, _ = weigh(counts, "report")
    assert plain == (row.multiplications + row.additions) * 32


@pytest.mark.parametrize(("dtype", "multiplications"), [(torch.float64, 0), (torch.int32, 192)])
def test_a_cast_to_integers_rounds(dtype: torch.dtype, multiplications: int) -> None:
    """3 channels of 8x8 are 192 elements."""
    images = Ref("images")
    nodes = (
        Node("cast", torch.ops.aten.to.dtype, (images, dtype)),
        Node("flat", torch.ops.aten.flatten.using_ints, (Ref("cast"), 1)),
    )
    counts = count(Graph("images", (3, 8, 8), nodes, {}, "flat"))
    assert sum(layer.operations.all_multiplications for layer in counts.layers) == multiplications


def _nothing(x: Tensor) -> Tensor:
    return x[:, :, :0]


NOTHING: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax": lambda x: _nothing(x).softmax(2),
    "log softmax": lambda x: _nothing(x).log_softmax(2),
    "layer norm": lambda x: F.layer_norm(_nothing(x), (0, 6)),
    "relu": lambda x: _nothing(x).relu(),
    "product of nothing by itself": lambda x: _nothing(x) @ x,
}


@pytest.mark.parametrize("name", NOTHING)
def test_what_has_no_elements_costs_nothing(name: str) -> None:
    assert totals(count(captured(lambda x: torch.cat([x, NOTHING[name](x)], 2), (4, 6, 6)))) == (0, 0)


def test_a_sum_of_nothing_saves_no_addition() -> None:
    """4 channels of 6 sums of no value each, and N additions of them."""
    assert totals(count(captured(lambda x: x + _nothing(x).sum(2, keepdim=True), (4, 6, 6)))) == (0, N)


def test_a_convolution_without_filters_costs_nothing() -> None:
    nodes = (
        Node("conv", torch.ops.aten.conv2d.default, (Ref("images"), Ref("w"))),
        Node("both", torch.ops.aten.cat.default, ((Ref("images"), Ref("conv")), 1)),
    )
    weights = {"w": torch.zeros(0, 3, 1, 1)}
    assert totals(count(Graph("images", (3, 8, 8), nodes, weights, "both"))) == (0, 0)


@pytest.mark.parametrize("constant", ["left", "right"])
def test_a_product_of_no_terms_costs_nothing(constant: str) -> None:
    """Zeros, 3 channels of 8x8 each, that are added."""
    empty = Node("empty", torch.ops.aten.slice.Tensor, (Ref("images"), 3 if constant == "right" else 2, 0, 0, 1))
    factors = (Ref("empty"), Ref("w")) if constant == "right" else (Ref("w"), Ref("empty"))
    nodes = (
        empty,
        Node("product", torch.ops.aten.matmul.default, factors),
        Node("sum", torch.ops.aten.add.Tensor, (Ref("images"), Ref("product"))),
    )
    weights = {"w": torch.zeros(0, 8) if constant == "right" else torch.zeros(8, 0)}
    assert totals(count(Graph("images", (3, 8, 8), nodes, weights, "sum"))) == (0, 3 * 8 * 8)
