"""Parsing JSON that nobody trusts: strictly, and bounded before anything large is made of it."""

import json
import math
from dataclasses import dataclass
from typing import Any, NoReturn


@dataclass(frozen=True, slots=True)
class JsonBounds:
    """How much a text may say.

    values  in all, and for each of them something is made; lists and objects count twice, and a comma or a bracket
            inside of a text counts as well, so that this costs no more than counting bytes
    keys    of one object
    """

    values: int
    keys: int


class JsonRefused(ValueError):
    """A text that is no JSON, or says too much."""


def parse(raw: bytes, bounds: JsonBounds) -> Any:
    """What the text says, if no key comes twice, every number is finite, and all of it within bounds.

    Nesting is bounded by the interpreter's own limit of recursion. Raises JsonRefused.
    """
    if sum(map(raw.count, (b",", b"[", b"{"))) >= bounds.values:
        raise JsonRefused(f"it has more than {bounds.values:,} values")

    def object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        return _object(pairs, bounds.keys)

    try:
        text = raw.decode("utf-8")
        return json.loads(text, object_pairs_hook=object_of, parse_constant=_no_constant, parse_float=_finite)
    except UnicodeDecodeError:
        raise JsonRefused("it is not UTF-8") from None
    except RecursionError:
        raise JsonRefused("it is nested too deeply") from None
    except ValueError as error:
        raise JsonRefused(f"it is not JSON: {str(error)[:200]}") from None


def _object(pairs: list[tuple[str, Any]], most: int) -> dict[str, Any]:
    if len(pairs) > most:
        raise ValueError(f"an object has {len(pairs):,} keys, and may have {most:,}")
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"key {twice[:80]!r} comes twice")
    return made


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:80]} is too large")
    return number
