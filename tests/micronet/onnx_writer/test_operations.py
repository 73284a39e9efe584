"""Each operation by itself: written, read, and run by onnxruntime; what has no words in ONNX is refused by name."""

import operator
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from micronet.analysis.rules import RULES
from micronet.errors import NotWritable
from micronet.graph.capture import capture
from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph
from micronet.jobs.artifact import check_same
from micronet.onnx_reader import EMITS
from micronet.onnx_writer import WRITERS, encode, to_model, write_graph
from micronet.transformation.prepare import prepare
from tests.micronet.onnx_writer.roundtrip import back, by_onnxruntime, images

aten = torch.ops.aten
Forward = Callable[["Body", Tensor], Tensor]


class Body(nn.Module):
    """Some operation in the middle of an image classifier for (4, 6, 6) images."""

    def __init__(self, forward: Forward) -> None:
        super().__init__()
        self.middle = forward
        self.scale = nn.Parameter(torch.rand(4) + 0.5)
        self.shift = nn.Parameter(torch.randn(4))
        self.matrix = nn.Parameter(torch.randn(6, 5))
        self.batches = nn.Parameter(torch.randn(1, 6, 6))
        self.slope = nn.Parameter(torch.tensor([0.1]))
        self.conv1d = nn.Conv1d(4, 5, 3, 2, 1, 2)
        self.dilated = nn.Conv2d(4, 8, (3, 1), (1, 2), (2, 0), (2, 1), 2)
        self.rows = nn.Linear(6, 3)
        self.norm1d = nn.BatchNorm1d(4, affine=False)
        self.layer_norm = nn.LayerNorm([6, 6])
        self.group_norm = nn.GroupNorm(2, 4)
        self.even = nn.Parameter(torch.randn(3, 4, 2, 2))
        self.encoder = nn.TransformerEncoderLayer(6, 3, 8, batch_first=True)
        self.token = nn.Parameter(torch.randn(1, 1, 6))

    def forward(self, x: Tensor) -> Tensor:
        return self.middle(self, x).flatten(1)


def _shuffle(_: Body, x: Tensor) -> Tensor:
    return x.view(x.shape[0], 2, 2, 6, 6).transpose(1, 2).reshape(x.shape)


