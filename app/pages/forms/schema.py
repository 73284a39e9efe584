"""Every setting of a kind of job, read off the contract's own schema: its bounds, its default, what is said of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.settings_text import usual_of
from micronet.contract import JobSettings

Schema = Mapping[str, Any]
_NULL = {"type": "null"}
_HELD = ("items", "additionalProperties")
_PLAIN = ("boolean", "integer", "number", "string")
Path = tuple[str, ...]
"""Where a setting is: the keys that lead to it."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One value of the settings.

    schema    of the value itself, and of what it holds: references followed, without the null that an optional setting
              may be; of several kinds of values, the first
    words     what the contract says of it
    default   what holds where nothing is said
    alone     what holds where something beside it is said, in the same object
    nullable  whether it may be null
    loose     whether the object it is in is null by default, and so there only if something in it is said
    """

    path: Path
    schema: Schema
    words: str
    default: Any
    alone: Any
    nullable: bool
    loose: bool

    @property
    def drawable(self) -> bool:
        """Whether there is a control for it: a plain value, or a list or an object of such."""
        kind = self.schema.get("type")
        if kind == "array":
            return items_of(self.schema).get("type") in ("integer", "number", "string")
        if kind == "object":
            inner = self.schema.get("additionalProperties", True)
            return inner in (True, {}) or (isinstance(inner, Mapping) and inner.get("type") in _PLAIN)
        return kind in _PLAIN


def items_of(schema: Schema) -> Schema:
    """What a list holds; of a fixed number, all of them are alike."""
    items: Schema = schema["prefixItems"][0] if "prefixItems" in schema else schema["items"]
    return items


def settings_in(model: type[JobSettings]) -> Mapping[Path, Setting]:
    """Every setting that is a value, by its path; what lists hold is part of them."""
    document = model.model_json_schema()
    usual = usual_of(model).model_dump(mode="json")
    return {setting.path: setting for setting in _walk(document, document, (), usual, loose=False)}


def _walk(document: Schema, part: Schema, inside: Path, usual: Any, loose: bool) -> Iterator[Setting]:
    """The settings of one object; `usual` is what it is where it is not given."""
    loose = loose or usual is None
    for name, described in part["properties"].items():
        path, schema = (*inside, name), _resolved(document, described)
        alone = described.get("default", {} if _is_made_empty(part, name, schema) else None)
        default = alone if usual is None else usual.get(name)
        if "properties" in schema:
            yield from _walk(document, schema, path, default, loose)
            continue
        nullable = _NULL in described.get("anyOf", ())
        held = {key: _resolved(document, schema[key]) for key in _HELD if isinstance(schema.get(key), Mapping)}
        yield Setting(path, {**schema, **held}, described.get("description", ""), default, alone, nullable, loose)


def _is_made_empty(part: Schema, name: str, schema: Schema) -> bool:
    """Objects that a function makes are empty, and schemas do not say so."""
    return name not in part.get("required", ()) and schema.get("type") == "object"


def _resolved(document: Schema, described: Schema) -> Schema:
    """What is described, references followed; of several that it may be, the first that is not null."""
    for choice in described.get("anyOf", ()):
        if choice != _NULL:
            return _resolved(document, choice)
    if "$ref" in described:
        found: Schema = document["$defs"][described["$ref"].rpartition("/")[2]]
        return found
    return described
