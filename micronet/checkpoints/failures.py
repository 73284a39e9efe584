"""The one place where other parsers' exceptions become ours."""

from collections.abc import Iterator
from contextlib import contextmanager

from micronet.errors import CorruptFile, FileTooLarge, MicronetError
from micronet.shown import show


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
