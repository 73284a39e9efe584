"""ShakeDrop: noise on a residual branch, drawn anew for forward and backward."""

import torch
from torch import Tensor, nn


class ShakeDrop(nn.Module):
    """Scales a residual branch (Yamada et al. 2018, equation 6).

    Training: a batch passes unchanged with probability 1 - p; otherwise each image is scaled by its own
    a ~ U[-1, 1] forward, and its gradient by its own b ~ U[0, 1]. Evaluation: the expectation, 1 - p, since E[a] = 0.
    With p = 0 it is the identity.
    """

    def __init__(self, drop_probability: float) -> None:
        super().__init__()
        self.drop_probability = drop_probability

    def forward(self, branch: Tensor) -> Tensor:
        """The scaled branch, (N, C, H, W)."""
        if self.drop_probability == 0:
            return branch
        if not self.training:
            return branch * (1 - self.drop_probability)
        keep = torch.bernoulli(branch.new_full((1, 1, 1, 1), 1 - self.drop_probability))
        forward = keep + (1 - keep) * branch.new_empty(len(branch), 1, 1, 1).uniform_(-1, 1)
        backward = keep + (1 - keep) * branch.new_empty(len(branch), 1, 1, 1).uniform_(0, 1)
        # The detached term fixes the value and leaves the gradient of the first term alone.
        return branch * backward + (branch * (forward - backward)).detach()

    def extra_repr(self) -> str:
        """The probability, for repr."""
        return f"drop_probability={self.drop_probability:.4g}"
