"""Words out of files, on their way to a terminal."""

import re

from micronet.contract import UNPRINTABLE

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_ORDERS = re.compile(rf"(?!\n)[{UNPRINTABLE}\ud800-\udfff]")


def printable(text: str) -> str:
    """`text` without what moves a terminal's cursor, changes its colours or the direction of a line; lines stay."""
    return _ORDERS.sub(_REPLACEMENT, text)


def on_one_line(text: str) -> str:
    """The same for a name, which has one."""
    return printable(text.replace("\n", _REPLACEMENT))
