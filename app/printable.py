"""Words out of files, on their way to a terminal."""

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def printable(text: str) -> str:
    """`text` without what moves a terminal's cursor, changes its colours, or worse; lines stay."""
    return "".join(character if character.isprintable() or character == "\n" else _REPLACEMENT for character in text)
