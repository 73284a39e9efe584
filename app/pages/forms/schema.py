"""Every setting of a kind of job, read off the contract's own schema: its bounds, its default, what is said of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from micronet.contract import JobSettings

Schema = Mapping[str, Any]
_NULL = {"type": "null"}
Path = tuple[str, ...]
"""Where a setting is: the keys that lead to it."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One value of the settings.

    schema    of the value itself: references followed, without the null that an optional setting may be
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


def settings_in(model: type[JobSettings]) -> Mapping[Path, Setting]:
    """Every setting that is a value, by its path; what lists hold is part of them."""
    document = model.model_json_schema()
    usual = model().model_dump(mode="json")
    return {setting.path: setting for setting in _walk(document, document, (), usual, loose=False)}


def _walk(document: Schema, part: Schema, inside: Path, usual: Any, loose: bool) -> Iterator[Setting]:
    """The settings of one object; `usual` is what it is where it is not given."""
    loose = loose or usual is None
    for name, described in part["properties"].items():
        path, schema = (*inside, name), _resolved(document, described)
        alone = described.get("default", {} if _is_made_empty(part, name, schema) else None)
        default = alone if usual is None else usual[name]
        if "properties" in schema:
            yield from _walk(document, schema, path, default, loose)
            continue
        nullable = _NULL in described.get("anyOf", ())
        yield Setting(path, schema, described.get("description", ""), default, alone, nullable, loose)


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
