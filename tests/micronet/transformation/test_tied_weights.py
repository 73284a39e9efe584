"""A matrix that is read as it is and transposed is one parameter, in a module and in its file."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from micronet.analysis.counts import Counts, count
from micronet.graph.capture import capture
from micronet.graph.interpret import interpret
from micronet.network_file import from_bytes, to_bytes
from micronet.transformation.prepare import prepare
from micronet.transformation.quantization import Quantization
from micronet.transformation.quantize import quantize_weights


class Tied(nn.Module):
    """16 values through 5 and back, by one matrix (5, 16)."""

    def __init__(self, decoded: Callable[[Tensor, Tensor, Tensor], Tensor], quantizes: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.w, self.bias = nn.Parameter(torch.randn(5, 16)), nn.Parameter(torch.randn(16))
        self.decoded, self.quantizes = decoded, quantizes

    def weight(self) -> Tensor:
        return torch.fake_quantize_per_tensor_affine(self.w, 0.25, 0, -8, 7) if self.quantizes else self.w

    def forward(self, x: Tensor) -> Tensor:
        code = F.linear(x.flatten(1), self.weight()).relu()
        return self.decoded(code, self.weight(), self.bias)


DECODERS = [
    lambda code, w, b: F.linear(code, w.t()),
    lambda code, w, b: F.linear(code, w.t(), b),
    lambda code, w, b: F.linear(code[:, None], w.transpose(-1, 0), b)[:, 0],
    lambda code, w, b: F.linear(F.linear(F.linear(code, w.mT), w), w.permute(1, 0)),
    lambda code, w, b: F.linear(torch.relu(code @ w) @ w.t(), w.t(), b),
]


def stored(counts: Counts) -> list[tuple[int, int]]:
    """Elements and bits of every matrix."""
    return [(one.elements, one.bits) for layer in counts.layers for one in layer.parameters if one.elements > 16]


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("quantizes", [False, True])
@pytest.mark.parametrize("decoded", DECODERS)
def test_a_matrix_that_is_read_transposed_too_is_stored_once(
    decoded: Callable[[Tensor, Tensor, Tensor], Tensor], quantizes: bool, device: str
) -> None:
    """It was stored twice, and rounded twice."""
    module = Tied(decoded, quantizes).eval().requires_grad_(False)
    graph = prepare(capture(module.to(device), (1, 4, 4)), fuse=True)
    counts = count(graph)
    assert stored(counts) == [(80, 4 if quantizes else 32)]
    if device == "meta":
        return
    x = torch.randn(3, 1, 4, 4)
    torch.testing.assert_close(interpret(graph, x), module(x))
    again = count(from_bytes(to_bytes(graph)))
    assert stored(again) == stored(counts)
    for what in ("all_multiplications", "all_additions"):
        plain, read = (sum(getattr(layer.operations, what) for layer in each.layers) for each in (counts, again))
        assert plain == read
    if not quantizes:
        rounded = quantize_weights(graph, Quantization(9, 32))
        assert stored(count(rounded)) == stored(count(from_bytes(to_bytes(rounded)))) == [(80, 9)]


def test_it_costs_what_two_matrices_cost_but_for_their_storage() -> None:
    tied, apart = (
        prepare(capture(Tied(lambda code, w, b, by=by: F.linear(code, by(w), b)), (1, 4, 4)), fuse=True)
        for by in (lambda w: w.t(), lambda w: (w * 2).t())
    )
    one, two = ([layer.operations for layer in count(graph).layers] for graph in (tied, apart))
    assert one == two
    assert (len(stored(count(tied))), len(stored(count(apart)))) == (1, 2)


def test_a_matrix_that_is_read_transposed_only_is_turned_ahead() -> None:
    graph = prepare(capture(Tied(lambda code, w, b: F.linear(code, (w + 1).t(), b)), (1, 4, 4)), fuse=True)
    assert [node.target for node in graph.nodes][-1] is torch.ops.aten.linear.default
