"""Settings of jobs as people write them: JSON, a JSON or TOML file, and single values on top."""

import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

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


def pairs(option: str, given: Iterable[str], example: str) -> Mapping[str, object]:
    """KEY=VALUE pairs; values are JSON where they can be, text otherwise. Raises SettingsError."""
    values: dict[str, object] = {}
    for pair in given:
        key, equals, text = pair.partition("=")
        if not equals:
            raise SettingsError(f"{option} {pair!r}: KEY=VALUE is needed, as in {example}")
        try:
            values[key] = json.loads(text)
        except json.JSONDecodeError:
            values[key] = text
        except RecursionError as error:
            raise SettingsError(f"{option} {key}: nested too deep") from error
    return values


def put_(settings: dict[str, Any], path: tuple[str, ...], value: object) -> None:
    """Set settings[path], making objects on the way where there are none. Raises SettingsError."""
    *parents, last = path
    for parent in parents:
        inner = settings.get(parent)
        settings = settings.setdefault(parent, {}) if isinstance(inner, dict) or inner is None else {}
        if settings is None:
            raise SettingsError(f"{'.'.join(path)}: {parent} is null")
    settings[last] = value


def validated(kind: type[SettingsValue], settings: Mapping[str, Any]) -> SettingsValue:
    """The settings, if a job takes them. Raises SettingsError."""
    try:
        return kind.model_validate_json(json.dumps(settings))
    except (ValidationError, TypeError) as error:  # TOML knows dates, which no setting is
        if isinstance(error, TypeError):
            raise SettingsError(f"--settings: {error}") from error
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()[:5])
        raise SettingsError(faults) from error
