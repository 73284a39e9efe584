"""`submit`: what is sent, what is said of it at once, and the exit code of each way it may end."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock, call

import pytest

from app.client import Client, Later
from app.client.errors import Unreachable
from app.commands.following import followed
from app.services import Services
from micronet.contract import ScoreSettings
from tests.app.http.results import score_text
from tests.app.server_commands.running import (
    CORRUPT,
    DIGITS,
    NO_DATA,
    ending,
    last,
    micronet,
    scored,
    stored_artifact,
    submitted,
)
from worker.records.values import Ending, Status


@pytest.mark.parametrize(
    ("end", "exit_code", "code"),
    [
        (Ending(Status.FAILED, error=CORRUPT), 1, "corrupt-file"),
        (Ending(Status.FAILED, error=NO_DATA), 3, "dataset-missing"),
        (Ending(Status.CANCELED), 1, "canceled"),
    ],
)
def test_a_job_that_ends_badly_exits_as_whose_fault_it_is(
    file: str, services: Services, end: Ending, exit_code: int, code: str
) -> None:
    with ending(services, end):
        sent = micronet("submit", file, *DIGITS, "--json", expected=exit_code)
    assert (sent.stdout, last(sent)["code"]) == ("", code)
    job_id = json.loads(micronet("jobs", "--json").stdout)[0]["id"]
    assert f"[{code}]" in micronet("job", job_id, expected=exit_code).stderr


def test_who_loses_patience_is_told_how_to_find_the_job_again(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> Iterator[dict[str, Any]]:
        raise Later.of(Unreachable("it went away"))

    monkeypatch.setattr(Client, "follow", gone)
    said = micronet("submit", file, *DIGITS, expected=3).stderr
    job_id = json.loads(micronet("jobs", "--json").stdout)[0]["id"]
    assert f"`micronet job {job_id} --wait`" in said


def test_who_submits_is_told_at_once_which_job_it_is(file: str, services: Services, url: str) -> None:
    with ending(services, scored(0.1), Ending(Status.FAILED, error=CORRUPT)):
        said = micronet("submit", file, *DIGITS).stderr
        as_json = micronet("submit", file, *DIGITS, "--json", expected=1).stderr
    waiting = micronet("submit", file, *DIGITS, "--no-wait")
    ids = [job["id"] for job in json.loads(micronet("jobs", "--json").stdout)][::-1]
    pages = [f"{url}/ui/jobs/{job_id}" for job_id in ids]
    assert said == f"job {ids[0]}  {pages[0]}\n"
    first, second = map(json.loads, as_json.splitlines())
    assert (first, second["code"]) == ({"job": ids[1], "page": pages[1]}, "corrupt-file")
    assert (waiting.stdout, waiting.stderr) == (f"{ids[2]}\n", f"job {ids[2]}  {pages[2]}\n")


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """As in a terminal: what a shell starts in the background ignores SIGINT, and so do these tests in it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", ["submit", "job"])
def test_who_is_stopped_while_waiting_is_told_that_the_job_goes_on(
    file: str, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, command: str
) -> None:
    before, handler = submitted(file), signal.getsignal(signal.SIGTERM)

    def stopped(*_: object) -> Iterator[dict[str, Any]]:
        signal.raise_signal(number)
        yield {}

    monkeypatch.setattr(Client, "follow", stopped)
    arguments = ("submit", file, *DIGITS) if command == "submit" else ("job", before, "--wait")
    said = micronet(*arguments, "--json", expected=128 + number)
    job = json.loads(micronet("jobs", "--json").stdout)[0]
    assert job["status"] == "queued"
    assert last(said)["code"] == "interrupted"
    assert f"the job goes on: `micronet job {job['id']} --wait`" in last(said)["detail"]
    assert f"`micronet cancel {job['id']}`" in last(said)["detail"]
    assert signal.getsignal(signal.SIGTERM) is handler


def test_while_a_job_waits_its_place_is_shown() -> None:
    def now(status: str, place: int | None, stage: object = None) -> dict[str, Any]:
        return {"id": "1", "status": status, "queue_position": place, "stage": stage, "progress": None}

    stage = {"name": "evaluate", "index": 2, "count": 3}
    seen = [now("queued", 2), now("queued", 2), now("queued", 1), now("running", None), now("running", None, stage)]
    told = MagicMock()
    followed(MagicMock(follow=lambda _: seen), seen[0], told)
    shown = [call.waiting("queued, place 2"), call.waiting("queued, place 1"), call.waiting("running")]
    assert told.mock_calls == [*shown, call.stage("evaluate", 2, 3)]


