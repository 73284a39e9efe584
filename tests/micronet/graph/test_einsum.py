"""An Einstein sum is what torch gives, for any batch, and costs what its products of matrices do."""

import pytest
import torch
from torch import Tensor, nn

from micronet.analysis.counts import count
from micronet.errors import UnknownOperation
from micronet.graph.interpret import interpret
from tests.micronet.analysis.graphs import captured, totals

SHAPE = (4, 6, 5)
WEIGHT, STACK = torch.randn(7, 4), torch.randn(4, 5, 3)


class Sum(nn.Module):
    """An equation of images, and of a weight or of the images again."""

    def __init__(self, equation: str, weight: Tensor | None = None, first: bool = False) -> None:
        super().__init__()
        self.equation, self.first = equation, first
        self.weight = None if weight is None else nn.Parameter(weight, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        others = [x if self.weight is None else self.weight] if "," in self.equation else []
        return torch.einsum(self.equation, *([*others, x] if self.first else [x, *others]))


@pytest.mark.parametrize(
    ("module", "multiplications", "additions"),
    [
        (Sum("nhid,nhjd->nhij"), 4 * 36 * 5, 4 * 36 * 4),  # scores of 4 heads: 6 x 6 sums of 5
        (Sum("nhid, nhjd -> nijh"), 4 * 36 * 5, 4 * 36 * 4),
        (Sum("...id,...jd->...ij"), 4 * 36 * 5, 4 * 36 * 4),
        (Sum("nchw,oc->nohw", WEIGHT), 7 * 30 * 4, 7 * 30 * 3),  # a convolution of 1 x 1
        (Sum("oc,nchw->nohw", WEIGHT, first=True), 7 * 30 * 4, 7 * 30 * 3),
        (Sum("nchw,cwd->ndh", STACK), 3 * 6 * 20, 3 * 6 * 19),  # sums over 4 channels of 5
        (Sum("nchw,cwd->nchd", STACK), 4 * 6 * 3 * 5, 4 * 6 * 3 * 4),  # a matrix for each channel
        (Sum("nchw,nchw->nchw"), 120, 0),
        (Sum("nchw,nchw->n"), 120, 119),
        (Sum("nchw,ndhw->ncd"), 16 * 30, 16 * 29),
        (Sum("nchw->nwc"), 0, 20 * 5),  # sums of 6
        (Sum("nchw->nhwc"), 0, 0),
    ],
    ids=lambda case: case.equation if isinstance(case, Sum) else "",
)
def test_it_gives_and_costs_what_its_products_do(module: Sum, multiplications: int, additions: int) -> None:
    graph = captured(module, SHAPE)
    assert totals(count(graph)) == (multiplications, additions)
    for batch in (1, 2, 5):
        images = torch.randn(batch, *SHAPE)
        torch.testing.assert_close(interpret(graph, images), module(images))


@pytest.mark.parametrize("equation", ["ncii->nci", "nchw,nchw,nchw->n"])
def test_diagonals_and_several_orders_are_refused_by_name(equation: str) -> None:
    def does(x: Tensor) -> Tensor:
        x = x[:, :, :5]
        return torch.einsum(equation, *[x] * (equation.count(",") + 1))

    with pytest.raises(UnknownOperation, match="einsum"):
        count(captured(does, SHAPE))
