"""Permutations that are not mere layout count as a product with a sparse matrix; layout is free."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from micronet.analysis.counts import count
from micronet.graph.grid import fixed_point
from micronet.graph.interpret import interpret
from micronet.graph.ir import Ref
from tests.micronet.analysis.graphs import (
    X,
    aten,
    captured,
    channel_shuffle,
    graph,
    node,
    parameters_of,
    quantizer,
    totals,
    weigh,
)

CHANNELS, PLACES = 6, 5 * 4
SHAPE = (CHANNELS, 5, 4)


def shuffle_in_planes(x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    return x.reshape(n, 2, c // 2, h * w).permute(0, 2, 1, 3).reshape(n, c, h, w)


def shuffle_in_steps(x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    return x.flatten(2).view(n, 3, c // 3, h * w).transpose(-3, -2).contiguous().view(n, c, h * w).view(n, c, h, w)


def mixed_with_places(x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    return x.view(n, c, h * w).transpose(1, 2).reshape(n, c, h, w)


def channels_last(x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(n, h, w, 2, c // 2)
    return rows.transpose(3, 4).reshape(n, h, w, c).permute(0, 3, 1, 2)


@pytest.mark.parametrize(
    "permutation",
    [
        channel_shuffle,
        shuffle_in_planes,
        shuffle_in_steps,
        mixed_with_places,
        channels_last,
        lambda x: torch.stack([x[:, :3], x[:, 3:]], 2).flatten(1, 2),
        lambda x: torch.cat([x[:, :3].unsqueeze(2), x[:, 3:].unsqueeze(2)], 2).flatten(1, 2),
        nn.ChannelShuffle(2),
    ],
    ids=[
        "ShuffleNet",
        "planes",
        "steps",
        "mixed with places",
        "channels last",
        "stack",
        "concatenation",
        "torch's own",
    ],
)
def test_a_channel_shuffle_is_a_product_with_a_sparse_matrix(
    permutation: nn.Module | Callable[[Tensor], Tensor],
) -> None:
    """One product per value and no addition; 6 ones of a bit each in a matrix of 6x6 bits."""
    counts = count(captured(permutation, SHAPE))
    assert [layer.op for layer in counts.layers] == ["permutation"]
    assert totals(counts) == (CHANNELS * PLACES, 0)
    assert parameters_of(counts) == (36, 6)
    assert weigh(counts, "challenge", "masked") == (CHANNELS * PLACES * 16, 36 + 6)
    assert weigh(counts, "challenge", "cheapest") == (CHANNELS * PLACES * 16, 36)


@pytest.mark.parametrize("between", [lambda x: torch.fake_quantize_per_tensor_affine(x, 0.3, 1, -8, 7), torch.relu])
def test_a_shuffle_is_one_whatever_is_done_to_each_element_between_its_steps(
    between: Callable[[Tensor], Tensor],
) -> None:
    def shuffle(x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        return between(between(x.view(n, 2, c // 2, h, w)).transpose(1, 2)).reshape(n, c, h, w)

    counts = count(captured(shuffle, SHAPE))
    assert [layer.parameters[0].elements for layer in counts.layers if layer.op == "permutation"] == [36]
    assert sum(layer.operations.all_multiplications for layer in counts.layers) == 3 * CHANNELS * PLACES


@pytest.mark.parametrize(
    "layout",
    [
        lambda x: torch.stack([x[:, :3], x[:, 3:]], 1).flatten(1, 2),
        lambda x: torch.stack([x, x], 2).flatten(2),
        lambda x: torch.cat([x[:, :3], x[:, 3:]], 1).flatten(2).unflatten(2, (5, 4)),
        lambda x: torch.cat([x, x], 3).flatten(1),
        lambda x: x[:, 0, 0, 0].view(-1, 1).transpose(0, 1).reshape(-1).view(-1, 1),
        lambda x: x.view(x.size(0), 1, 6, 5, 4).transpose(1, 2).reshape(x.size(0), 6, 5, 4),
        lambda x: x.view(x.size(0), 6, 1, 5, 4).transpose(1, 2).reshape(x.size(0), 6, 5, 4),
        lambda x: x.flatten(2).transpose(1, 2),
        lambda x: x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2).contiguous(),
        lambda x: x.view(x.size(0), 2, 3, 5, 4).transpose(1, 2).flatten(1),
        lambda x: x.view(x.size(0), 6, 4, 5).transpose(2, 3).reshape(x.size(0), 6, 5, 4),
        nn.PixelShuffle(1),
        nn.ChannelShuffle(1),
        nn.ChannelShuffle(6),
    ],
)
def test_layout_is_free(layout: nn.Module | Callable[[Tensor], Tensor]) -> None:
    counts = count(captured(layout, SHAPE))
    assert totals(counts) == (0, 0)
    assert parameters_of(counts) == (0, 0)


def test_heads_of_attention_are_layout() -> None:
    class Attention(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            n, tokens, depth = x.shape
            heads = x.view(n, tokens, 2, depth // 2).transpose(1, 2)
            mixed = F.scaled_dot_product_attention(heads, heads, heads)
            return mixed.transpose(1, 2).reshape(n, tokens, depth)

    assert "permutation" not in {layer.op for layer in count(captured(Attention(), (4, 6))).layers}


@pytest.mark.parametrize(
    ("axis", "index", "matrix"),
    [
        (1, [5, 0, 1, 2, 3, 4], 6 * 6),
        (-3, [5, 0, 1, 2, 3, 4], 6 * 6),
        (1, [0, 1, 3], 3 * 6),
        (1, [1, 1, 1], 3 * 6),
        (1, [0, 0, 1, 1, 2, 2], 6 * 6),
        (2, [4, 3, 2, 1, 0], 5 * 5),
        (2, [4, 3, 2, 1, 0, 1], 6 * 5),
        (2, [4, 0, 1, 2, 3], 5 * 5),
        (2, [0, 2, 1, 3, 4], 5 * 5),
        (2, [2, 4, 0, 1, 2, 3, 4], 7 * 5),
        (3, [0, 1, 3], 0),
        (3, [0, 3, 3], 3 * 4),
        (1, [1, 2, 3], 0),
        (1, [0, 2, 4], 0),
        (1, [3], 0),
    ],
)
def test_a_selection_is_a_permutation_unless_it_is_a_slice(axis: int, index: list[int], matrix: int) -> None:
    """The matrix has a row for each index chosen, with one 1; it is stored in place of the indices."""
    step = node("y", aten.index_select.default, X, axis, Ref("index"))
    counts = count(graph(step, weights={"index": torch.tensor(index)}, literals=frozenset({"index"}), shape=SHAPE))
    size = 6 * 5 * 4 // {1: 6, -3: 6, 2: 5, 3: 4}[axis] * len(index)
    assert totals(counts) == (size if matrix else 0, 0)
    assert parameters_of(counts) == (matrix, len(index) if matrix else 0)
    stored = graph(step, weights={"index": torch.tensor(index)}, shape=SHAPE)
    if matrix:
        assert parameters_of(count(stored)) == (matrix, len(index))


@pytest.mark.parametrize(
    "index",
    [
        [0, 0, 1, 1, 2, 2, 3, 3, 4, 4],
        [0, 0, 0, 1, 1, 2, 2, 3, 4, 4],
        [0, 1, 3],
        [1, 1, 1],
        [0, 0, 0, 1, 2, 3, 4, 4],
        [2, 1, 0, 1, 2, 3, 4, 3],
        [0, 1, 2, 3, 4, 3, 2, 1, 0],
        [3, 4, 0, 1, 2, 3, 4, 0],
        [0, 1, 2, 3, 4, 0, 1],
    ],
)
@pytest.mark.parametrize("axis", [2, -2])
def test_the_nearest_places_and_borders_of_copied_ones_are_free(axis: int, index: list[int]) -> None:
    step = node("y", aten.index_select.default, X, axis, Ref("index"))
    counts = count(graph(step, weights={"index": torch.tensor(index)}, literals=frozenset({"index"}), shape=SHAPE))
    assert totals(counts) == (0, 0)
    assert parameters_of(counts) == (0, 0)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@pytest.mark.parametrize("borders", [(1, 0, 2, 1), (0, 3, 0, 4), (2, 2, 2, 2)])
@pytest.mark.parametrize("literals", [frozenset({"rows", "columns"}), frozenset()])
def test_a_border_of_indices_costs_what_it_costs_as_one_operation(
    mode: str, borders: tuple[int, ...], literals: frozenset[str]
) -> None:
    """Nothing, like a border of zeros."""
    left, right, top, bottom = borders
    rows, columns = (
        F.pad(torch.arange(float(size)).reshape(1, 1, 1, size), (*ends, 0, 0), mode).flatten().long()
        for size, ends in ((5, (top, bottom)), (4, (left, right)))
    )
    picked = graph(
        node("r", aten.index_select.default, X, 2, Ref("rows")),
        node("y", aten.index_select.default, Ref("r"), 3, Ref("columns")),
        weights={"rows": rows, "columns": columns},
        literals=literals,
        shape=SHAPE,
    )
    padded = captured(lambda x: F.pad(x, borders, mode), SHAPE)
    assert totals(picked) == totals(padded) == (0, 0)
    assert parameters_of(count(picked)) == parameters_of(count(padded)) == (0, 0)
    x = torch.randn(2, *SHAPE)
    assert torch.equal(interpret(picked, x), interpret(padded, x))


@pytest.mark.parametrize("literals", [frozenset({"index"}), frozenset()])
@pytest.mark.parametrize(("index", "codes"), [([0, 1, 1], 3), ([1, 0], 0)])
def test_a_weight_put_in_another_order_is_stored_and_its_order_is_free(
    index: list[int], codes: int, literals: frozenset[str]
) -> None:
    """2x192 weights of 8 bits are read through a selection of rows, which no image changes.

    Where it has more rows than there are, it is a codebook, and needs its codes: one bit tells two rows apart.
    """
    weights = {"w": torch.randint(1, 100, (2, 192)) / 8, "index": torch.tensor(index)}
    counts = count(
        graph(
            node("picked", aten.index_select.default, Ref("w"), 0, Ref("index")),
            node("rows", aten.slice.Tensor, Ref("picked"), 0, 0, 2),
            node("flat", aten.flatten.using_ints, X, 1),
            node("y", aten.linear.default, Ref("flat"), Ref("rows")),
            weights=weights,
            formats={"w": fixed_point(8, (3,))},
            literals=literals,
            shape=(3, 8, 8),
        )
    )
    assert totals(counts) == (2 * 192, 2 * 191)
    assert parameters_of(counts) == (2 * 192 + codes, 2 * 192 + codes)
    stored = sum(parameter.elements * parameter.bits for layer in counts.layers for parameter in layer.parameters)
    assert stored == 3072 + codes


def test_one_row_of_a_quantized_weight_by_a_bare_number_needs_no_code() -> None:
    weights = {"w": torch.randint(1, 100, (2, 48)) / 8, "index": torch.tensor(1)}
    picked = node("picked", aten.index_select.default, Ref("w"), 0, Ref("index"))
    nodes = node("flat", aten.flatten.using_ints, X, 1), node("y", aten.linear.default, Ref("flat"), Ref("picked"))
    formats, literals = {"w": fixed_point(8, (3,))}, frozenset({"index"})
    counts = count(graph(picked, *nodes, weights=weights, formats=formats, literals=literals, shape=(3, 4, 4)))
    assert parameters_of(counts) == (2 * 48, 2 * 48)


def test_codes_take_the_bits_that_tell_the_places_of_their_codebook_apart() -> None:
    """4x48 weights out of 16 of 8 bits: 192 codes of 4 bits."""
    weights = {"book": torch.arange(-8, 8) / 4, "index": torch.randint(0, 16, (192,))}
    counts = count(
        graph(
            node("picked", aten.index_select.default, Ref("book"), 0, Ref("index")),
            node("rows", aten.view.default, Ref("picked"), (4, 48)),
            node("flat", aten.flatten.using_ints, X, 1),
            node("y", aten.linear.default, Ref("flat"), Ref("rows")),
            weights=weights,
            formats={"book": fixed_point(8, (2,))},
            literals=frozenset({"index"}),
            shape=(3, 4, 4),
        )
    )
    stored = sum(parameter.elements * parameter.bits for layer in counts.layers for parameter in layer.parameters)
    assert stored == 16 * 8 + 192 * 4


@pytest.mark.parametrize("index", [[0, 0, 1, 1, 2, 2], [0, 1, 2, 1, 0], [0, 1, 2, 0, 1, 2]])
def test_channels_of_tokens_lie_on_their_last_axis_and_are_no_places_of_an_image(index: list[int]) -> None:
    step = node("y", aten.index_select.default, X, 2, Ref("index"))
    counts = count(graph(step, weights={"index": torch.tensor(index)}, literals=frozenset({"index"}), shape=(5, 3)))
    assert parameters_of(counts) == (3 * len(index), len(index))


def test_a_permutation_is_as_wide_as_what_it_moves() -> None:
    """Its matrix holds zeros and ones, which no sign bit can multiply with."""
    index = {"index": torch.tensor([1, 0, 2, 3])}
    for source, bits in ((Ref("q"), 8), (X, 32)):
        step = node("y", aten.index_select.default, source, 1, Ref("index"))
        first = quantizer("q", "x", 8)
        late = quantizer("z", "y", 8)
        counts = count(graph(*([first] if bits == 8 else []), step, late, weights=index))
        assert weigh(counts, "challenge")[0] == 4 * 36 * bits
