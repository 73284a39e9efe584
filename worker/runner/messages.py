"""What is asked for, and what a job says while it runs: a JSON object a line, {"kind": {...}}, which nobody trusts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

LINE_BYTES = 64 * 1024
"""Longest line, with its end."""

_DETAIL_CHARACTERS = 8000  # at most 6 bytes each in JSON

_Short = Annotated[str, Field(max_length=200, strict=True)]
_Word = Annotated[_Short, Field(pattern=r"^[^\x00]*$")]  # PostgreSQL keeps no NUL, and beats carry these
_Detail = Annotated[str, Field(max_length=_DETAIL_CHARACTERS, strict=True)]
_Count = Annotated[int, Field(ge=0, lt=2**63, strict=True)]
_Ordinal = Annotated[int, Field(ge=0, lt=2**31, strict=True)]  # PostgreSQL's INTEGER, which stages are kept in


class _Closed:
    __slots__ = ()
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A job to run: `settings` is JSON text; `device` is cpu, cuda:N or auto; `nice` is added to the process's."""

    kind: str
    settings: str
    device: str = "auto"
    nice: int = 0


class JobError(BaseModel):
    """Why a job failed; `yours` tells a bad file or setting (true) from a fault of the server (false)."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    code: _Short
    title: _Short
    detail: _Detail
    stage: _Short | None = None
    retryable: bool = False
    yours: bool = False


@dataclass(frozen=True, slots=True)
class StageBegan(_Closed):
    """Stage `name`, the `index`-th (from 1) of `count`, began."""

    name: _Word
    index: _Ordinal
    count: _Ordinal


@dataclass(frozen=True, slots=True)
class Progressed(_Closed):
    """`done` of `total` units of the current stage are finished."""

    done: _Count
    total: _Count
    unit: _Word


@dataclass(frozen=True, slots=True)
class Failed(_Closed):
    """The job gave up. Its process ends next."""

    error: JobError


@dataclass(frozen=True, slots=True)
class Done(_Closed):
    """The result is written. The process ends next."""


@dataclass(frozen=True, slots=True)
class Exited:
    """The process is gone; nothing follows.

    status    exit code; -N: killed by signal N; None: its parent was gone first, so nobody knows
    max_rss   most memory it had resident, in bytes; 0 where nobody knows
    """

    status: int | None
    max_rss: int = 0

    @property
    def clean(self) -> bool:
        """Whether it ended as one does that is done."""
        return self.status == 0


Said = StageBegan | Progressed | Failed | Done
Message = Said | Exited


class Malformed(Exception):
    """A line that no honest job writes."""


_KINDS: Mapping[str, TypeAdapter[Said]] = {
    "stage": TypeAdapter(StageBegan),
    "progressed": TypeAdapter(Progressed),
    "failed": TypeAdapter(Failed),
    "done": TypeAdapter(Done),
}
_NAMES: Mapping[type[Said], str] = {StageBegan: "stage", Progressed: "progressed", Failed: "failed", Done: "done"}


def job_error(code: str, title: str, detail: str, *, stage: str | None, retryable: bool, yours: bool) -> JobError:
    """A JobError whose texts, which may come from anywhere, are cut to the bounds of a message."""
    shortened = None if stage is None else stage[:200]
    detail = detail[:_DETAIL_CHARACTERS]
    return JobError(
        code=code[:200], title=title[:200], detail=detail, stage=shortened, retryable=retryable, yours=yours
    )


def encode(message: Said) -> bytes:
    """One line, with its end."""
    return to_json({_NAMES[type(message)]: message}) + b"\n"


def decode(line: bytes) -> Said:
    """The message of a line without its end. Raises Malformed."""
    try:
        value: Any = from_json(line)
    except ValueError as error:
        raise Malformed(f"not JSON: {error}") from error
    if not isinstance(value, dict) or len(value) != 1:
        raise Malformed("not an object with one key")
    ((kind, content),) = value.items()
    if kind not in _KINDS:
        raise Malformed(f"no such kind of message: {kind[:50]!r}")
    try:
        return _KINDS[kind].validate_python(content)
    except ValidationError as error:
        raise Malformed(f"{kind}: {error.error_count()} faults") from error
