"""Settings of jobs as people write them: JSON, a JSON or TOML file, and single values on top."""

import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from micronet.contract import PipelineSettings
from micronet.contract.pipeline import RECIPES, recipe
from micronet.errors import SettingsError

SettingsValue = TypeVar("SettingsValue", bound=BaseModel)


def whole(text: str | None) -> dict[str, Any]:
    """What --settings says: JSON, or @FILE of JSON or (called .toml) TOML. Raises SettingsError."""
    if text is None:
        return {}
    try:
        settings = _from_file(Path(text[1:])) if text.startswith("@") else json.loads(text)
    except RecursionError as error:
        raise SettingsError("--settings: nested too deep") from error
    except (OSError, ValueError) as error:  # what JSON, TOML and UTF-8 say are ValueErrors
        raise SettingsError(f"--settings: {error}") from error
    if not isinstance(settings, dict):
        raise SettingsError("--settings: a JSON object is needed")
    return settings


def _from_file(path: Path) -> Any:
    text = path.read_text()
    return tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)


def usual_of(model: type[SettingsValue]) -> SettingsValue:
    """What holds where nothing is said. What has to be said is missing in it."""
    optional = {name: field for name, field in model.model_fields.items() if not field.is_required()}
    if len(optional) == len(model.model_fields):
        return model()
    return model.model_construct(
        **{name: field.get_default(call_default_factory=True) for name, field in optional.items()}
    )


def pairs(option: str, given: Iterable[str], example: str) -> Mapping[str, object]:
    """KEY=VALUE pairs; values are JSON where they can be, text otherwise. Raises SettingsError."""
    values: dict[str, object] = {}
    for pair in given:
        key, equals, text = pair.partition("=")
        if not equals:
            raise SettingsError(f"{option} {pair!r}: KEY=VALUE is needed, as in {example}")
        try:
            values[key] = json.loads(text)
        except ValueError:  # also of an integer with more digits than Python reads
            values[key] = text
        except RecursionError as error:
            raise SettingsError(f"{option} {key}: nested too deep") from error
    return values


def put_each_(settings: dict[str, Any], values: Mapping[str, object]) -> None:
    """Set what KEY.PATHs lead to, wholes before parts of them. Raises SettingsError.

    A part of a pipeline's stages that are not there yet is one of its recipe's, or of those it has by default.
    """
    for key, value in sorted(values.items(), key=lambda pair: pair[0].count(".")):
        if key.startswith("stages."):
            settings.setdefault("stages", _stages(settings.get("recipe")))
        put_(settings, tuple(key.split(".")), value)


def put_(settings: dict[str, Any], path: tuple[str, ...], value: object) -> None:
    """Set settings[path], making objects on the way where there are none; entries of a list count from 0.

    Raises SettingsError for an entry that is not there, and where the path leads into something without parts.
    """
    inner: Any = settings
    for depth, key in enumerate(path):
        if isinstance(inner, list):
            place: Any = _place(inner, path, depth)
        elif isinstance(inner, dict):
            place = key
        else:
            said = "null" if inner is None else json.dumps(inner, default=str)
            raise SettingsError(f"{'.'.join(path)}: {path[depth - 1]} is {said}, which has no {key}")
        if depth == len(path) - 1:
            inner[place] = value
        else:
            inner = inner[place] if isinstance(inner, list) else inner.setdefault(place, {})


def _place(entries: list[Any], path: tuple[str, ...], depth: int) -> int:
    if not (path[depth].isdecimal() and int(path[depth]) < len(entries)):
        have = f"0 to {len(entries) - 1}" if entries else "none"
        raise SettingsError(f"{'.'.join(path)}: {'.'.join(path[:depth])} has no entry {path[depth]}; there are {have}")
    return int(path[depth])


def _stages(named: object) -> list[dict[str, Any]]:
    """The stages of a pipeline that says no more than, maybe, its recipe."""
    if named in RECIPES:
        stages: list[dict[str, Any]] = recipe(str(named))["stages"]
        return stages
    usual = PipelineSettings.model_fields["stages"].default
    return [stage.model_dump(mode="json", exclude_unset=True) for stage in usual]


def validated(kind: type[SettingsValue], settings: Mapping[str, Any]) -> SettingsValue:
    """The settings, if a job takes them. Raises SettingsError."""
    try:
        return kind.model_validate_json(json.dumps(settings))
    except (ValidationError, TypeError) as error:  # TOML knows dates, which no setting is
        if isinstance(error, TypeError):
            raise SettingsError(f"--settings: {error}") from error
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()[:5])
        raise SettingsError(faults) from error
