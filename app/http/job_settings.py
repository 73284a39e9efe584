"""Settings as text from strangers, to a value a job can use, or to all that is wrong with them."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from app.http.access import Caller
from app.http.errors import InvalidSettings
from app.http.problems import Fault
from micronet.architectures import find_architecture
from micronet.contract import ArchitectureSettings, JobSettings, Value
from micronet.errors import MicronetError
from micronet.jobs import Job
from micronet.tracks import track
from worker.bounded_json import JsonBounds, JsonRefused, parse

_FAULTS = 20
_BOUNDS = JsonBounds(values=20_000, keys=1000)
"""To say what is wrong with a million values would keep the server from everybody else."""


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


def _checked_json(raw: bytes) -> bytes:
    """The text, if it is JSON by the letter and says no more than settings do."""
    try:
        parse(raw, _BOUNDS)
    except JsonRefused as error:
        raise InvalidSettings([Fault(detail=f"the settings cannot be read: {error}.", pointer="/settings")]) from None
    return raw


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
    for pointer, given in _architectures(settings, "/settings"):
        place = f"{pointer}/name"
        try:
            architecture = find_architecture(given.name)
            place = f"{pointer}/options"
            architecture.parse(given.options)
        except MicronetError as error:
            faults.append(_known(error, place))
    return faults


def _architectures(value: object, pointer: str) -> Iterator[tuple[str, ArchitectureSettings]]:
    """Every network that the settings name, a teacher's too, and where it stands."""
    if isinstance(value, ArchitectureSettings):
        yield pointer, value
    elif isinstance(value, Value):
        for name in type(value).model_fields:
            yield from _architectures(getattr(value, name), f"{pointer}/{name}")
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _architectures(item, f"{pointer}/{index}")


def _known(error: MicronetError, pointer: str) -> Fault:
    return Fault(detail=str(error)[:1000], pointer=pointer, code=error.code)


def with_team(settings: JobSettings, caller: Caller) -> JobSettings:
    """The settings, entered for the token's team where there is one."""
    team: Mapping[str, object] = {} if caller.team is None else {"team": caller.team}
    return settings.model_copy(update=dict(team))
