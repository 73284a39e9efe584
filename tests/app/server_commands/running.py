"""Commands run in this process, against a server whose jobs end as a test says."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from click.testing import Result
from typer.testing import CliRunner

from app.commands.program import app
from app.services import Services
from tests.app.background import repeated
from tests.app.http.results import score_text
from worker.records.values import Artifact, Ending, JobError, Status

DIGITS = ("--track", "digits")


CORRUPT = JobError(code="corrupt-file", title="Damaged", detail="all of it", yours=True)
NO_DATA = JobError(code="dataset-missing", title="No data", detail="none of it", yours=False)


def scored(points: float, correct: int = 350) -> Ending:
    return Ending(Status.SUCCEEDED, score_text(correct, points))


def micronet(*arguments: str, expected: int = 0, columns: int = 300) -> Result:
    """Run a command in this process."""
    result = CliRunner().invoke(app, [*arguments], env={"COLUMNS": str(columns)})
    assert result.exit_code == expected, (result.output, result.exception)
    return result


def last(result: Result) -> dict[str, Any]:
    """What was said last on standard error, where that is JSON."""
    said: dict[str, Any] = json.loads(result.stderr.splitlines()[-1])
    return said


@contextmanager
def ending(services: Services, *endings: Ending) -> Iterator[None]:
    """Jobs end like this, one after the other, while this lasts."""
    left = list(endings)

    def work() -> None:
        if left and (job := services.records.leases.claim("worker", ("short", "long"))) is not None:
            services.records.leases.finish(job, left.pop(0))

    with repeated(work, 0.01):
        yield


def submitted(file: str, *options: str) -> str:
    """Id of a job that is sent and not waited for."""
    return micronet("submit", file, *DIGITS, "--no-wait", *options).stdout.strip()


def stored_artifact(services: Services, name: str) -> Artifact:
    """A file of a job's, with its name as its content."""
    with services.blobs.create() as incoming:
        incoming.write(name.encode())
        blob = services.records.blobs.add(incoming.keep(), "")
    return Artifact(name=name, sha256=blob.sha256, size=blob.size)
