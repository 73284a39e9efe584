"""What a class says of its fields: the rows of its docstring, as in `name   what it is`, and the prose around them."""

import inspect
import re
import textwrap
from collections.abc import Iterable, Mapping
from functools import cache

_WIDTH = 110
_ROW = re.compile(r"(?P<names>[a-z_]\w*(?:, [a-z_]\w*)*) {2,}(?P<words>\S.*)")


@cache
def prose_and_rows(docstring: str | None) -> tuple[str, Mapping[str, str]]:
    """The text of a docstring without its rows, and the words of each row by name.

    A row is a name, or several with commas between, then at least two spaces, then words; lines that are indented go
    on with it.
    """
    prose: list[str] = []
    rows: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in inspect.cleandoc(docstring or "").splitlines():
        row = _ROW.fullmatch(line)
        if row is not None:
            current = [row["words"]]
            rows |= dict.fromkeys(row["names"].split(", "), current)
        elif current is not None and line.startswith(" "):
            current.append(line.strip())
        else:
            current = None
            prose.append(line)
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(prose)).strip()
    return text, {name: " ".join(words) for name, words in rows.items()}


def words_of_fields(kind: type) -> Mapping[str, str]:
    """The rows of a class and of those above it, by name; the nearest speaks."""
    words: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        words |= prose_and_rows(each.__dict__.get("__doc__"))[1]
    return words


def with_inherited_rows(kind: type, fields: Iterable[str]) -> str:
    """The docstring of a class, with the rows of fields that only classes above it speak of, for `help` shows its own
    alone."""
    own, words = inspect.cleandoc(kind.__doc__ or ""), words_of_fields(kind)
    said = prose_and_rows(own)[1]
    rest = {name: words[name] for name in fields if name in words and name not in said}
    width = max(map(len, rest), default=0)
    rows = [_row(name.ljust(width), told) for name, told in rest.items()]
    return "\n\n".join(filter(None, (own, "\n".join(rows))))


def _row(name: str, words: str) -> str:
    return textwrap.fill(words, _WIDTH, initial_indent=f"{name}  ", subsequent_indent=" " * (len(name) + 2))
