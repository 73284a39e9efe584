"""Having a server do it: one that runs, or for the demo one of our own."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from app.artifacts import make_room
from app.client import Client
from app.commands.following import check_succeeded, conclude, fetch, followed, left_running, show
from app.commands.from_job import FromJob, file_of_job
from app.commands.jobs import put_all_, sha256_of, with_teachers
from app.commands.options import (
    LOCAL,
    PATIENCE,
    Force,
    Json,
    Output,
    Patience,
    Server,
    SubmittedFile,
    Teachers,
    Token,
    known_kind,
    set_option,
)
from app.errors import FileUnreadable
from app.printable import on_one_line
from app.progress_bar import ProgressBar
from app.reporting import reported
from app.score_limits import BEST, Limits, Standard, score_of
from app.score_options import with_given_settings
from micronet.contract import JobSettings
from micronet.errors import SettingsError
from micronet.jobs import JOBS

Kind = Annotated[str, typer.Option(callback=known_kind, help=f"Kind of job: {', '.join(JOBS)}.")]
From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="JOB[/ARTIFACT]",
        help="In place of FILE: one that the server has, since this job made it, or was sent it to score. What that "
        "job was told holds for this one too, unless options say otherwise: track, policy, normalization, seed, team, "
        "name, and the architecture of a file it was sent. A file that it made is scored as it is, with no widths put "
        "on top.",
        show_default=False,
    ),
]
Set = Annotated[list[str] | None, set_option("KIND")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the job to its end, or print its id.")]
Above = Annotated[float | None, typer.Option(help="Exit with 4 if the score is higher.", show_default=False)]
WorseThan = Annotated[
    str | None,
    typer.Option(
        metavar="ID|best",
        help="Exit with 4 if the score is worse than this job's; or than the best on the leaderboard before, of the "
        "same policy and team (of everybody, without a team).",
        show_default=False,
    ),
]
BelowFloor = Annotated[bool, typer.Option("--fail-below-floor", help="Exit with 4 if the score does not qualify.")]


def demo(as_json: Json = False) -> None:
    """Train a small network on handwritten digits, upload it to a private server, print its score."""
    with reported(as_json), TemporaryDirectory(prefix="micronet-demo-") as directory, ProgressBar() as progress:
        from app.server import private_server
        from micronet.training.demo import train_digits

        checkpoint = Path(directory, "digits.pth")
        with private_server(Path(directory, "home"), None, Path(directory, "server.log")) as url:
            settings = train_digits(checkpoint, progress)
            with Client(url) as client:
                client.wait_until_ready()
                job = followed(client, client.submit("score", checkpoint, settings), progress)
        check_succeeded(job)
    with reported(as_json):
        show(job, as_json)


@with_given_settings
def submit(
    settings: dict[str, Any],
    file: SubmittedFile = None,
    kind: Kind = "score",
    set_: Set = None,
    teacher: Teachers = None,
    from_: From = None,
    server: Server = LOCAL,
    token: Token = None,
    patience: Patience = PATIENCE,
    wait: Wait = True,
    output: Output = None,
    force: Force = False,
    fail_above: Above = None,
    fail_worse_than: WorseThan = None,
    fail_below_floor: BelowFloor = False,
    as_json: Json = False,
) -> None:
    """Upload a checkpoint to a server, follow its job, print its result. Exits with 0 only if it succeeded."""
    limits = Limits(fail_above, fail_worse_than, fail_below_floor)
    if limits and not wait:
        raise typer.BadParameter("--no-wait does not wait for a score that could fail.")
    if output is not None and not wait:
        raise typer.BadParameter("--no-wait does not wait for files that --output could fetch.")
    if file is not None and from_ is not None:
        raise typer.BadParameter("FILE or --from, not both.")
    with reported(as_json), Client(server, token, patience=patience) as client:
        _check_file(kind, file, from_)
        put_all_(settings, {}, set_ or [])
        source = None if from_ is None else file_of_job(client, from_)
        wanted = _checked(kind, settings, source, teacher or [])
        limits.check_apply(wanted)
        standard = limits.named_standard(client, wanted)
        if output is not None:
            make_room(output, JOBS[kind].artifacts(wanted), force)  # now, rather than when the job has ended
        with ProgressBar() as progress:
            for path in teacher or ():
                client.upload(path, _shown(progress))
            job = client.submit(kind, file if source is None else source.file, wanted, _shown(progress))
            _tell(client, job, progress, as_json)
            with left_running(job["id"]):
                standard = standard or limits.best_standard(client, job)
                if wait:
                    job = followed(client, job, progress)
        if not wait:
            print(json.dumps(job, indent=2) if as_json else on_one_line(job["id"]))
            return
        conclude(
            job,
            as_json,
            fetched=lambda: fetch(client, job, output, force),
            printed=lambda: show(job, as_json),
        )
        _check(limits, job, standard, as_json)


def _tell(client: Client, job: dict[str, Any], progress: ProgressBar, as_json: bool) -> None:
    """Say which job it is, to whoever may not see its end."""
    job_id, page = job["id"], client.page(job)
    progress.say(json.dumps({"job": job_id, "page": page}) if as_json else f"job {job_id}  {page}")


def _check_file(kind: str, file: Path | None, stored: str | None) -> None:
    """Raise SettingsError, FileNotFoundError or FileUnreadable, unless a job of this kind has what it needs."""
    if file is None and stored is None and JOBS[kind].file == "needed":
        raise SettingsError(f"a {kind} job needs a FILE, or --from JOB.")
    if file is not None and file.is_dir():
        raise FileUnreadable(f"{file}: this is a directory, and a file is needed")
    if file is not None and not file.is_file():
        raise FileNotFoundError(2, "No such file", str(file))


def _checked(kind: str, settings: dict[str, Any], source: FromJob | None, teachers: list[Path]) -> JobSettings:
    """Settings of a job of this kind. Raises SettingsError, FileNotFoundError."""
    told = settings if source is None else source.settings(kind, settings)
    return with_teachers(JOBS[kind], told, {sha256_of(path): path for path in teachers}, all_given=False)


def _shown(progress: ProgressBar) -> Callable[[int, int], None]:
    """An upload's bytes as a stage of its own."""
    progress.stage("upload", 1, 1)
    return lambda done, total: progress.advance(done, total, "bytes")


def _check(limits: Limits, job: dict[str, Any], standard: Standard | None, as_json: bool) -> None:
    if not limits:
        return
    if standard is None and limits.worse_than == BEST and not as_json:
        print(
            "no entry that qualifies was on the leaderboard before: there is nothing to be worse than", file=sys.stderr
        )
    limits.check(score_of(job), standard)