CASES: dict[str, Forward] = {
    "conv1d": lambda m, x: m.conv1d(x.flatten(2)),
    "conv2d": lambda m, x: m.dilated(x),
    "same padding": lambda m, x: F.conv2d(x, m.dilated.weight[:, :, :, :], padding="same", groups=2),
    "linear on rows": lambda m, x: m.rows(x),
    "matmul": lambda m, x: x @ m.matrix,
    "mm": lambda m, x: torch.mm(x[:, 0, 0], m.matrix),
    "bmm": lambda m, x: torch.bmm(x[:, 0], x[:, 1]),
    "addmm": lambda m, x: torch.addmm(m.matrix[0], x[:, 0, 0], m.matrix),
    "matmul of values": lambda m, x: x @ x.transpose(2, 3),
    "norm of rows": lambda m, x: m.norm1d(x.flatten(2)),
    "layer norm": lambda m, x: m.layer_norm(x),
    "layer norm without scale": lambda m, x: F.layer_norm(x, (6, 6)),
    "group norm without scale": lambda m, x: F.group_norm(x, 2),
    "mean over the edge": lambda m, x: F.avg_pool2d(x, 4, 4, ceil_mode=True),
    "group norm": lambda m, x: m.group_norm(x),
    "add": lambda m, x: x + m.shift.view(4, 1, 1) + 1,
    "sub": lambda m, x: 1 - (x - m.shift.view(4, 1, 1)) - 3,
    "mul and div": lambda m, x: x * m.scale.view(4, 1, 1) / 3 / (x * x + 2),
    "reciprocal": lambda m, x: 1 / (x * x + 1),
    "powers": lambda m, x: (x**2 + 1) ** x + 2.0 ** (x / 4),
    "largest": lambda m, x: torch.maximum(x, x * 2) - torch.minimum(x, m.shift.view(4, 1, 1)),
    "functions": lambda m, x: (
        (x.abs() + 1).log() + (-x).exp() + (x.abs() + 1).sqrt() + torch.erf(x) + x.tanh() + x.sin() * x.cos()
    ),
    "clips": lambda m, x: x.clamp(-1, 1) + x.clamp(min=0.2) + x.clamp(max=0.1) + F.hardtanh(x, -2, 1),
    "clips by name": lambda m, x: torch.clamp_min(x, 0.5) + torch.clamp_max(x, 0.5) + F.relu6(x * 3),
    "rectifiers": lambda m, x: F.relu(x) + F.leaky_relu(x, 0.2) + F.prelu(x, m.scale) + F.prelu(x, m.slope),
    "exponential": lambda m, x: F.elu(x, 0.7) + F.selu(x) + F.softplus(x) + F.mish(x),
    "gates": lambda m, x: F.silu(x) + F.hardswish(x) + F.hardsigmoid(x) + torch.sigmoid(x),
    "gelu": lambda m, x: F.gelu(x) + F.gelu(x, approximate="tanh"),
    "softmax": lambda m, x: x.softmax(1) + x.log_softmax(-1),
    "max pools": lambda m, x: F.max_pool2d(x, 3, 2, 1),
    "max pool with gaps": lambda m, x: F.max_pool2d(x, 2, 1, 1, 2),
    "max pool over the edge": lambda m, x: F.max_pool2d(x, 4, 4, ceil_mode=True),
    "max pool of rows": lambda m, x: F.max_pool1d(x.flatten(2), 3, 2, 1),
    "average pools": lambda m, x: F.avg_pool2d(x, 3, 2, 1) + F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
    "average of rows": lambda m, x: F.avg_pool1d(x.flatten(2), 3),
    "average of all": lambda m, x: F.adaptive_avg_pool2d(x, 1),
    "largest of all": lambda m, x: F.adaptive_max_pool2d(x, 1),
    "largest of parts": lambda m, x: F.adaptive_max_pool2d(x, (2, 3)),
    "mean": lambda m, x: x.mean((2, 3)) + x.sum((2, 3)) + x.amax((2, 3)) + x.amin((-1, 2)),
    "mean that keeps": lambda m, x: x.mean(1, keepdim=True),
    "joins": lambda m, x: torch.cat([x, torch.stack([x[:, 0], x[:, 3]], 1)], -3),
    "parts": lambda m, x: torch.cat([*x.chunk(3, 2), *x.split(4, 2), *x.split([1, 5], 2)][::-1], 2),
    "parts by one": lambda m, x: torch.cat(x.unbind(1)[::-1], 1),
    "a part that is all": lambda m, x: x.chunk(1, 2)[0],
    "slices": lambda m, x: x[:, 1:, ::2, -3:-1],
    "narrow and select": lambda m, x: x.narrow(2, 1, 3) + x.select(3, -1).unsqueeze(2),
    "transposes": lambda m, x: x.permute(0, 3, 1, 2) + x.transpose(1, -1).transpose(2, 3),
    "shuffle": _shuffle,
    "reshapes": lambda m, x: x.reshape(-1, 1, 2, 72).squeeze(1).unsqueeze(-1).unflatten(2, (9, 8)).flatten(2, 3),
    "batch in the middle": lambda m, x: x.permute(1, 0, 2, 3).reshape(2, 2, -1, 36).permute(2, 0, 1, 3),
    "expand": lambda m, x: x[:, :1].expand(-1, 3, -1, -1) * 2,
    "class token": lambda m, x: torch.cat([m.token.expand(x.shape[0], -1, -1), x[:, 0]], 1),
    "repeat": lambda m, x: x.repeat(1, 2, 1, 3) + 1,
    "repeat with an axis": lambda m, x: x[0].repeat(1, 1, 1, 1).expand(x.shape) * 0 + x,
    "border": lambda m, x: F.pad(x, (1, 2, 0, 3), value=-1.5),
    "channels behind": lambda m, x: F.pad(x, (0, 0, 0, 0, 0, 3)),
    "border taken away": lambda m, x: F.pad(x, (-1, 0, 1, -2)),
    "pixel shuffle": lambda m, x: F.pixel_shuffle(x, 2),
    "upsample": lambda m, x: F.interpolate(x, scale_factor=2) + F.interpolate(x, size=(12, 12)),
    "upsample unevenly": lambda m, x: F.interpolate(x, size=(9, 11)),
    "upsample where ONNX picks others": lambda m, x: F.interpolate(x, size=(74, 6)),
    "downsample where ONNX picks others": lambda m, x: F.interpolate(F.interpolate(x, size=(14, 14)), size=(8, 2)),
    "resize by scales": lambda m, x: F.interpolate(F.interpolate(x, scale_factor=0.7), scale_factor=(1.0, 1.6)),
    "index": lambda m, x: torch.index_select(x, 1, torch.tensor([2, 0, 3])),
    "a constant": lambda m, x: x * torch.tensor(2.5) + torch.full((1, 4, 1, 1), 0.5),
    "dropout": lambda m, x: F.dropout(x, 0.5, training=False).contiguous().clone() * 2,
    "attention": lambda m, x: F.scaled_dot_product_attention(x, x, m.rows(x), x.relu()),
    "attention with a scale": lambda m, x: F.scaled_dot_product_attention(x, x, x, scale=0.3),
    "causal attention": lambda m, x: F.scaled_dot_product_attention(x, x, x, is_causal=True, scale=1.0),
    "attention by truth values": lambda m, x: F.scaled_dot_product_attention(x, x, x, torch.eye(6) > 0),
    "attention of an encoder": lambda m, x: m.encoder(x[:, 0]),
    "einstein sums": lambda m, x: torch.einsum("nchw,wd->nchd", x, m.matrix),
    "channel shuffle": lambda m, x: F.channel_shuffle(x, 2) * 2,
    "reflected border": lambda m, x: F.pad(x, (1, 2, 0, 3), "reflect"),
    "repeated border": lambda m, x: F.pad(x, (1, 2, 0, 3), "replicate") + F.pad(x, (1, 2, 0, 3), "circular"),
    "border of rows": lambda m, x: F.pad(x.flatten(2), (1, 2), "reflect"),
    "even kernel": lambda m, x: F.conv2d(x, m.even, padding="same"),
    "even kernel of rows": lambda m, x: F.conv1d(x.flatten(2), m.even[:, :, 0], padding="same"),
    "rolled": lambda m, x: torch.roll(x, (1, -2), (2, 3)) * 2,
    "windows": lambda m, x: F.unfold(x, 3, padding=1, stride=2) * 2,
    "windows of an axis": lambda m, x: x.unfold(2, 3, 2).unfold(-2, 2, 2) * 2,
    "blocks as channels": lambda m, x: F.pixel_unshuffle(x, 2) * 2,
    "channels of zeros": lambda m, x: torch.cat([x, torch.zeros_like(x), x.new_ones(x.shape)], 1),
    "a number as a tensor": lambda m, x: x - torch.full_like(x, 0.5) + x.new_ones(1, 4, 1, 1),
    "a state of zeros": lambda m, x: torch.cat(
        [x, torch.zeros(x.shape[0], 1, 6, 6), torch.ones(x.shape[0], 2, 6, 6)], 1
    ),
    "statistics": lambda m, x: x.var(1) + x.std((1,), unbiased=False) + F.normalize(x, dim=1).mean(1),
    "largest of channels": lambda m, x: x.max(1)[0] + x.min(1)[0] + torch.max(x[:, 0], x[:, 1]),
    "instance norm": lambda m, x: F.instance_norm(x, weight=m.scale, bias=m.shift),
    "gated half": lambda m, x: F.glu(x, 1) + torch.rsqrt(x[:, :2] ** 2 + 1) + F.logsigmoid(x[:, 2:]),
    "quantizers": lambda m, x: (
        torch.fake_quantize_per_tensor_affine(x, 0.25, 0, -4, 3)
        + torch.fake_quantize_per_tensor_affine(x, 2**-9, 0, -(2**11), 2**11 - 1)
        + torch.fake_quantize_per_tensor_affine(x, 0.1, 3, 0, 15)
        + torch.fake_quantize_per_tensor_affine(x, 2**-3, 0, -7, 7)
        + torch.fake_quantize_per_tensor_affine(x, 2**-12, 0, -(2**15), 2**15 - 1)
    ),
}
LOOSE = {"linear on rows", "addmm", "functions", "attention of an encoder"}
"""Read as other operations, whose float32 sums or functions round in another order."""


