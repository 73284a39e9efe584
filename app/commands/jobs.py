"""Jobs here, without a server: a command for each row of the table that has none of its own."""

import hashlib
import inspect
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from app.artifacts import make_directory, make_room, move_all
from app.commands.options import DataDir, Device, File, Force, Json, OptionalFile, Teachers, set_option
from app.commands.stopping import STOPS, signal_of, terminable
from app.errors import Interrupted
from app.progress_bar import ProgressBar
from app.reporting import reported
from app.settings_text import pairs, put_, put_each_, validated, whole
from app.tables import show_whole
from micronet.contract import JobSettings, files_named, may_name_files
from micronet.errors import NumericalError, Paused, SettingsError
from micronet.jobs import JOBS, Context, Job, prepare_process

OWN_COMMANDS = frozenset({"score", "count"})
"""Kinds whose command has options of its own."""

_Text = str | None
_Settings = Annotated[_Text, typer.Option(help="All settings as JSON, or @FILE (JSON or TOML).", show_default=False)]
_Track = Annotated[_Text, typer.Option(help="Track; `micronet tracks` lists them.", show_default=False)]
_Architecture = Annotated[_Text, typer.Option(help="Network, of a state dict or a fresh one.", show_default=False)]
_Options = Annotated[
    list[str] | None, typer.Option("--option", help="KEY=VALUE for the architecture; repeatable.", show_default=False)
]
_Seed = Annotated[int | None, typer.Option(help="Chooses everything that is random.", show_default=False)]
_Output = Annotated[Path, typer.Option(help="Directory for what the job makes.")]
_Journal = Annotated[
    Path | None,
    typer.Option(help="Directory to write down in how far it is, and to go on from.", show_default=False),
]
_PauseAfter = Annotated[
    float | None,
    typer.Option(
        min=0,
        metavar="MINUTES",
        help="Stop at the next thing written in the journal after so many minutes, with exit code 75; the same command "
        "goes on.",
        show_default=False,
    ),
]


def job_command(kind: str) -> Callable[..., None]:
    """The command of a kind of job: runs it here, with a progress bar, and prints what it answers."""

    def run(**values: Any) -> None:
        _run_here(kind, **values)

    job = JOBS[kind]
    named = dict(inspect.signature(_run_here).parameters)
    named["set_"] = named["set_"].replace(annotation=Annotated[list[str] | None, set_option(kind)])
    if job.file == "needed":
        named["file"] = named["file"].replace(annotation=File, default=inspect.Parameter.empty)
    parameters = [parameter for name, parameter in named.items() if name != "kind" and name not in _useless(job)]
    run.__name__, run.__doc__ = kind, f"{job.summary}."
    run.__dict__["__signature__"] = inspect.Signature(parameters)
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def may_pause(job: Job) -> bool:
    """Whether there are jobs of this kind that write down how far they are."""
    return "long" in job.lanes


def _useless(job: Job) -> frozenset[str]:
    """Options that no job of this kind can do anything with."""
    fields = job.settings.model_fields
    useful = {
        "track": "track" in fields,
        "data": "track" in fields,
        "seed": "seed" in fields,
        "device": job.needs_device,
        "teacher": may_name_files(job.settings),
        "journal": may_pause(job),
        "pause_after": may_pause(job),
    }
    return frozenset(name for name, is_useful in useful.items() if not is_useful)


