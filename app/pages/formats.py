"""How numbers, times and sizes are written on pages."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from markupsafe import Markup, escape

from app.printable import on_one_line

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
_LONGEST = 1024
"""Characters of a name that a page shows: as many as a file may give one."""

_PARTS_END = re.compile(r"(?<=[/._])(?=[^/._])")

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def number(value: float) -> str:
    """1,234,567; with up to five decimals where it is no whole number: all there are of bits divided by 32."""
    if isinstance(value, int) or value == int(value):
        return f"{int(value):,}"
    return f"{value:,.5f}".rstrip("0")


def percent(share: float, digits: int = 2) -> str:
    """0.8003 as 80.03 %."""
    return f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def score(value: float) -> str:
    """Six decimals: the best scores differ in the fourth."""
    return f"{value:.6f}"


def signed(value: float, digits: int = 6) -> str:
    """With its sign, a true minus; integers without decimals."""
    text = f"{abs(value):,}" if isinstance(value, int) else f"{abs(value):,.{digits}f}"
    sign = "\N{PLUS-MINUS SIGN}" if value == 0 else "+" if value > 0 else "\N{MINUS SIGN}"
    return sign + text


def size(count: int) -> str:
    """Bytes in the unit that fits."""
    amount, unit = float(count), 0
    while amount >= 1024 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    return f"{amount:,.0f} {_UNITS[unit]}" if unit == 0 else f"{amount:,.1f} {_UNITS[unit]}"


def duration(seconds: float) -> str:
    """As people say it, to the second."""
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"


def took(started: str | None, finished: str | None) -> str:
    """From one ISO 8601 time to another; nothing where it did not begin, or has not ended."""
    if started is None or finished is None:
        return ""
    seconds = (datetime.fromisoformat(finished) - datetime.fromisoformat(started)).total_seconds()
    return duration(max(0.0, seconds))


def moment(text: str) -> str:
    """An ISO 8601 time, to the minute, in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def clock(text: str) -> str:
    """An ISO 8601 time to the second, in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def rate(value: float) -> str:
    """Units a second, to three digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def words(name: str) -> str:
    """A key of JSON, as people read it."""
    return name.replace("_", " ")


def sentence(text: str) -> str:
    """Words of a docstring as a sentence, or several."""
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def marked(text: str) -> Markup:
    """Words of a docstring: what stands between backticks is code."""
    parts = text.split("`")
    code = [Markup("<code>{}</code>").format(part) if index % 2 else escape(part) for index, part in enumerate(parts)]
    return Markup("").join(code)


def named(text: str) -> Markup:
    """A name out of a file: on one line, in its own direction, and long ones are broken where their parts end.

    Of endless ones, which files may have that were read before names had a bound, the beginning is shown.
    """
    short = text if len(text) <= _LONGEST else text[:_LONGEST] + "\N{HORIZONTAL ELLIPSIS}"
    broken = _PARTS_END.sub("<wbr>", str(escape(on_one_line(short))))
    return Markup(f"<bdi>{broken}</bdi>")  # escaped before it was broken


FILTERS: Mapping[str, Callable[..., str]] = {
    "number": number,
    "percent": percent,
    "score": score,
    "signed": signed,
    "size": size,
    "duration": duration,
    "moment": moment,
    "took": took,
    "words": words,
    "clock": clock,
    "rate": rate,
    "marked": marked,
    "sentence": sentence,
    "named": named,
}
"""As templates call them."""
