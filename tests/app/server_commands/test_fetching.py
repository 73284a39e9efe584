"""The files of a job, fetched by `submit` and `job`: whole, or none."""

import json
from hashlib import sha256
from pathlib import Path
from unittest.mock import MagicMock

import pytest

from app.client import Client, ServerError
from app.services import Services
from tests.app.http.results import score_text
from tests.app.server_commands.running import DIGITS, ending, last, micronet, stored_artifact, submitted
from worker.records.values import Artifact, Ending, JobError, Status


def test_files_that_may_not_be_replaced_are_found_before_anything_is_sent(file: str, tmp_path: Path) -> None:
    output = tmp_path / "out"
    output.mkdir()
    (output / "fused.onnx").write_text("mine")
    refused = micronet("submit", file, "--kind", "fuse", "--output", str(output), expected=1)
    assert "fused.onnx is there already: give --force" in refused.stderr
    assert "file" in micronet("submit", file, "--kind", "fuse", "--output", file, expected=1).stderr
    assert json.loads(micronet("jobs", "--json").stdout) == []


@pytest.mark.parametrize("command", ["submit", "job"])
def test_a_result_is_printed_although_its_files_cannot_be_fetched(
    file: str, services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    made = Artifact(name="made.onnx", sha256="0" * 64, size=4)
    end = Ending(Status.SUCCEEDED, score_text(350, 0.1), artifacts=(made,))
    gone = ServerError("it was swept.", code="blob-gone", title="The file is no longer kept")
    monkeypatch.setattr(Client, "download", MagicMock(side_effect=gone))
    output = ("--output", str(tmp_path / "out"))
    arguments = (
        ("submit", file, *DIGITS, *output) if command == "submit" else ("job", submitted(file), "--wait", *output)
    )
    with ending(services, end):
        done = micronet(*arguments, expected=1)
    job_id = json.loads(micronet("jobs", "--json").stdout)[0]["id"]
    assert "MicroNet score 0.100000" in done.stdout
    assert ("[blob-gone]" in done.stderr, f"`micronet job {job_id} --output" in done.stderr) == (True, True)
    assert list((tmp_path / "out").iterdir()) == []


def test_what_a_job_made_is_fetched(file: str, services: Services, tmp_path: Path) -> None:
    job_id, output, made = submitted(file), tmp_path / "out", stored_artifact(services, "made.onnx")
    with ending(services, Ending(Status.SUCCEEDED, score_text(350, 0.1), artifacts=(made,))):
        micronet("job", job_id, "--wait", "--output", str(output))
    assert (output / "made.onnx").read_bytes() == b"made.onnx"
    assert "--force" in micronet("job", job_id, "--output", str(output), expected=1).stderr
    micronet("job", job_id, "--output", str(output), "--force")


@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELED])
@pytest.mark.parametrize("command", ["submit", "job"])
def test_what_a_job_had_finished_before_it_failed_is_fetched(
    file: str, services: Services, tmp_path: Path, status: Status, command: str
) -> None:
    error = JobError(code="numerical-error", title="x", detail="x", yours=True) if status is Status.FAILED else None
    output = ("--output", str(tmp_path / "out"))
    arguments = (
        ("submit", file, *DIGITS, *output) if command == "submit" else ("job", submitted(file), "--wait", *output)
    )
    with ending(services, Ending(status, error=error, artifacts=(stored_artifact(services, "1-train.onnx"),))):
        done = micronet(*arguments, expected=1)
    assert "numerical-error" in done.stderr if error else "canceled" in done.stderr
    assert (tmp_path / "out" / "1-train.onnx").read_bytes() == b"1-train.onnx"


@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELED])
@pytest.mark.parametrize("command", ["submit", "job"])
def test_where_the_files_of_a_job_that_ended_badly_cannot_be_fetched_both_are_said(
    file: str, services: Services, tmp_path: Path, status: Status, command: str
) -> None:
    """In this order; the exit code is that of the job's end, whose fault the files are or not."""
    error = JobError(code="numerical-error", title="x", detail="x", yours=True) if status is Status.FAILED else None
    lost = Artifact(name="1-train.onnx", sha256="0" * 64, size=4)
    output = ("--output", str(tmp_path / "out"), "--json")
    arguments = (
        ("submit", file, *DIGITS, *output) if command == "submit" else ("job", submitted(file), "--wait", *output)
    )
    with ending(services, Ending(status, error=error, artifacts=(lost,))):
        done = micronet(*arguments, expected=1)
    unfetched, end = [json.loads(line) for line in done.stderr.splitlines()[-2:]]
    job_id = json.loads(micronet("jobs", "--json").stdout)[0]["id"]
    assert (unfetched["code"], f"`micronet job {job_id} --output" in unfetched["detail"]) == ("blob-gone", True)
    assert end["code"] == ("numerical-error" if error else "canceled")
    assert done.stdout == ""


def test_of_files_that_come_damaged_none_is_left(file: str, services: Services, tmp_path: Path) -> None:
    """One bit of one of them changed in the server's store."""
    made = [stored_artifact(services, name) for name in ("1-train.onnx", "2-fuse.onnx")]
    (stored,) = (path for path in tmp_path.rglob("*") if path.is_file() and path.read_bytes() == made[1].name.encode())
    stored.chmod(0o600)
    stored.write_bytes(b"2-fuse.onny")
    job_id, output = submitted(file), tmp_path / "out"
    with ending(services, Ending(Status.SUCCEEDED, score_text(350, 0.1), artifacts=tuple(made))):
        done = micronet("job", job_id, "--wait", "--output", str(output), "--json", expected=3)
    assert json.loads(done.stdout)["score"]["total"] == 0.1
    assert last(done)["code"] == "damaged"
    assert last(done)["detail"].startswith(
        f"2-fuse.onnx: 11 bytes with sha256 {sha256(b'2-fuse.onny').hexdigest()} came"
    )
    assert made[1].sha256 in last(done)["detail"]
    assert list(output.iterdir()) == []
