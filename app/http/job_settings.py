"""Settings as text from strangers, to a value a job can use, or to all that is wrong with them."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from app.http.access import Caller
from app.http.errors import InvalidSettings
from app.http.problems import Fault
from micronet.architectures import find_architecture
from micronet.contract import JobSettings
from micronet.errors import MicronetError
from micronet.jobs import Job
from micronet.tracks import track

_FAULTS = 20
_MOST_VALUES, _MOST_KEYS = 10_000, 1000
"""In all, and in one object: to say what is wrong with a million of them would keep the server from everybody else."""


def read_settings(job: Job, raw: bytes, caller: Caller, data_dir: Path | None) -> JobSettings:
    """The checked settings of a job. Raises InvalidSettings, with a JSON pointer into the form for each fault."""
    text = _checked_json(raw)
    try:
        settings = job.settings.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise InvalidSettings([_fault(detail) for detail in error.errors(include_url=False)[:_FAULTS]]) from error
    faults = [*_team_faults(settings, caller), *_library_faults(settings, data_dir)]
    if faults:
        raise InvalidSettings(faults)
    return settings


def _checked_json(raw: bytes) -> str:
    """The text, if it is JSON by the letter: no key twice, no NaN, no number beyond all bounds, not too deep."""
    if raw.count(b",") >= _MOST_VALUES:  # some of them may be text, of which no setting has so much either
        raise _whole(f"the settings have more than {_MOST_VALUES:,} values.")
    try:
        text = raw.decode("utf-8")
        json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant, parse_float=_finite)
    except UnicodeDecodeError:
        raise _whole("the settings are not UTF-8.") from None
    except RecursionError:
        raise _whole("the settings are nested too deeply.") from None
    except ValueError as error:
        raise _whole(f"the settings are not JSON: {str(error)[:200]}.") from None
    return text


def _object(pairs: list[tuple[str, object]]) -> None:
    if len(pairs) > _MOST_KEYS:
        raise ValueError(f"an object has {len(pairs):,} keys, and may have {_MOST_KEYS:,}")
    keys = [key for key, _ in pairs]
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"key {twice[:80]!r} comes twice")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:80]} is too large")
    return number


def _whole(detail: str) -> InvalidSettings:
    return InvalidSettings([Fault(detail=detail, pointer="/settings")])


def _fault(detail: ErrorDetails) -> Fault:
    return Fault(detail=detail["msg"].removeprefix("Value error, ")[:300], pointer=_pointer(*detail["loc"]))


def _pointer(*place: int | str) -> str:
    """RFC 6901, from the form down."""
    parts = ("settings", *place)
    return "".join("/" + str(part)[:100].replace("~", "~0").replace("/", "~1") for part in parts)


def _team_faults(settings: JobSettings, caller: Caller) -> list[Fault]:
    if caller.team is None or settings.team in (None, caller.team):
        return []
    detail = f"the token is of team {caller.team!r}; leave team out, or give that."
    return [Fault(detail=detail, pointer="/settings/team")]


def _library_faults(settings: JobSettings, data_dir: Path | None) -> list[Fault]:
    """What the job would find wrong before it looked at the file."""
    faults = []
    if isinstance(name := getattr(settings, "track", None), str):
        try:
            track(name, data_dir)
        except MicronetError as error:
            if not error.yours:
                raise
            faults.append(_known(error, "/settings/track"))
    if settings.architecture is not None:
        name, options = settings.architecture.name, settings.architecture.options
        place = "/settings/architecture/name"
        try:
            architecture = find_architecture(name)
            place = "/settings/architecture/options"
            architecture.parse(options)
        except MicronetError as error:
            faults.append(_known(error, place))
    return faults


def _known(error: MicronetError, pointer: str) -> Fault:
    return Fault(detail=str(error)[:1000], pointer=pointer, code=error.code)


def with_team(settings: JobSettings, caller: Caller) -> JobSettings:
    """The settings, entered for the token's team where there is one."""
    team: Mapping[str, object] = {} if caller.team is None else {"team": caller.team}
    return settings.model_copy(update=dict(team))
