"""Bounds of a JSON Schema, as people write them."""

from collections.abc import Mapping
from typing import Any

from app.pages.formats import number
from micronet.contract.values import NAME_PATTERN, SHA256_PATTERN

_COMPARED: Mapping[str, str] = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
_COUNTED: tuple[tuple[str, str, str], ...] = (
    ("minLength", "maxLength", "characters"),
    ("minItems", "maxItems", "of them"),
    ("minProperties", "maxProperties", "keys"),
)
_PATTERNS: Mapping[str, str] = {
    NAME_PATTERN: "printable, not blank",
    SHA256_PATTERN: "64 hexadecimal digits, lower case",
}


def limits_of(schema: Mapping[str, Any]) -> str:
    """The bounds of one value; "" where it has none. `each` are those of a list's elements."""
    parts = [f"each {schema['each']}"] if schema.get("each") else []
    parts += [f"{sign} {number(schema[name])}" for name, sign in _COMPARED.items() if name in schema]
    if "multipleOf" in schema:
        parts.append(f"a multiple of {schema['multipleOf']}")
    parts += [_count(schema.get(least), schema.get(most), of) for least, most, of in _COUNTED]
    if "pattern" in schema:
        parts.append(_PATTERNS.get(schema["pattern"], f"matches {schema['pattern']}"))
    return ", ".join(filter(None, parts))


def _count(least: int | None, most: int | None, of: str) -> str:
    if least is None and most is None:
        return ""
    if most is None:
        return f"at least {least} {of}"
    return f"at most {most:,} {of}" if not least else f"{least} to {most:,} {of}"
