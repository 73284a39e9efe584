"""Having a server do it: one that runs, or for the demo one of our own."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from app.artifacts import move_all
from app.client import Client, ServerError
from app.commands.jobs import put_all_, sha256_of, show_answer, with_teachers
from app.commands.options import Force, Json, OptionalFile, Server, Set, Teachers, Token
from app.failures import reported
from app.progress_bar import ProgressBar
from app.score_options import with_given_settings
from micronet.contract import JobSettings
from micronet.errors import SettingsError
from micronet.jobs import JOBS

Kind = Annotated[str, typer.Option(help=f"Kind of job: {', '.join(JOBS)}.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the job to its end, or print its id.")]
Output = Annotated[Path | None, typer.Option(help="Directory to fetch what the job made to.", show_default=False)]


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
                job = _followed(client, client.submit("score", checkpoint, settings), progress)
    _show(job, as_json)


@with_given_settings
def submit(
    settings: dict[str, Any],
    file: OptionalFile = None,
    kind: Kind = "score",
    set_: Set = None,
    teacher: Teachers = None,
    server: Server = "http://127.0.0.1:8000",
    token: Token = None,
    wait: Wait = True,
    output: Output = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Upload a checkpoint to a server, follow its job, print its result. Exits with 0 only if it succeeded."""
    with reported(as_json), ProgressBar() as progress, Client(server, token) as client:
        wanted = _checked(kind, file, settings, set_ or [], teacher or [])
        for path in teacher or ():
            client.upload(path)
        job = client.submit(kind, file, wanted)
        if wait:
            job = _followed(client, job, progress)
            if output is not None:
                _download(client, job, output, force)
    if wait:
        _show(job, as_json)
    else:
        print(json.dumps(job, indent=2) if as_json else job["id"])


def _checked(
    kind: str, file: Path | None, settings: dict[str, Any], sets: list[str], teachers: list[Path]
) -> JobSettings:
    """Settings of a job of this kind. Raises SettingsError, FileNotFoundError."""
    if kind not in JOBS:
        raise SettingsError(f"--kind {kind}: there are the kinds {', '.join(JOBS)}")
    if file is None and JOBS[kind].file == "needed":
        raise SettingsError(f"a {kind} job needs a FILE.")
    if file is not None and not file.is_file():
        raise FileNotFoundError(2, "No such file", str(file))
    put_all_(settings, {}, sets)
    return with_teachers(JOBS[kind], settings, {sha256_of(path): path for path in teachers}, all_given=False)


def _download(client: Client, job: dict[str, Any], output: Path, force: bool) -> None:
    output.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=output, prefix=".micronet-") as directory:
        for artifact in job["artifacts"]:
            with Path(directory, Path(artifact["name"]).name).open("xb") as file:
                client.download(artifact["url"], file)
        move_all(Path(directory), output, force)


def _followed(client: Client, job: dict[str, Any], progress: ProgressBar) -> dict[str, Any]:
    """The job when it has ended; shown meanwhile. Raises ServerError unless it succeeded."""
    stage = None
    progress.stage("queued", 0, 0)
    for now in client.follow(job["id"]):
        job = now
        if job["stage"] is not None and job["stage"] != stage:
            stage = job["stage"]
            progress.stage(**stage)
        if job["progress"] is not None:
            progress.advance(**job["progress"])
    if job["status"] == "canceled":
        raise ServerError(
            "canceled", "The job was canceled", f"job {job['id']} was canceled before it ended", yours=True
        )
    if (error := job["error"]) is not None:
        raise ServerError(error["code"], error["title"], error["detail"], error["yours"])
    return job


def _show(job: dict[str, Any], as_json: bool) -> None:
    show_answer(JOBS[job["kind"]].result.model_validate_json(json.dumps(job["result"])), as_json)
