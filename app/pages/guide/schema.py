"""A JSON Schema as rows for people: every value that may be given, by its dotted path."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.pages.guide.limits import limits_of
from micronet.contract.words import prose_and_rows

Schema = Mapping[str, Any]
_NULL = {"type": "null"}
_SEVERAL = 10
_KINDS: Mapping[str, str] = {
    "boolean": "true or false",
    "integer": "whole number",
    "number": "number",
    "object": "object",
    "string": "text",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One value. `default` holds where nothing is given at all; `alone`, if it differs, where what it is in is given.

    In a path, [] stands for each element of a list, and NAME for any key.
    """

    path: str
    kind: str
    default: str
    alone: str | None
    limits: str
    choices: tuple[str, ...]
    words: str


@dataclass(frozen=True, slots=True)
class Table:
    """Values to be shown together, of one object at `path`; `case` tells it from others that may stand there."""

    path: str
    case: str | None
    words: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class _Group:
    """The values of one object, and the objects among them."""

    path: str
    case: str | None
    words: str
    rows: tuple[Row, ...]
    groups: tuple["_Group", ...]

    def all_rows(self) -> Iterator[Row]:
        """Its own, each followed by those of the objects in it."""
        for row in self.rows:
            yield row
            for group in self.groups:
                if _is_in(group.path, row.path):
                    yield from group.all_rows()

    @property
    def is_large(self) -> bool:
        """Whether it is easier to read in a table of its own."""
        return self.case is not None or len(tuple(self.all_rows())) > _SEVERAL


def tables_of(schema: Schema) -> tuple[Table, ...]:
    """Everything an object of this schema may hold: first all but the objects in it that hold much, then each of these.

    Every path is in one table, but where several kinds of object may stand in one place.
    """
    whole = _Reader(schema).group(schema, "", None, None)
    small = replace(whole, groups=tuple(group for group in whole.groups if not group.is_large))
    groups = (small, *(group for group in whole.groups if group.is_large))
    return tuple(Table(group.path, group.case, group.words, tuple(group.all_rows())) for group in groups)


def _is_in(path: str, outer: str) -> bool:
    return path == outer or (path.removeprefix(outer)[:1] in ("[", ".") and path.startswith(outer))


class _Reader:
    """Reads one document; references are to its own definitions."""

    def __init__(self, document: Schema) -> None:
        self._definitions: Mapping[str, Schema] = document.get("$defs", {})

    def group(self, part: Schema, path: str, case: str | None, default: object) -> _Group:
        """The object `part` at `path`; `default` is what it is where it is not given."""
        rows: list[Row] = []
        groups: list[_Group] = []
        for name, described in part["properties"].items():
            place = f"{path}.{name}" if path else name
            needed = name in part.get("required", ())
            value = default.get(name) if isinstance(default, Mapping) else _default(described, needed)
            rows.append(self._row(place, described, needed, value))
            groups += self._below(place, described, value)
        return _Group(path, case, prose_and_rows(part.get("description"))[0], tuple(rows), tuple(groups))

    def _row(self, path: str, described: Schema, needed: bool, value: object) -> Row:
        default, own = _text(value, described, needed), _text(_default(described, needed), described, needed)
        return Row(
            path=path,
            kind=" or ".join(self._kinds(described)),
            default=default,
            alone=None if default == own else own,
            limits="; ".join(dict.fromkeys(filter(None, map(limits_of, self._values(described))))),
            choices=tuple(map(json.dumps, self._choices(described))),
            words=self._words(described),
        )

    def _words(self, described: Schema) -> str:
        """Its own, and of objects the first lines of what they are."""
        objects = [each for each in self._alternatives(described) if "properties" in each]
        about = [prose_and_rows(each.get("description"))[0].partition("\n\n")[0] for each in objects]
        own = described.get("description", "")
        return ". ".join(filter(None, (own, *about[:1]))) if len(objects) <= 1 else str(own)

    def _alternatives(self, described: Schema) -> list[Schema]:
        """What may stand there, references followed, null left out."""
        if "$ref" in described:
            return self._alternatives(self._definitions[described["$ref"].rpartition("/")[2]])
        choices = described.get("anyOf") or described.get("oneOf")
        if choices is None:
            return [_as_list(described)]
        return [inner for choice in choices if choice != _NULL for inner in self._alternatives(choice)]

    def _below(self, path: str, described: Schema, value: object) -> Iterator[_Group]:
        alternatives = self._alternatives(described)
        several = sum("properties" in each for each in alternatives) > 1
        for each in alternatives:
            if "properties" in each:
                yield self.group(each, path, _case(each) if several else None, value)
            elif isinstance(each.get("items"), Mapping):
                yield from self._below(f"{path}[]", each["items"], None)
            elif isinstance(each.get("additionalProperties"), Mapping):
                yield from self._below(f"{path}.NAME", each["additionalProperties"], None)

    def _values(self, described: Schema) -> Iterator[Schema]:
        """The alternatives and what lists hold, for their limits."""
        for each in self._alternatives(described):
            if isinstance(each.get("items"), Mapping):
                inner = [limits_of(item) for item in self._alternatives(each["items"]) if "properties" not in item]
                yield {**each, "each": ", ".join(filter(None, inner))}
            elif "properties" not in each:
                yield each

    def _choices(self, described: Schema) -> list[object]:
        found: list[object] = []
        for each in self._alternatives(described):
            found += each.get("enum", [each["const"]] if "const" in each else [])
        return found

    def _kinds(self, described: Schema) -> list[str]:
        kinds = [self._kind(each) for each in self._alternatives(described)]
        may_be_null = _NULL in described.get("anyOf", ())
        return list(dict.fromkeys([*kinds, "null"] if may_be_null else kinds))

    def _kind(self, each: Schema) -> str:
        if each.get("type") == "array":
            return "list of " + " or ".join(map(_plural, self._kinds(each["items"])))
        return _KINDS[each["type"]] if "type" in each else "any JSON value"


def _as_list(described: Schema) -> Schema:
    """Of a fixed number of items that are alike: as a list of them, with that length."""
    places = described.get("prefixItems", ())
    alike = places and all(place == places[0] for place in places)
    return {**described, "items": places[0]} if alike else described


def _default(described: Schema, needed: bool) -> object:
    """Objects that a function makes are empty, and schemas do not say so."""
    return described.get("default", None if needed else {})


def _text(value: object, described: Schema, needed: bool) -> str:
    if needed:
        return "needed"
    if isinstance(value, Mapping) and value:
        return "as below"
    tells = described.get("items", {}).get("discriminator", {}).get("propertyName")
    if tells and isinstance(value, Sequence):
        return ", ".join(item[tells] for item in value)
    return json.dumps(value)


def _case(part: Schema) -> str:
    """What tells an object from the others of a union: its one constant."""
    (constant,) = (described["const"] for described in part["properties"].values() if "const" in described)
    return str(constant)


def _plural(kind: str) -> str:
    first, of, rest = kind.partition(" of ")
    return f"{first}s{of}{rest}"