def graph_of(forward: Forward) -> Graph:
    torch.manual_seed(0)
    body = Body(forward).eval()
    body.norm1d.running_mean.normal_()  # type: ignore[union-attr]
    return prepare(capture(body, (4, 6, 6)), fuse=False)


@pytest.mark.parametrize("name", CASES)
def test_comes_back_and_onnxruntime_agrees(name: str) -> None:
    graph = graph_of(CASES[name])
    again, batch = back(graph, fuse=False), images(graph, 3)
    ours = interpret(graph, batch)
    if name in LOOSE:
        torch.testing.assert_close(interpret(again, batch), ours, rtol=1e-5, atol=1e-6)
    else:
        assert torch.equal(interpret(again, batch), ours)
    if name not in {"index", "a constant"}:  # an index and a constant that a file cannot tell from parameters
        check_same(graph, again)
    np.testing.assert_allclose(by_onnxruntime(graph, batch), ours.numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_what_was_read_is_written_again(name: str) -> None:
    """A job writes what another's file gave it; there a linear layer on (N, T, C) is one on rows (N T, C)."""
    read = back(graph_of(CASES[name]), fuse=False)
    again, batch = back(read, fuse=False), images(read, 3)
    assert torch.equal(interpret(again, batch), interpret(read, batch))
    check_same(read, again)
    np.testing.assert_allclose(by_onnxruntime(read, batch), interpret(read, batch).numpy(), rtol=1e-4, atol=1e-4)


def test_quantizers_per_channel_come_back() -> None:
    steps, zeros = torch.tensor([0.5, 0.25, 0.1, 1.0]), torch.tensor([0, 3, 1, 2], dtype=torch.int32)

    class PerChannel(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.steps, self.zeros = nn.Parameter(steps), nn.Parameter(zeros, requires_grad=False)

        def forward(self, x: Tensor) -> Tensor:
            return torch.fake_quantize_per_channel_affine(x, self.steps, self.zeros, 1, 0, 31).flatten(1)

    graph = prepare(capture(PerChannel(), (4, 6, 6)), fuse=False)
    again, batch = back(graph), images(graph, 3)
    assert torch.equal(interpret(again, batch), interpret(graph, batch))
    check_same(graph, again)
    np.testing.assert_allclose(by_onnxruntime(graph, batch), interpret(graph, batch).numpy(), atol=1e-6)


REFUSED: dict[str, tuple[Forward, str]] = {
    "a factor in a sum": (lambda m, x: torch.add(x, x * 2, alpha=3), "factor 3"),
    "unequal means": (lambda m, x: F.adaptive_avg_pool2d(x, 4), "unequal"),
    "unequal maxima": (lambda m, x: F.adaptive_max_pool2d(x, 4), "maxima of unequal"),
    "steeper softplus": (lambda m, x: F.softplus(x, beta=2), "softplus"),
    "wide quantizer": (lambda m, x: torch.fake_quantize_per_tensor_affine(x, 2**-12, 0, -(2**19), 2**19 - 1), "16"),
    "mean over the edge": (lambda m, x: F.avg_pool2d(x, 3, 3, 1, ceil_mode=True), "edge"),
    "own divisor": (lambda m, x: F.avg_pool2d(x, 2, divisor_override=3), "divisor"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_words_is_refused(name: str) -> None:
    forward, words = REFUSED[name]
    with pytest.raises(NotWritable, match=words):
        to_model(graph_of(forward))


def test_the_table_has_every_operation_that_is_read_and_nearly_every_one_that_counts() -> None:
    sizes: set[Any] = {aten.sym_size.int, operator.mul}
    assert EMITS - sizes <= WRITERS.keys()
    assert RULES.keys() - WRITERS.keys() - sizes == {aten.mean.default}  # over the images of the batch, too


def test_the_same_graph_gives_the_same_bytes(tmp_path: Path) -> None:
    write_graph(graph_of(CASES["gates"]), tmp_path / "gates.onnx")
    assert (tmp_path / "gates.onnx").read_bytes() == encode(graph_of(CASES["gates"]))


def test_a_file_that_would_count_or_answer_otherwise_is_refused() -> None:
    graph = graph_of(CASES["conv2d"])
    (name,) = (name for name, weight in graph.weights.items() if weight.dim() == 4)
    weight = graph.weights[name]
    sparse = replace(graph, weights={**graph.weights, name: weight * (weight > 0)})
    with pytest.raises(NotWritable, match=r"count differently.*dilated"):
        check_same(graph, sparse)
    with pytest.raises(NotWritable, match="answer differently"):
        check_same(graph, replace(graph, weights={**graph.weights, name: weight * 1.1}))


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_answers_that_are_no_numbers_agree_with_nothing(number: float) -> None:
    """No comparison with NaN holds, and infinity less itself is NaN."""
    graph = graph_of(CASES["linear on rows"])
    (name,) = (name for name, weight in graph.weights.items() if weight.dim() == 1)
    broken = replace(graph, weights={**graph.weights, name: torch.full_like(graph.weights[name], number)})
    with pytest.raises(NotWritable, match="answer differently"):
        check_same(graph, broken)
    for again in (graph, broken):
        with pytest.raises(NotWritable, match="own answers"):
            check_same(broken, again)


def test_an_identity_is_refused() -> None:
    with pytest.raises(NotWritable, match="gives back"):
        to_model(prepare(capture(nn.Flatten(0, 0), (4,)), fuse=False))
