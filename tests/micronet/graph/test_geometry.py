"""Strides, paddings and dilations are one number for each axis, however a node says them."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from micronet.analysis.counts import count
from micronet.errors import UnknownOperation
from micronet.graph.capture import capture
from micronet.graph.geometry import Geometry, geometry, per_axis
from micronet.graph.ir import Argument, Node, Ref, Target

aten = torch.ops.aten


@pytest.mark.parametrize(
    ("target", "said", "expected"),
    [
        (aten.conv2d.default, (), Geometry((1, 1), (0, 0), (1, 1), 1)),
        (aten.conv2d.default, (2, 1), Geometry((2, 2), (1, 1), (1, 1), 1)),
        (aten.conv2d.default, ((1, 2), (3,), (1, 2), 4), Geometry((1, 2), (3, 3), (1, 2), 4)),
        (aten.conv1d.default, (), Geometry((1,), (0,), (1,), 1)),
        (aten.conv1d.default, ((2,), 1, 3), Geometry((2,), (1,), (3,), 1)),
    ],
)
def test_what_is_left_out_is_as_torch_has_it(target: Target, said: tuple[Argument, ...], expected: Geometry) -> None:
    node = Node("y", target, (Ref("x"), Ref("w"), None, *said))
    assert geometry(node, len(expected.stride)) == expected


def test_a_size_is_given_once_or_for_each_axis() -> None:
    assert [per_axis(sizes, 2) for sizes in (3, (3,), (3, 4))] == [(3, 3), (3, 3), (3, 4)]


def test_a_window_as_large_as_the_batch_is_refused_and_not_counted_as_one_of_nothing() -> None:
    class Pool(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.max_pool2d(x, x.shape[0]).flatten(1)

    with pytest.raises(UnknownOperation, match="as a number"):
        count(capture(Pool(), (3, 12, 12)))
