"""What the address of a page asks for. A field that a form sends empty asks nothing."""

import re
from collections.abc import Collection, Mapping

from app.http.errors import InvalidRequest
from app.http.problems import Fault
from micronet.contract import UNPRINTABLE

LONGEST = 200
_UNPRINTABLE = re.compile(f"[{UNPRINTABLE}]")


class Query:
    """The parameters of an address. Every method raises InvalidRequest for what is not as documented."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = given

    def text(self, name: str, longest: int = LONGEST) -> str | None:
        """A text as it is, None where there is none."""
        value = self._given.get(name, "")
        if len(value) > longest or _UNPRINTABLE.search(value):
            raise _fault(name, f"at most {longest} printable characters are expected.")
        return value or None

    def choice(self, name: str, choices: Collection[str]) -> str | None:
        """One of `choices`, None where nothing was chosen."""
        value = self.text(name)
        if value is not None and value not in choices:
            raise _fault(name, f"one of {', '.join(choices)} is expected.")
        return value

    def count(self, name: str, default: int, most: int, least: int = 1) -> int:
        """A whole number from `least` to `most`."""
        value = self.text(name)
        if value is None:
            return default
        if not (value.isascii() and value.isdigit() and least <= int(value) <= most):
            raise _fault(name, f"a whole number from {least} to {most:,} is expected.")
        return int(value)


def _fault(name: str, detail: str) -> InvalidRequest:
    return InvalidRequest([Fault(detail=detail, parameter=name)])
