"""Closing in on what may be lost: from foreseen losses to what networks are then expected to lose."""

import math
from collections.abc import Callable

GROWTH = 1.3
"""What is expected grows about with this power of what is foreseen; taken until there is a point on either side."""
FARTHEST = 4.0
"""Times the foreseen loss, at most, of one step."""
AIM, NEAR = 0.98, 0.95
"""Share of what may be lost that is aimed at, and that is near enough."""
SAME = 1.05
"""Foreseen losses on either side that are this near: what is expected of a network in between is mostly chance."""
EDGE = 0.1
"""Of the way between the two sides, in logarithms, that a step keeps away from either."""


def close_in(share_of: Callable[[float], float], first: float, steps: int, enough: float = math.inf) -> float | None:
    """Call `share_of` with foreseen losses, from `first` on, until it gives just below 1, at most `steps` times.

    After `enough` times whatever is below 1 will do.

    Returns the largest foreseen loss for which it gave no more than 1; None where there was none.

    It gives the loss that a network made for a foreseen loss is expected to have, as a share of what may be lost. That
    grows with what is foreseen, though not evenly: losses are neither independent nor small.
    """
    loss = first
    inside: tuple[float, float] | None = None
    outside: tuple[float, float] | None = None
    for step in range(1, steps + 1):
        share = share_of(loss)
        if share <= 1:
            inside = loss, share
        else:
            outside = loss, share
        if inside is not None and (inside[1] >= NEAR or step >= enough or _is_close(inside, outside)):
            break
        loss = _next(loss, share) if inside is None or outside is None else _between(inside, outside)
    return None if inside is None else inside[0]


def _is_close(inside: tuple[float, float], outside: tuple[float, float] | None) -> bool:
    return outside is not None and outside[0] < SAME * inside[0]


def _next(loss: float, share: float) -> float:
    times: float = (AIM / max(share, 1e-9)) ** (1 / GROWTH)
    return loss * min(max(times, 1 / FARTHEST), FARTHEST)


def _between(inside: tuple[float, float], outside: tuple[float, float]) -> float:
    """Where the logarithms say that `AIM` is, not too near to either."""
    (low, low_share), (high, high_share) = inside, outside
    way = math.log(AIM / max(low_share, 1e-9)) / math.log(high_share / max(low_share, 1e-9))
    share: float = min(max(way, EDGE), 1 - EDGE)
    return low * math.exp(share * math.log(high / low))
