"""The one place where other parsers' exceptions become ours, and where hostile text is cut before it is shown."""

import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from micronet.errors import CorruptFile, FileTooLarge, MicronetError

SHOWN = 80
"""Characters of an uploaded name that a message repeats."""


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


@contextmanager
def guarded(what: str, advice: str) -> Iterator[None]:
    """Read a hostile file inside this block: whatever a parser throws leaves it as a `MicronetError`.

    what      the thing being read, such as "the pickle"
    advice    a sentence that says what would be right

    Raises FileTooLarge for lack of memory, CorruptFile for any other exception, Rust panics (no `Exception`) included.
    """
    try:
        yield
    except (MicronetError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except MemoryError as error:
        raise FileTooLarge(f"There is not enough memory to read {what}. {advice}") from error
    except BaseException as error:
        raise CorruptFile(f"{what[0].upper()}{what[1:]} cannot be read ({_brief(error)}). {advice}") from error


def _brief(error: BaseException) -> str:
    lines = str(error)[:4000].strip().splitlines()
    return f"{type(error).__name__}: {show(lines[0])}" if lines else type(error).__name__
