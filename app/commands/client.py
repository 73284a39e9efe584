"""Having a server do it: one that runs, or for the demo one of our own."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from app.client import Client, ServerError
from app.commands.options import File, Json, Server, Token
from app.commands.scoring import show_result
from app.failures import reported
from app.progress_bar import ProgressBar
from app.score_options import with_score_settings
from micronet.contract import ScoreResult, ScoreSettings


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


@with_score_settings
def submit(
    settings: ScoreSettings,
    file: File,
    server: Server = "http://127.0.0.1:8000",
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Upload a checkpoint to a server, follow its score job, print the score. Exits with 0 only if it succeeded."""
    with reported(as_json), ProgressBar() as progress, Client(server, token) as client:
        if not file.is_file():
            raise FileNotFoundError(2, "No such file", str(file))
        job = _followed(client, client.submit("score", file, settings), progress)
    _show(job, as_json)


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
    show_result(ScoreResult.model_validate_json(json.dumps(job["result"])), as_json)
