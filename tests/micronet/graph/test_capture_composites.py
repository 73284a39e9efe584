"""Composites are captured as the operations they consist of: the same function, counted by hand and as in a file."""

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from onnx import ModelProto
from torch import Tensor, nn

from micronet.analysis.counts import count
from micronet.analysis.rules import RULES
from micronet.errors import CaptureFailed, NotFinite, OnnxError, UnknownOperation
from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph
from micronet.jobs.artifact import check_same
from micronet.network_file import from_bytes, to_bytes
from micronet.onnx_reader import import_graph, load_model
from micronet.transformation.fold_constants import fold_constants
from micronet.transformation.prepare import prepare
from tests.micronet.analysis.graphs import Apply, captured, totals

aten = torch.ops.aten
SHAPE = (4, 6, 6)
N = 4 * 6 * 6
P = 6 * 6
"""Pixels: of vectors along the channels there are as many."""


@dataclass(frozen=True, slots=True)
class Row:
    """What a composite costs, as the sum of its parts."""

    name: str
    does: nn.Module | Callable[[Tensor], Tensor]
    multiplications: int
    additions: int


def _with_statistics() -> nn.Module:
    norm = nn.InstanceNorm2d(4, affine=True, track_running_stats=True).eval()
    assert norm.running_mean is not None
    norm.running_mean.normal_()
    return norm


