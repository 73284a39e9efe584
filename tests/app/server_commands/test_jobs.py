"""`jobs`, `job`, `cancel`, `delete`: what was sent is found again, looked at, and taken back."""

import json
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.client import client as client_module
from app.commands.program import app
from app.services import Services
from micronet.contract import ScoreSettings
from tests.app.server_commands.running import CORRUPT, DIGITS, ending, last, micronet, scored, submitted
from tests.worker.records.making import new_job, store
from worker.records.values import Ending, Status


def test_jobs_are_listed_and_filtered(file: str, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_PAGE", 2)
    ids = [
        submitted(file, "--team", team, "--name", "[red]tiny[/red]") for team in ("blue", "red", "blue", "red", "blue")
    ]
    with ending(services, scored(0.1)):
        micronet("job", ids[0], "--wait")
    table = micronet("jobs").stdout
    assert [line.split()[0] for line in table.splitlines()[1:]] == ids[::-1]
    assert "[red]tiny[/red]" in table
    assert "net.onnx" in table

    def listed(*options: str) -> list[str]:
        return [job["id"] for job in json.loads(micronet("jobs", "--json", *options).stdout)]

    assert listed() == ids[::-1]
    assert listed("--limit", "3") == ids[:1:-1]
    assert listed("--team", "blue") == ids[::-2]
    assert listed("--status", "succeeded") == ids[:1]
    assert listed("--kind", "fuse") == []
    assert "kinds" in micronet("jobs", "--kind", "fly", expected=1).stderr
    assert "--status" in micronet("jobs", "--status", "lost", expected=2).stderr


def test_a_job_is_looked_at(file: str, services: Services, tmp_path: Path) -> None:
    first, second = submitted(file), submitted(file)
    waiting = micronet("job", second).stdout
    assert ("queued" in waiting, "place in the queue  2" in waiting, "net.onnx" in waiting) == (True, True, True)
    assert json.loads(micronet("job", second, "--json").stdout)["queue_position"] == 2
    assert "add --wait" in micronet("job", first, "--output", str(tmp_path / "out"), expected=1).stderr
    with ending(services, scored(0.1), Ending(Status.FAILED, error=CORRUPT)):
        assert "MicroNet score 0.100000" in micronet("job", first, "--wait").stdout
        assert "[corrupt-file]" in micronet("job", second, "--wait", expected=1).stderr
    assert "MicroNet score 0.100000" in micronet("job", first).stdout
    assert json.loads(micronet("job", first, "--wait", "--json").stdout)["score"]["total"] == 0.1
    failed = micronet("job", second, "--json", expected=1)
    assert json.loads(failed.stdout)["error"]["code"] == json.loads(failed.stderr)["code"] == "corrupt-file"


def test_a_job_is_taken_back(file: str, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = submitted(file)
    assert "[job-not-ended]" in micronet("delete", waiting, "--yes", expected=1).stderr
    first, second, third = waiting, submitted(file), submitted(file, "--name", "[red]tiny[/red]")
    with ending(services, scored(0.1), scored(0.2), scored(0.3)):
        micronet("job", third, "--wait")
    refused = micronet("delete", first, "--json", expected=1)
    assert (refused.stdout, last(refused)["code"]) == ("", "settings")
    assert "give --yes" in last(refused)["detail"]
    assert micronet("delete", first, "--yes").stdout == "deleted\n"
    assert json.loads(micronet("delete", second, "--yes", "--json").stdout) == {"id": second, "status": "deleted"}
    assert "[job-not-found]" in micronet("delete", first, "--yes", expected=1).stderr
    monkeypatch.setattr("app.commands.server_jobs._check_answers", lambda: None)  # as in a terminal
    kept = CliRunner().invoke(app, ["delete", third], input="n\n")
    assert (kept.exit_code, "deleted" in kept.output) == (1, False)
    question = f"Delete score job {third} ([red]tiny[/red], net.onnx, succeeded)? [y/N]"
    assert question in kept.stderr
    assert [job["id"] for job in json.loads(micronet("jobs", "--json").stdout)] == [third]
    assert CliRunner().invoke(app, ["delete", third], input="y\n").stdout.endswith("deleted\n")
    assert json.loads(micronet("jobs", "--json").stdout) == []


def test_the_beginning_of_an_id_will_do(file: str, services: Services) -> None:
    blob = store(services.records, content="net")
    ids = [beginning.ljust(32, "0") for beginning in ("abcdef1", "abcdef2")]
    settings = ScoreSettings(track="digits").model_dump_json()
    for job_id in ids:
        services.records.jobs.submit(new_job(blob, id=job_id, settings=settings), None, 10)
    refused = last(micronet("job", "abcdef", "--json", expected=1))
    assert (refused["code"], [job_id in refused["detail"] for job_id in ids]) == ("settings", [True, True])
    assert "[job-not-found]" in micronet("job", "fedcba", expected=1).stderr
    assert "at least 6" in micronet("cancel", "abc", expected=1).stderr
    with ending(services, scored(0.1), Ending(Status.CANCELED)):
        assert "MicroNet score 0.100000" in micronet("job", ids[0][:7], "--wait").stdout
        micronet("job", ids[1], "--wait", expected=1)
    sent = json.loads(micronet("submit", "--from", ids[0][:7], *DIGITS, "--no-wait", "--json").stdout)
    assert sent["checkpoint"]["sha256"] == blob.sha256
    assert micronet("cancel", sent["id"][:12]).stdout == "canceled\n"
    with ending(services, scored(0.2)):
        worse = micronet("submit", file, *DIGITS, "--fail-worse-than", ids[0][:8], expected=4).stderr
    assert ids[0] in worse
    assert json.loads(micronet("delete", ids[1][:7], "--yes", "--json").stdout)["id"] == ids[1]
    assert ids[0] in micronet("job", "abcdef", "--json").stdout, "the only one left that begins so"


def test_a_job_is_canceled(file: str, services: Services) -> None:
    waiting, running = submitted(file), submitted(file)
    assert micronet("cancel", waiting).stdout == "canceled\n"
    claimed = services.records.leases.claim("worker", ("short",))
    assert claimed is not None
    assert micronet("cancel", running).stdout == "canceling\n"
    threading.Timer(0.3, services.records.leases.finish, (claimed, scored(0.1))).start()
    assert json.loads(micronet("cancel", running, "--wait", "--json").stdout)["status"] == "canceled"
    assert "[job-not-found]" in micronet("cancel", "0" * 32, expected=1).stderr


@pytest.mark.parametrize("command", ["submit", "jobs", "job", "cancel", "leaderboard"])
def test_exit_codes_are_in_the_help(command: str) -> None:
    said = " ".join(micronet(command, "--help").stdout.split())
    for words in ("0 it went well", "1 the file", "2 wrong usage", "3 the server"):
        assert words in said
    assert ("4 the score" in said) is (command == "submit")
