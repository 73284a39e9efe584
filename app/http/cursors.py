"""Where the next page of jobs begins, as a word that means nothing to those who pass it on."""

_MOST_DIGITS = 12


def cursor_pattern(letter: str) -> str:
    """What cursors of a list look like; each list has a letter of its own, so that none is taken for another's."""
    return f"^{letter}[0-9]{{1,{_MOST_DIGITS}}}$"


def cursor_to(letter: str, place: int) -> str:
    """The cursor to a place of a list."""
    return f"{letter}{place}"


def place_of(cursor: str | None) -> int | None:
    """The place a cursor leads to; None without one. The pattern was checked."""
    return None if cursor is None else int(cursor[1:])
