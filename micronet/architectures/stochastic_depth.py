"""Stochastic depth: images that skip a residual branch while training."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class StochasticDepth(nn.Module):
    """Training drops the branch of an image with probability p (Huang et al. 2016); evaluation is the identity.

    That identity is a dropout outside training: it costs nothing, and tells whoever trains the graph what p is.
    """

    def __init__(self, drop_probability: float) -> None:
        super().__init__()
        self.drop_probability = drop_probability

    def forward(self, branch: Tensor) -> Tensor:
        """The branch (N, ...), kept images scaled so that the mean stays."""
        if self.drop_probability == 0:
            return branch
        if not self.training:
            return F.dropout(branch, self.drop_probability, training=False)
        keep = 1 - self.drop_probability
        each = (len(branch), *[1] * (branch.dim() - 1))
        return branch * torch.bernoulli(branch.new_full(each, keep)) / keep

    def extra_repr(self) -> str:
        """The probability, for repr."""
        return f"drop_probability={self.drop_probability:.4g}"
