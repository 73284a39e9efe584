"""Everything a deployment can choose, read once from MICRONET_* environment variables by the entry points."""

from math import isclose
from pathlib import Path
from typing import Annotated, Literal, get_args
from urllib.parse import quote, unquote

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from micronet.errors import SettingsError
from micronet.jobs.table import Lane
from worker.limits import GIBI, MEBI
from worker.urls import directory_of

SHORT: Lane = "short"
LONG: Lane = "long"
LANES: tuple[Lane, ...] = get_args(Lane)

_BEATS_OF_A_LEASE = 3  # at least
_SQLITE = "sqlite:///"

_YEAR = 366 * 24 * 3600.0
"""Longer than anything is waited for; timers and clocks of the system hold it."""

Seconds = Annotated[float, Field(gt=0, le=_YEAR)]
Days = Annotated[float, Field(gt=0, le=100 * 366)]
LogLevel = Literal["info", "warning", "error"]
Bytes = Annotated[int, Field(ge=0, le=1 << 60)]


class Settings(BaseSettings):
    """Settings of API and workers. A field `x` is MICRONET_X in the environment; times are seconds, sizes bytes.

    home                      state of a server that nothing else was named for: database, blobs, doorbell, scratch
    data                      directory of data sets (cifar-100-python/ and so on in it)
    database_url              records; SQLite under home, or postgresql+psycopg://...
    broker_url                doorbell; a directory under home, or redis://...
    blobs_url                 files; a directory (path or file://), or s3://bucket/prefix[?endpoint_url=...]
    lanes                     kinds of job this worker takes: short, long, both
    slots                     jobs at a time; by default one for each GPU, or one on the CPU. A worker of both lanes has
                              one more, for short jobs while all of these have long ones
    memory_bytes              of one job; by default three quarters of the machine shared among those that may run at
                              once: of a single slot for both lanes, two thirds of that for a long job and a third for a
                              short one
    wall_seconds, long_wall_seconds   time limit of a job, by lane
    journal_bytes             of what a long job may write down to go on from
    lease_seconds             silence after which this worker counts as dead and its jobs go back, whoever looks
    beat_seconds              between signs of life of a running job, a third of a lease at most; also how fast a cancel
                              is seen
    reconcile_seconds         between looks for jobs that wait though a slot is free
    sweep_seconds             between sweeps of files, and on every host of what died there
    blob_days, blob_bytes     how long files no waiting or running job needs are kept, and how many bytes in all; what
                              each team's best entry on a board was measured on is kept as long as there is room
    partial_days              how long what has come of a checkpoint in pieces waits for its next piece
    key_days                  how long an Idempotency-Key is remembered
    min_free_bytes            uploads are refused when the disk has less left
    upload_bytes              of one checkpoint
    form_bytes                of the settings beside it
    log_level                 from which on things are logged: info (every request and job), warning or error
    idle_seconds              a client is hung up on that so long sends nothing, not all of a head, or takes no answer
    team_waiting_jobs, team_stored_bytes, team_requests_per_second   limits of one team (of everybody, without tokens)
    """

    model_config = SettingsConfigDict(env_prefix="MICRONET_", frozen=True, extra="ignore")

    home: Path = Field(default_factory=lambda: Path.home() / ".micronet")
    data: Path | None = None
    database_url: SecretStr | None = None
    broker_url: SecretStr | None = None
    blobs_url: SecretStr | None = None
    lanes: Literal[Lane, "both"] = "both"
    slots: Annotated[int, Field(ge=1, le=64)] | None = None
    memory_bytes: Annotated[int, Field(ge=64 * MEBI)] | None = None
    wall_seconds: Seconds = 3600
    long_wall_seconds: Seconds = 14 * 24 * 3600
    journal_bytes: Bytes = 8 * GIBI
    lease_seconds: Seconds = 30
    beat_seconds: Seconds = 1
    reconcile_seconds: Seconds = 5
    sweep_seconds: Seconds = 600
    blob_days: Days = 30
    blob_bytes: Bytes = 200 * GIBI
    partial_days: Days = 1
    key_days: Days = 7
    min_free_bytes: Bytes = 512 * MEBI
    upload_bytes: Annotated[int, Field(ge=1)] = 4 * GIBI
    form_bytes: Annotated[int, Field(ge=1024)] = MEBI
    log_level: LogLevel = "info"
    idle_seconds: Seconds = 30
    team_waiting_jobs: Annotated[int, Field(ge=1)] = 2000
    team_stored_bytes: Bytes = 100 * GIBI
    team_requests_per_second: Annotated[int, Field(ge=1)] = 1000

    @field_validator("data")
    @classmethod
    def _holds_no_home(cls, data: Path | None, others: ValidationInfo) -> Path | None:
        if data is not None and "home" in others.data:
            _check_hidden(data, others.data["home"], "MICRONET_HOME")
        return data

    @field_validator("database_url", "blobs_url")
    @classmethod
    def _is_not_in_data(cls, url: SecretStr | None, others: ValidationInfo) -> SecretStr | None:
        data = others.data.get("data")
        path = None if url is None or data is None else _path_of(url.get_secret_value())
        if data is not None and path is not None:
            _check_hidden(data, path, f"MICRONET_{str(others.field_name).upper()}")
        return url

    @field_validator("beat_seconds")
    @classmethod
    def _fits_a_lease(cls, beat: float, others: ValidationInfo) -> float:
        """Lest jobs are taken from workers that live, at the first beat that comes late."""
        lease = others.data.get("lease_seconds")
        if lease is not None and lease < _BEATS_OF_A_LEASE * beat and not isclose(lease, _BEATS_OF_A_LEASE * beat):
            raise ValueError(
                f"{beat:g} is too long for MICRONET_LEASE_SECONDS {lease:g}: at most {lease / _BEATS_OF_A_LEASE:g} is "
                f"needed, or a lease of at least {_BEATS_OF_A_LEASE * beat:g}"
            )
        return beat

    @property
    def database(self) -> str:
        """URL of the records, with its password."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"{_SQLITE}{quote(str(self.home.absolute() / 'micronet.db'))}"

    @property
    def broker(self) -> str:
        """URL of the doorbell, with its password."""
        if self.broker_url is not None:
            return self.broker_url.get_secret_value()
        return (self.home.absolute() / "bell").as_uri()

    @property
    def blobs(self) -> str:
        """URL of the blobs, with its secrets."""
        if self.blobs_url is not None:
            return self.blobs_url.get_secret_value()
        return (self.home.absolute() / "blobs").as_uri()

    @property
    def scratch(self) -> Path:
        """Where running jobs have their directories, and uploads to a remote store wait."""
        return self.home.absolute() / "scratch"

    @property
    def partials(self) -> Path:
        """Where checkpoints that come in pieces wait for the rest."""
        return self.scratch / "partials"

    @property
    def worker_seconds(self) -> float:
        """Silence after which a worker counts as dead: it beats as often as it looks for waiting jobs."""
        return max(self.lease_seconds, 3 * self.reconcile_seconds)

    def accepted_lanes(self) -> tuple[str, ...]:
        """The lanes of jobs this worker claims from."""
        return LANES if self.lanes == "both" else (self.lanes,)


def _check_hidden(data: Path, own: Path, name: str) -> None:
    """Raise ValueError where jobs, which read all of `data`, would read the server's own files."""
    if own.resolve().is_relative_to(data.resolve()):
        raise ValueError(
            f"jobs read all of MICRONET_DATA ({data}), and what {name} names lies in it ({own}): keep them apart"
        )


def _path_of(url: str) -> Path | None:
    """Where a database or a store lies, if that is on a file system of this host."""
    if url.startswith(_SQLITE):
        return Path(unquote(url.removeprefix(_SQLITE).partition("?")[0]))
    try:
        return directory_of(url)
    except SettingsError:  # said when it is opened
        return None