TABLE = [
    # in another shape, or of another operand's: free
    *(
        Row(name, does, 0, 0)
        for name, does in {
            "expanded": lambda x: x[:, :, :1].expand_as(x),
            "viewed": lambda x: x.flatten(1).view_as(x),
            "swapped axes": lambda x: x.swapaxes(2, 3),
            "moved axes": lambda x: x.movedim(1, 3).moveaxis((2, 3), (1, 2)),
            "joined": lambda x: torch.concat([torch.hstack([x, x]), torch.concatenate([x, x], 1)], 1),
            "tiles": lambda x: x.tile(1, 2, 1, 1),
            "repeated": lambda x: x.repeat_interleave(2, 1),
            "parts": lambda x: torch.cat(x.tensor_split(3, 1)[::-1], 1),
            "transposed": lambda x: x.mT,
            "the type of another": lambda x: x.type_as(x).flatten(1),
            "rolled": lambda x: torch.roll(x, (1, -2), (2, 3)),
            "rolled by all": lambda x: torch.roll(x, 6, 2),
            "blocks as channels": nn.PixelUnshuffle(2),
            "windows of an axis": lambda x: x.unfold(2, 3, 2).unfold(3, 2, 2),  # from behind torch exports another
            "windows": nn.Unfold((3, 2), dilation=(1, 2), padding=(1, 0), stride=(2, 1)),
            "reflected border": lambda x: F.pad(x, (1, 2, 0, 3), "reflect"),
            "repeated border": lambda x: F.pad(x, (1, 2, 0, 3), "replicate"),
            "border of the other side": lambda x: F.pad(x, (1, 2, 0, 3), "circular"),
            "border of a row": lambda x: F.pad(x.flatten(2), (2, 1), "reflect"),
            "ends of a row": lambda x: F.pad(x.flatten(2), (2, 1), "replicate"),
            "other end of a row": lambda x: F.pad(x.flatten(2), (2, 1), "circular"),
            "channels of zeros": lambda x: torch.cat([x, torch.zeros_like(x)], 1),
            "alpha dropout": nn.AlphaDropout().eval(),
        }.items()
    ),
    # element by element
    Row("square", lambda x: x.square(), N, 0),
    Row("clip by tensors", lambda x: torch.clamp(x, x.new_zeros(1), x.new_ones(1)), 2 * N, 0),
    Row("square in place", lambda x: x.clone().square_().flatten(1), N, 0),
    Row("clip with one end", lambda x: x.clip(min=0), N, 0),
    Row("larger of two", lambda x: torch.max(x, x.swapaxes(2, 3)), N, 0),
    Row("gate of the mean", lambda x: x * x.mean((2, 3), keepdim=True).expand_as(x), 4 + N, 4 * 35),
    Row("ones", lambda x: x - torch.ones_like(x), 0, N),
    Row("a number as tensors", lambda x: x + torch.full_like(x, 2.5) + x.new_ones(1, 4, 1, 1), 0, 2 * N),
    Row("a state of zeros", lambda x: x + torch.zeros(x.shape[0], 4, 1, 1) - torch.full((6,), 2.0), 0, 2 * N),
    Row("sum with a product", lambda x: torch.addcmul(x, x, x), N, N),
    Row("sum with a scaled quotient", lambda x: torch.addcdiv(x, x, x.exp(), value=0.5), 3 * N, N),
    Row("between two", lambda x: torch.lerp(x, x.exp(), 0.3), 2 * N, 2 * N),
    Row("1 / square root", lambda x: torch.rsqrt(x.exp()), 3 * N, 0),  # exponential, root, reciprocal
    Row("gated half", lambda x: F.glu(x, 1), N // 2 * 3, N // 2),  # sigmoid 2, 1; product 1
    Row("logarithm of a sigmoid", nn.LogSigmoid(), 3 * N, N),  # sigmoid 2, 1; logarithm 1
    Row("logarithm of 1 + x", lambda x: torch.log1p(x.exp()), 2 * N, N),
    Row("celu", nn.CELU(), 2 * N, N),  # as an elu without factors
    # over the 4 channels of a pixel: n - 1 comparisons
    Row("largest channel", lambda x: x.max(1)[0], 3 * P, 0),
    Row("smallest channel", lambda x: x.min(1, keepdim=True).values, 3 * P, 0),
    # mean 1, n-1; centring 0, n; squares n, 0; their mean 1, n-1
    Row("variance", lambda x: x.var(1, unbiased=False), (1 + 4 + 1) * P, (3 + 4 + 3) * P),
    Row("variance of a sample", lambda x: x.var((2, 3)), (1 + 36 + 1) * 4, (35 + 36 + 35) * 4),
    Row("deviation", lambda x: x.std(1, keepdim=True), (1 + 4 + 1 + 1) * P, (3 + 4 + 3) * P),
    Row(
        "variance and mean", lambda x: torch.add(*torch.var_mean(x, 1)), (1 + 4 + 1) * P, (3 + 4 + 3 + 1) * P
    ),  # and their sum
    # squares n, their sum n-1, root 1; a comparison with the least divisor, and n quotients
    Row("length", lambda x: torch.linalg.vector_norm(x, dim=1), 5 * P, 3 * P),
    Row("sum of sizes", lambda x: x.norm(1, 1), 4 * P, 3 * P),
    Row("of length 1", lambda x: F.normalize(x, dim=1), (5 + 1 + 4) * P, 3 * P),
    # exponentials; twice of length 1, as above; products n, their sum n-1
    Row("cosine", lambda x: F.cosine_similarity(x, x.exp()), N + (2 * (5 + 1 + 4) + 4) * P, 3 * 3 * P),
    # as a layer norm of 36: mean 1, 35; centring 0, 36; variance 37, 35; 1/sqrt 2, 1; scale 36, 0
    Row("instance norm", nn.InstanceNorm2d(4), 4 * (1 + 37 + 2 + 36), 4 * (35 + 36 + 35 + 1)),
    Row("instance norm of training", _with_statistics(), N, N),
    # 4 heads, 6 tokens of depth 6: Q and K scaled 36 each, scores 36*6; 36*5, mask 36, softmax 72; 6*5, times values
    # 36*6; 36*5
    *(
        Row(f"attention{name}", does, first + 4 * (scaling + 216 + 72 + 216), 4 * (180 + mask + 30 + 180))
        for name, does, first, scaling, mask in (
            ("", lambda x: F.scaled_dot_product_attention(x, x, x), 0, 72, 0),
            (" with a mask", lambda x: F.scaled_dot_product_attention(x, x, x, x.relu()), N, 72, 36),
            (" with truth values", lambda x: F.scaled_dot_product_attention(x, x, x, torch.eye(6) > 0), 0, 72, 36),
            (" of what came before", lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True), 0, 72, 36),
            (" scaled by 1", lambda x: F.scaled_dot_product_attention(x, x, x, scale=1.0, is_causal=True), 0, 0, 36),
            (" scaled below 0", lambda x: F.scaled_dot_product_attention(x, x, x, scale=-0.3), 0, 72, 0),
        )
    ),
    Row(  # K of 2 heads is repeated, and then scaled
        "attention of heads that share keys",
        lambda x: F.scaled_dot_product_attention(x, x[:, :2], x[:, 2:], enable_gqa=True),
        4 * (72 + 216 + 72 + 216),
        4 * (180 + 30 + 180),
    ),
    Row("matrices added", lambda x: torch.baddbmm(x[:, 0], x[:, 1], x[:, 2], beta=0.5), 36 + 216, 180 + 36),
    # a matrix of 4 x 4, or of 6 x 6, with one weight a row
    Row("channels by number", lambda x: x[:, torch.tensor([2, 0, -1, 1])], N, 0),
    Row("mirrored", lambda x: x.flip(3), N, 0),
    Row("channel shuffle", nn.ChannelShuffle(2), N, 0),
]
NOT_EXPORTED = {
    "transposed",
    "sum with a scaled quotient",
    "instance norm of training",
    "attention of heads that share keys",
    "channel shuffle",
}
"""torch has no words of ONNX for these."""
NOT_READ = {
    "joined": "SequenceConstruct",
    "parts": "SplitToSequence",
    "tiles": "If",
    "celu": "Celu",
    "variance of a sample": "ReduceProd",
    "deviation": "ReduceProd",
    "variance and mean": "ReduceProd",
    "sum of sizes": "ReduceL1",
    "attention with truth values": "IsNaN",
    "attention of what came before": "Trilu",
    "attention scaled by 1": "Trilu",
    "attention scaled below 0": "is nan",
}
"""Exported as operations that files are refused for -> one of them."""
COSTS_OTHERWISE = {
    "cosine": "the product of the lengths is compared, not each, as torch's newer exporter has it",
}
"""Exported as other operations -> as which."""
WHOLE = {
    "border of a number": lambda x: F.pad(x, (1, 1), value=2.0),
}


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_it_is_its_parts(row: Row) -> None:
    graph = captured(row.does, SHAPE)
    assert totals(count(fold_constants(graph))) == (row.multiplications, row.additions)
    for images in (torch.randn(1, *SHAPE), torch.randn(5, *SHAPE)):
        right = row.does(images.clone())
        torch.testing.assert_close(interpret(graph, images), right)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_the_file_that_is_written_costs_the_same(row: Row) -> None:
    graph = prepare(captured(Apply(lambda x: (row.does(x) * 0.5).flatten(1)), SHAPE), fuse=False)
    check_same(graph, from_bytes(to_bytes(graph)))


