"""Names that are given once."""

from collections.abc import Iterable


class Names:
    """A set of names that hands out new ones."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)
        self._numbers: dict[str, int] = {}

    def new(self, name: str, joint: str) -> str:
        """`name`, or `name` with the first number after `joint` that makes it new."""
        candidate = name
        while candidate in self._taken:
            self._numbers[name] = self._numbers.get(name, 0) + 1
            candidate = f"{name}{joint}{self._numbers[name]}"
        self._taken.add(candidate)
        return candidate
