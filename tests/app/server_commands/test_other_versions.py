"""A server of another version, or one that is up to something: its words are shown, and never obeyed."""

import json
from typing import Any
from unittest.mock import MagicMock

import pytest

from app.client import Client
from app.commands.following import followed, show_state
from app.services import Services
from tests.app.http.results import score_text
from tests.app.server_commands.running import DIGITS, ending, last, micronet, scored, submitted
from tests.app.unreliable import a_job
from worker.records import leases
from worker.records.values import Ending, Status

OF_ANOTHER_VERSION = json.dumps(json.loads(score_text(350, 0.1)) | {"luck": 7})


def test_a_result_of_another_version_is_the_servers_and_said_to_be_one(
    file: str, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "score_row", lambda *_: None)  # of the server's version, which knows what it wrote
    with ending(services, *[Ending(Status.SUCCEEDED, OF_ANOTHER_VERSION)] * 3):
        printed = micronet("submit", file, *DIGITS, "--json")
        assert json.loads(printed.stdout) == json.loads(OF_ANOTHER_VERSION)
        (job_id,) = [job["id"] for job in json.loads(micronet("jobs", "--json").stdout)]
        said = micronet("submit", file, *DIGITS, expected=3).stderr
        assert "[another-version]" in said
        limited = micronet("submit", file, *DIGITS, "--json", "--fail-above", "1", expected=3)
        assert (json.loads(limited.stdout)["luck"], last(limited)["code"]) == (7, "another-version")
    before = micronet("jobs", "--json").stdout
    named = ("--fail-worse-than", job_id)
    assert "[another-version]" in micronet("submit", file, *DIGITS, *named, expected=3).stderr
    assert micronet("jobs", "--json").stdout == before
    assert f"`micronet job {job_id} --json`" in micronet("job", job_id, expected=3).stderr
    assert json.loads(micronet("job", job_id, "--json").stdout)["result"]["luck"] == 7


def test_a_server_of_another_version_may_tell_more_of_how_far_a_job_is(capsys: pytest.CaptureFixture[str]) -> None:
    job: dict[str, Any] = dict.fromkeys(("queue_position", "attempt", "team", "name", "checkpoint"))
    job |= {"id": "1", "kind": "score", "status": "running", "created_at": "", "started_at": "", "finished_at": ""}
    job |= {"stage": {"name": "evaluate", "index": 2, "count": 3, "more": 1}}
    job |= {"progress": {"done": 1000, "total": 10_000, "unit": "images", "more": 1}}
    show_state(job)
    assert "1,000 of 10,000 images" in capsys.readouterr().out
    told = MagicMock()
    followed(MagicMock(follow=lambda _: [job]), job, told)
    told.stage.assert_called_with("evaluate", 2, 3)
    told.advance.assert_called_once_with(1000, 10_000, "images")


def test_a_kind_of_another_version_is_said_to_be_one(
    file: str, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submitted(file)
    with ending(services, scored(0.1)):
        micronet("job", job_id, "--wait")
    job = Client.job
    monkeypatch.setattr(Client, "job", lambda self, name: job(self, name) | {"kind": "distill"})
    said = micronet("job", job_id, expected=3).stderr
    assert ("[another-version]" in said, "'distill'" in said) == (True, True)
    assert json.loads(micronet("job", job_id, "--json").stdout)["kind"] == "distill"


def test_what_a_server_tells_of_a_job_is_no_order_to_a_terminal(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    order = "\x1b[2J"
    told = a_job(id=order, kind=order, status=order, name=order)
    for name in ("submit", "job", "cancel"):
        monkeypatch.setattr(Client, name, lambda *_: told)
    monkeypatch.setattr("app.commands.server_jobs._check_answers", lambda: None)  # as in a terminal
    said = [
        micronet("submit", file, *DIGITS, "--no-wait"),
        micronet("job", "0" * 32),
        micronet("cancel", "0" * 32),
        micronet("delete", "0" * 32, expected=1),
    ]
    assert [("\x1b" in each.output, "\ufffd" in each.output) for each in said] == [(False, True)] * 4
