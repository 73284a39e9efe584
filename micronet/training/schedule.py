"""The learning rate of each step."""

import math

from micronet.contract import Training


def learning_rate(how: Training, step: int, steps: int, steps_per_epoch: int) -> float:
    """Rate of step `step` (from 0) of `steps`.

    Warm-up is linear and reaches the full rate at its last step (Goyal et al. 2017). What follows it is one cosine from
    there to zero (Loshchilov and Hutter 2017, without restarts), steps down, or constant.
    """
    warm = round(how.warmup_epochs * steps_per_epoch)
    if step < warm:
        return how.learning_rate * (step + 1) / warm
    if how.schedule == "cosine":
        return how.learning_rate * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm))) / 2
    if how.schedule == "step":
        return how.learning_rate * how.milestone_factor ** sum(step >= share * steps for share in how.milestones)
    return how.learning_rate