def _exported(row: Row, folder: Path) -> ModelProto:
    """As torch writes it."""
    file, images = folder / "network.onnx", torch.randn(2, *SHAPE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(_flat(row), (images,), file, dynamo=False, input_names=["x"], dynamic_axes={"x": {0: "N"}})
    return load_model(file)


def _flat(row: Row) -> nn.Module:
    return nn.Sequential(row.does if isinstance(row.does, nn.Module) else Apply(row.does), nn.Flatten()).eval()


def _rows(names: Iterable[str]) -> list[Row]:
    found = [row for row in TABLE if row.name in names]
    assert len(found) == len(set(names))
    return found


@pytest.mark.parametrize(
    "row",
    [row for row in TABLE if row.name not in {*NOT_EXPORTED, *NOT_READ, *COSTS_OTHERWISE}],
    ids=lambda row: row.name,
)
def test_its_exported_file_costs_the_same(row: Row, tmp_path: Path) -> None:
    read, ours = (
        prepare(graph, fuse=False) for graph in (import_graph(_exported(row, tmp_path)), captured(_flat(row), SHAPE))
    )
    assert totals(count(read)) == totals(count(ours))
    torch.testing.assert_close(interpret(read, images := torch.randn(3, *SHAPE)), interpret(ours, images))


@pytest.mark.parametrize("row", _rows(COSTS_OTHERWISE), ids=lambda row: row.name)
def test_what_is_exported_as_something_else_costs_what_that_costs(row: Row, tmp_path: Path) -> None:
    assert totals(prepare(import_graph(_exported(row, tmp_path)), fuse=False)) != totals(captured(_flat(row), SHAPE))


@pytest.mark.parametrize("row", _rows(NOT_READ), ids=lambda row: row.name)
def test_what_is_exported_as_operations_that_are_not_read_is_refused(row: Row, tmp_path: Path) -> None:
    with pytest.raises((OnnxError, NotFinite), match=NOT_READ[row.name]):
        import_graph(_exported(row, tmp_path))


@pytest.mark.parametrize("row", _rows(NOT_EXPORTED), ids=lambda row: row.name)
def test_what_torch_has_no_words_for_is_written_here_alone(row: Row, tmp_path: Path) -> None:
    with pytest.raises((torch.onnx.errors.OnnxExporterError, AssertionError), match=r"[Ee]xport|not implemented"):
        _exported(row, tmp_path)


@pytest.mark.parametrize("name", WHOLE)
def test_what_its_parts_would_not_be_stays_whole(name: str) -> None:
    (node,) = captured(WHOLE[name], SHAPE).nodes
    assert node.target in RULES


def test_attention_that_drops_scores_at_random_is_refused() -> None:
    with pytest.raises(CaptureFailed, match=r"drops scores at random, 0\.1 of them.* set dropout_p to 0"):
        captured(lambda x: F.scaled_dot_product_attention(x, x, x, None, 0.1), SHAPE)


@pytest.mark.parametrize("name", ["index", "flip"])
def test_images_are_not_picked_from_their_batch(name: str) -> None:
    pick = {"index": lambda x: x[torch.tensor([0])].expand(x.shape), "flip": lambda x: x.flip(0)}[name]
    with pytest.raises(UnknownOperation, match=name):
        count(captured(pick, SHAPE))


@pytest.mark.parametrize("place", [4, -5])
def test_a_place_that_is_not_there_is_no_other_one(place: int) -> None:
    """It was counted round the end."""
    graph = captured(lambda x: x[:, torch.tensor([0, place])], SHAPE)
    with pytest.raises(RuntimeError, match="out of"):
        interpret(graph, torch.randn(1, *SHAPE))


def test_where_the_largest_stands_is_an_operation_without_a_row() -> None:
    with pytest.raises(UnknownOperation, match="argmax"):
        count(captured(lambda x: x.max(1)[1].float(), SHAPE))


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 3, 2, padding="same"),
        nn.Conv2d(4, 4, (3, 4), padding="same", dilation=(1, 3), groups=2),
        nn.Sequential(nn.Flatten(2), nn.Conv1d(4, 3, 4, padding="same")),
        nn.Sequential(nn.Flatten(2), nn.Conv1d(4, 3, 5, padding="same", dilation=2)),
        nn.Sequential(nn.Flatten(2), nn.Conv1d(4, 3, 2, padding="valid")),
    ],
)
def test_padding_in_words_of_any_kernel_is_numbers(layer: nn.Module) -> None:
    layer.requires_grad_(False)
    graph: Graph = captured(layer, SHAPE)
    assert {node.target for node in graph.nodes} <= RULES.keys()
    torch.testing.assert_close(interpret(graph, images := torch.randn(3, *SHAPE)), layer(images))


def test_attention_of_a_whole_encoder_is_counted_in_parts() -> None:
    """Of 6 tokens of 6: scores of 3 heads of depth 2 are 6*6*2 multiplications each, and as many for the values."""
    encoder = nn.TransformerEncoderLayer(6, 3, 8, batch_first=True).eval().requires_grad_(False)
    graph = captured(lambda x: encoder(x[:, 0]), SHAPE)
    products = [layer for layer in count(graph).layers if layer.op == "matmul"]
    assert [layer.operations.all_multiplications for layer in products] == [3 * 6 * 6 * 2, 3 * 6 * 6 * 2]
    torch.testing.assert_close(interpret(graph, images := torch.randn(3, *SHAPE)), encoder(images[:, 0]))
