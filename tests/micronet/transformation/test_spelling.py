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
