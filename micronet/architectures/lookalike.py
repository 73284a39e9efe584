"""Which network of the table a file's names remind of: a hint for whoever named the wrong one."""

import re
from collections.abc import Callable, Iterable, Mapping

from torch import nn

from micronet.architectures.table import Architecture

LIKE = 0.9
"""Least share of name patterns in common, of all that either has."""


def lookalike(
    names: Iterable[str], table: Mapping[str, Architecture], sketch: Callable[[Architecture], nn.Module]
) -> str:
    """Name of the network whose keys, numbers aside, are nearly those of `names`; empty if there is none."""
    wanted = _patterns(names)
    for name, architecture in table.items():
        known = _patterns(sketch(architecture).state_dict())
        if len(wanted & known) >= LIKE * len(wanted | known):
            return name
    return ""


def _patterns(names: Iterable[str]) -> set[str]:
    """Names without depth and counters, which are no mark of a kind: layer1.0.bn1.weight is layer#.#.bn#.weight."""
    return {re.sub(r"\d+", "#", name) for name in names if not name.endswith("num_batches_tracked")}