def _run_here(
    kind: str,
    file: OptionalFile = None,
    settings: _Settings = None,
    set_: list[str] | None = None,
    track: _Track = None,
    architecture: _Architecture = None,
    option: _Options = None,
    seed: _Seed = None,
    teacher: Teachers = None,
    data: DataDir = None,
    device: Device = "auto",
    output: _Output = Path(),
    force: Force = False,
    journal: _Journal = None,
    pause_after: _PauseAfter = None,
    as_json: Json = False,
) -> None:
    job = JOBS[kind]
    with reported(as_json), _stopped_in_words(job, journal) as kept, ProgressBar() as progress:
        if file is not None and not file.is_file():
            raise FileNotFoundError(2, "No such file", str(file))
        pause_at = None if pause_after is None else pause_of(pause_after, journal)
        files = {sha256_of(path): path for path in teacher or ()}
        given = whole(settings)
        single = {("track",): track, ("architecture", "name"): architecture, ("seed",): seed}
        put_all_(given, single, set_ or ())
        if option:
            put_(given, ("architecture", "options"), dict(pairs("--option", option, "depth=272")))
        wanted = with_teachers(job, given, files)
        check_goes_on(job, wanted, journal)
        make_room(output, job.artifacts(wanted), force)  # now, rather than after a week
        if journal is not None:
            make_directory(journal, "--journal")
        prepare_process()
        with TemporaryDirectory(dir=output, prefix=".micronet-") as outputs:
            context = Context(data, device, progress, Path(outputs), journal, files, pause_at)
            try:
                result = job.run(wanted, file, context)
            except BaseException as error:
                if kind == "pipeline" and is_all_there_will_be(error, journal):
                    kept.extend(move_all(Path(outputs), output, force))
                raise
            move_all(Path(outputs), output, force)
    show_whole(result, as_json)


@contextmanager
def _stopped_in_words(job: Job, journal: Path | None) -> Iterator[list[Path]]:
    """Ctrl-C and SIGTERM as Interrupted, which says what is left and how to go on; `kept` are the files moved out."""
    kept: list[Path] = []
    try:
        with terminable():
            yield kept
    except STOPS as error:
        raise Interrupted(_what_is_left(job, journal, kept), signal_of(error)) from None


def _what_is_left(job: Job, journal: Path | None, kept: Sequence[Path]) -> str:
    if journal is not None:
        return f"what it had written down is in {journal}: the same command goes on from there."
    left = f"kept: {', '.join(map(str, kept))}." if kept else "nothing of it is kept."
    if not may_pause(job):
        return f"{left} The same command begins again."
    return f"{left} With --journal DIRECTORY, the same command would go on where it was stopped."


def is_all_there_will_be(error: BaseException, journal: Path | None) -> bool:
    """Whether what the stages before made is to be kept: the same command goes on from a journal, but to no other end
    where a training came apart."""
    return isinstance(error, NumericalError) if journal is not None else not isinstance(error, Paused)


def check_goes_on(job: Job, settings: JobSettings, journal: Path | None) -> None:
    """Raise SettingsError for a journal in which a job with these settings writes nothing."""
    if journal is not None and job.lane_of(settings) != "long":
        raise SettingsError(
            f"--journal: without the setting {job.long_with}, such a job writes down nothing that it could go on from; "
            "leave --journal out."
        )


def pause_of(minutes: float, journal: Path | None) -> float:
    """When a job that runs for so long is to pause, by the monotonic clock. Raises SettingsError if it cannot."""
    if journal is None:
        raise SettingsError("--pause-after stops at what is written in a journal: give --journal DIRECTORY as well.")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise SettingsError("--pause-after is for one process; torchrun's others would wait for the one that paused.")
    return time.monotonic() + 60 * minutes


def put_all_(settings: dict[str, Any], single: Mapping[tuple[str, ...], object], sets: Iterable[str]) -> None:
    """Put values that were given on top of the settings, those of --set last. Raises SettingsError."""
    for path, value in single.items():
        if value is not None:
            put_(settings, path, value)
    put_each_(settings, pairs("--set", sets, "learning_rate=0.05"))


def with_teachers(job: Job, settings: dict[str, Any], files: Mapping[str, Path], all_given: bool = True) -> JobSettings:
    """The checked settings. A single file that they do not name is the teacher of a job that can have one.

    Raises SettingsError, also for files that are named and not given, if they have to be.
    """
    named = any(sha256 in json.dumps(settings, default=str) for sha256 in files)
    if len(files) == 1 and not named and "distillation" in job.settings.model_fields:
        distillation = settings.get("distillation") or {}
        if isinstance(distillation, dict):
            settings["distillation"] = {"teacher": next(iter(files)), **distillation}
    wanted = validated(job.settings, settings)
    if all_given and (missing := [sha256 for sha256 in files_named(wanted) if sha256 not in files]):
        raise SettingsError(f"the settings name a teacher {missing[0]}: give its file with --teacher.")
    return wanted


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