def test_what_a_job_made_is_scored_where_it_is(file: str, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [stored_artifact(services, name) for name in ("1-train.onnx", "2-fuse.onnx")]
    single, several, plain = submitted(file), submitted(file), submitted(file)
    with ending(
        services,
        Ending(Status.SUCCEEDED, score_text(350, 0.1), artifacts=(made[0],)),
        Ending(Status.SUCCEEDED, score_text(350, 0.1), artifacts=tuple(made)),
    ):
        micronet("job", single, "--wait")
        micronet("job", several, "--wait")
    monkeypatch.setattr(Client, "upload", MagicMock(side_effect=AssertionError("nothing is sent")))

    def scored_from(named: str) -> dict[str, Any]:
        job = json.loads(micronet("submit", "--from", named, *DIGITS, "--no-wait", "--json").stdout)
        found: dict[str, Any] = job["checkpoint"]
        return found

    assert scored_from(single) == {"sha256": made[0].sha256, "size": made[0].size, "filename": "1-train.onnx"}
    assert scored_from(f"{several}/2-fuse.onnx")["sha256"] == made[1].sha256
    assert scored_from(plain)["filename"] == "net.onnx", "a score makes no file, and was sent one"
    fresh = json.loads(
        micronet("submit", "--kind", "train", *DIGITS, "--architecture", "digits", "--no-wait", "--json").stdout
    )["id"]
    before = micronet("jobs", "--json").stdout
    for named, words in (
        (several, f"{several}/1-train.onnx, {several}/2-fuse.onnx"),
        (f"{single}/3.onnx", f"{single}/1-train.onnx"),
        (fresh, "is queued, and no file is of it"),
        ("0" * 32, "[job-not-found]"),
    ):
        assert words in micronet("submit", "--from", named, *DIGITS, expected=1).stderr
    assert "not both" in micronet("submit", file, "--from", single, *DIGITS, expected=2).stderr
    assert micronet("jobs", "--json").stdout == before


def test_what_the_job_was_told_holds_for_its_file_unless_options_say_otherwise(file: str, services: Services) -> None:
    normal = {"mean": [0.5], "std": [0.25]}
    told = {"normalize": normal, "seed": 7, "team": "blue", "name": "mine"}
    of_a_score = told | {"policy": "report", "architecture": {"name": "digits", "options": {"width": 16}}}
    measured = submitted(file, "--settings", json.dumps(of_a_score))
    trained = submitted(file, "--kind", "train", "--settings", json.dumps(told))
    left = Ending(Status.SUCCEEDED, artifacts=(stored_artifact(services, "trained.onnx"),))
    with ending(services, scored(0.1), left):
        micronet("job", trained, "--wait", "--json")

    def asked(*options: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(micronet("submit", *options, "--no-wait", "--json").stdout)["settings"]
        return found

    again, usual = asked("--from", measured), ScoreSettings().model_dump(mode="json")
    shared = {"track": "digits", "normalize": normal, "seed": 7, "team": "blue"}
    architecture = {"name": "digits", "options": {"width": 16}}
    assert again == usual | shared | {"policy": "report", "name": "mine", "architecture": architecture}
    parts = asked("--from", measured, "--option", "num_classes=10", "--mean", "0.75")
    assert parts["architecture"] == {"name": "digits", "options": {"width": 16, "num_classes": 10}}
    assert parts["normalize"] == {"mean": [0.75], "std": [0.25]}
    optimized = asked("--from", measured, "--kind", "optimize", "--seed", "8")
    assert {name: optimized[name] for name in shared} == shared | {"seed": 8}
    assert optimized["policy"] == "challenge", "which is all that it takes"
    made = asked("--from", trained)
    assert made == usual | shared | {"policy": "challenge", "bits": None, "name": "mine, trained"}
    options = ("--track", "cifar100", "--param-bits", "6", "--set", "normalize=null", "--name", "other")
    other = asked("--from", trained, *options)
    assert (other["track"], other["bits"]["param_bits"], other["normalize"]) == ("cifar100", 6, None)
    assert (other["name"], other["seed"]) == ("other", 7)
    road = asked("--from", trained, "--kind", "pipeline", "--set", "recipe=cifar100")
    assert (road["track"], road["seed"]) == ("cifar100", 7), "the recipe says the one and not the other"


@pytest.mark.parametrize(
    ("options", "exit_code", "words"),
    [
        (("--fail-above", "0.1", "--no-wait"), 2, "--no-wait"),
        (("--output", "out", "--no-wait"), 2, "--output"),
        (("--fail-above", "low"), 2, "--fail-above"),
        (("--kind", "fly"), 2, "there are the kinds score,"),
        (("--fail-above", "nan"), 1, "--fail-above"),
        (("--fail-above", "1", "--kind", "fuse"), 1, "--kind score"),
        (("--fail-below-floor", "--no-evaluate"), 1, "without accuracy"),
        (("--fail-worse-than", "best", "--no-evaluate"), 1, "without accuracy"),
    ],
)
def test_what_could_never_come_about_is_wrong_usage(
    file: str, options: tuple[str, ...], exit_code: int, words: str
) -> None:
    track = () if "fuse" in options else DIGITS
    assert words in micronet("submit", file, *track, *options, expected=exit_code).stderr
    assert json.loads(micronet("jobs", "--json").stdout) == []


def test_a_directory_is_said_to_be_one(tmp_path: Path) -> None:
    said = micronet("submit", str(tmp_path), *DIGITS, expected=1).stderr
    assert f"{tmp_path}: this is a directory" in said.replace("\n", "")
    assert "no such file" in micronet("submit", str(tmp_path / "none"), *DIGITS, expected=1).stderr
