"""What the address of a page asks for. A field that a form sends empty asks nothing."""

from collections.abc import Collection, Mapping

from app.http.errors import InvalidRequest
from app.http.problems import Fault

LONGEST = 200


class Query:
    """The parameters of an address. Every method raises InvalidRequest for what is not as documented."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = given

    def text(self, name: str, longest: int = LONGEST) -> str | None:
        """A text, None where there is none."""
        value = self._given.get(name, "").strip()
        if len(value) > longest or not value.isprintable():
            raise _fault(name, f"at most {longest} printable characters are expected.")
        return value or None

    def choice(self, name: str, choices: Collection[str]) -> str | None:
        """One of `choices`, None where nothing was chosen."""
        value = self.text(name)
        if value is not None and value not in choices:
            raise _fault(name, f"one of {', '.join(choices)} is expected.")
        return value

    def count(self, name: str, default: int, most: int) -> int:
        """A whole number from 1 to `most`."""
        value = self.text(name)
        if value is None:
            return default
        if not (value.isascii() and value.isdigit() and 1 <= int(value) <= most):
            raise _fault(name, f"a whole number from 1 to {most:,} is expected.")
        return int(value)


def _fault(name: str, detail: str) -> InvalidRequest:
    return InvalidRequest([Fault(detail=detail, parameter=name)])
