"""How a message repeats what a file says: quoted, escaped and cut, for nobody vouches for it."""

import itertools
import re
from collections.abc import Iterable

SHOWN = 80
"""Characters of a name that a message repeats."""

_WORD = re.compile(rf"\w{{1,{SHOWN}}}", re.ASCII)


def show(value: object) -> str:
    """A short, printable form of something in a file: a quoted and cut string, a number, or the name of its type."""
    if isinstance(value, str):
        return ascii(value) if len(value) <= SHOWN else f"{ascii(value[:SHOWN])[:SHOWN]}..."
    if value is None or isinstance(value, bool | float) or (isinstance(value, int) and value.bit_length() <= 64):
        return repr(value)
    return f"<{type(value).__name__}>"


def show_some(values: Iterable[object], count: int = 8) -> str:
    """The first few of `values`, shown and joined by commas."""
    shown = [show(value) for value in itertools.islice(values, count + 1)]
    return ", ".join(shown[:count]) + (", ..." if len(shown) > count else "") if shown else "none"


def show_word(text: str) -> str:
    """What is usually a word, such as the name of an operation: as it is if it is one, else shown."""
    return text if _WORD.fullmatch(text) else show(text)
