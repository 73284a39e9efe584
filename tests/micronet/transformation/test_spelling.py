"""One spelling: the same function at the same cost, and nothing that does nothing."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from torch import Tensor, nn

from micronet.analysis.counts import count
from micronet.graph.capture import capture
from micronet.graph.interpret import interpret
from micronet.network_file import from_bytes, to_bytes
from micronet.transformation.fold_constants import fold_constants
from micronet.transformation.prepare import prepare
from micronet.transformation.spelling import IDENTITIES, drop_identities, one_spelling
from tests.micronet.analysis.graphs import Apply
from tests.micronet.networks import IMAGE, images, networks

aten = torch.ops.aten


class Spelled(nn.Module):
    """Clips and products in all their words."""

    def forward(self, x: Tensor) -> Tensor:
        y = torch.clamp_min(x, 0.1) + torch.clamp_max(x, 0.3) + F.relu6(x) + x.clamp(-1, 1) + x.clamp(min=-1)
        z = F.dropout(y, 0.5, False).contiguous()
        return torch.bmm(z[:, 0], z[:, 1]).clone()


def test_every_clip_has_one_name() -> None:
    graph = capture(Spelled(), IMAGE)
    spelled = one_spelling(graph)
    assert torch.equal(interpret(spelled, images(3)), interpret(graph, images(3)))
    targets = [node.target for node in spelled.nodes]
    assert targets.count(aten.hardtanh.default) == 2
    assert targets.count(aten.clamp.default) == 3
    assert aten.matmul.default in targets
    assert one_spelling(spelled) == spelled
    pairs = zip(count(graph).layers, count(spelled).layers, strict=True)
    assert all(one.operations == other.operations for one, other in pairs)


@pytest.mark.parametrize(
    ("function", "target"),
    [
        (lambda x: torch.maximum(x, torch.tensor(0.0)), aten.relu.default),
        (lambda x: torch.maximum(torch.zeros_like(x), x), aten.relu.default),
        (lambda x: x.clamp(min=0), aten.relu.default),
        (lambda x: torch.clamp_min(x, 0), aten.relu.default),
        (lambda x: torch.maximum(x, torch.full((3, 1, 1), 0.5)), aten.clamp.default),
        (lambda x: torch.minimum(torch.tensor(0.5), x), aten.clamp.default),
        (lambda x: torch.minimum(x, torch.tensor(0.0)), aten.clamp.default),
        (lambda x: torch.maximum(x.mean(1, True), torch.full((3, 1, 1), 0.5)), aten.maximum.default),
        (lambda x: torch.maximum(x, x.mean(1, True)), aten.maximum.default),
    ],
)
def test_the_larger_of_values_and_a_number_is_a_clip_as_in_a_file(
    function: Callable[[Tensor], Tensor], target: object
) -> None:
    graph = fold_constants(capture(Apply(function), (3, 4, 4)))
    spelled = one_spelling(graph)
    assert spelled.nodes[-1].target is target
    shown = torch.randn(5, 3, 4, 4)
    assert torch.equal(interpret(spelled, shown), interpret(graph, shown))
    assert [layer.operations for layer in count(graph).layers] == [layer.operations for layer in count(spelled).layers]


def test_what_is_quantized_and_then_rectified_by_a_maximum_comes_back_from_its_file() -> None:
    def function(x: Tensor) -> Tensor:
        on_grid = torch.fake_quantize_per_tensor_affine(x, 0.25, 0, -128, 127)
        return (torch.maximum(on_grid, torch.tensor(0.5)) * 2 + torch.maximum(on_grid, torch.tensor(0.0)) * 3).flatten(
            1
        )

    graph = prepare(capture(Apply(function), (3, 4, 4)), fuse=True)
    assert count(prepare(from_bytes(to_bytes(graph)), fuse=True)).layers == count(graph).layers


def test_what_does_nothing_goes_and_nothing_else() -> None:
    graph = capture(Spelled(), IMAGE)
    lean = drop_identities(graph)
    assert torch.equal(interpret(lean, images(3)), interpret(graph, images(3)))
    assert [node for node in graph.nodes if node.target not in IDENTITIES and node.name not in lean.by_name()] == []
    assert not any(node.target in IDENTITIES for node in lean.nodes)


@pytest.mark.parametrize("copy", [Tensor.contiguous, lambda x: x.clone(memory_format=torch.contiguous_format)])
@pytest.mark.parametrize("steps", [1, 2])
def test_a_view_of_what_was_copied_into_order_stays_what_it_is(copy: Callable[[Tensor], Tensor], steps: int) -> None:
    """A transposed value has no view as rows: the copy made one possible."""

    def rows(x: Tensor) -> Tensor:
        moved = copy(x.transpose(1, 2))
        return moved.view(x.shape[0], -1) if steps == 1 else moved.view(x.shape[0], 1, -1).view(x.shape[0], -1)

    graph = capture(Apply(rows), IMAGE)
    lean = drop_identities(graph)
    assert not any(node.target in IDENTITIES for node in lean.nodes)
    assert torch.equal(interpret(lean, images(3)), interpret(graph, images(3)))


@settings(max_examples=20)
@given(networks())
def test_any_network_stays_what_it_is(module: nn.Module) -> None:
    graph = capture(module, IMAGE)
    other = drop_identities(one_spelling(graph))
    assert torch.equal(interpret(other, images(2)), interpret(graph, images(2)))
    assert [layer.operations for layer in count(other).layers] == [layer.operations for layer in count(graph).layers]
