"""What submits, lists, cancels and deletes, and `leaderboard`, against a server whose jobs end as a test says."""

import csv
import io
import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, get_args
from unittest.mock import MagicMock, call

import pytest
from click.testing import Result
from structlog.testing import capture_logs
from typer.testing import CliRunner

from app.client import Client, Later, ServerError
from app.client import client as client_module
from app.commands.board import COLUMNS, SortKey
from app.commands.following import followed, show_state
from app.commands.program import app
from app.main import create_app
from app.services import Services
from micronet.contract import ScoreSettings
from tests.app.http.conftest import MakeServices, live, make_services  # noqa: F401  # fixtures
from tests.app.http.results import score_text
from tests.app.unreliable import a_job
from tests.worker.records.making import new_job, store
from worker.records import leases
from worker.records.scores import SortKey as ServerSortKey
from worker.records.values import Artifact, Ending, JobError, Status

DIGITS = ("--track", "digits")
CORRUPT = JobError(code="corrupt-file", title="Damaged", detail="all of it", yours=True)
NO_DATA = JobError(code="dataset-missing", title="No data", detail="none of it", yours=False)

OF_ANOTHER_VERSION = json.dumps(json.loads(score_text(350, 0.1)) | {"luck": 7})


def scored(points: float, correct: int = 350) -> Ending:
    return Ending(Status.SUCCEEDED, score_text(correct, points))


@pytest.fixture
def services(make_services: MakeServices) -> Services:  # noqa: F811
    return make_services(team_requests_per_second=100_000)


@pytest.fixture(autouse=True)
def url(services: Services, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(client_module, "_LONGEST_LOOK", 0.05)
    server = create_app(services.settings, services, open_access=True)
    with capture_logs(), live(server) as address:  # the server's would be taken for what a command prints
        monkeypatch.setenv("MICRONET_SERVER", address)
        yield address


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "net.onnx"
    path.write_bytes(b"not a network, but nobody looks here")
    return str(path)


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
    left, stop = list(endings), threading.Event()

    def work() -> None:
        while left and not stop.wait(0.01):
            if (job := services.records.leases.claim("worker", ("short", "long"))) is not None:
                services.records.leases.finish(job, left.pop(0))

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield
    finally:
        stop.set()
        worker.join()


def submitted(file: str, *options: str) -> str:
    """Id of a job that is sent and not waited for."""
    return micronet("submit", file, *DIGITS, "--no-wait", *options).stdout.strip()


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
        raise Later("unreachable", "The server does not answer", "it went away", yours=False)

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
    gone = ServerError("blob-gone", "The file is no longer kept", "it was swept.", yours=True)
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
    job_id, output, made = submitted(file), tmp_path / "out", _artifact(services, "made.onnx")
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
    with ending(services, Ending(status, error=error, artifacts=(_artifact(services, "1-train.onnx"),))):
        done = micronet(*arguments, expected=1)
    assert "numerical-error" in done.stderr if error else "canceled" in done.stderr
    assert (tmp_path / "out" / "1-train.onnx").read_bytes() == b"1-train.onnx"


def test_of_files_that_come_damaged_none_is_left(file: str, services: Services, tmp_path: Path) -> None:
    """One bit of one of them changed in the server's store."""
    made = [_artifact(services, name) for name in ("1-train.onnx", "2-fuse.onnx")]
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


def test_what_a_job_made_is_scored_where_it_is(file: str, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [_artifact(services, name) for name in ("1-train.onnx", "2-fuse.onnx")]
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


def _artifact(services: Services, name: str) -> Artifact:
    """A file of a job's, with its name as its content."""
    with services.blobs.create() as incoming:
        incoming.write(name.encode())
        blob = services.records.blobs.add(incoming.keep(), "")
    return Artifact(name=name, sha256=blob.sha256, size=blob.size)


def test_a_job_is_canceled(file: str, services: Services) -> None:
    waiting, running = submitted(file), submitted(file)
    assert micronet("cancel", waiting).stdout == "canceled\n"
    claimed = services.records.leases.claim("worker", ("short",))
    assert claimed is not None
    assert micronet("cancel", running).stdout == "canceling\n"
    threading.Timer(0.3, services.records.leases.finish, (claimed, scored(0.1))).start()
    assert json.loads(micronet("cancel", running, "--wait", "--json").stdout)["status"] == "canceled"
    assert "[job-not-found]" in micronet("cancel", "0" * 32, expected=1).stderr


def test_the_leaderboard_for_people_and_for_spreadsheets(file: str, services: Services) -> None:
    with ending(services, scored(0.2), scored(0.1, 341), scored(0.3)):
        micronet("submit", file, *DIGITS, "--team", "blue", "--name", "=1+1")
        micronet("submit", file, *DIGITS, "--team", "red", "--unquantized")
        micronet("submit", file, *DIGITS)
    ids = [job["id"] for job in json.loads(micronet("jobs", "--json").stdout)][::-1]
    lines = micronet("leaderboard", *DIGITS, "--policy", "report").stdout.splitlines()
    heading = ("rank", "team", "name", "top-1", "margin", "score", "storage", "math", "bits", "sparsity", "policy")
    assert lines[0].split() == [*heading, "date", "job"]
    assert [line.split()[:5] for line in lines[1:]] == [
        ["1", "blue", "=1+1", "97.22%", "+8"],  # 350 of 360 are right, and 342 have to be
        ["2", "job", ids[2], "97.22%", "+8"],
        ["-", "red", "job", ids[1], "94.72%"],
    ]
    assert [line.split()[-1] for line in lines[1:]] == [ids[0], ids[2], ids[1]]
    narrow = micronet("leaderboard", *DIGITS, "--policy", "report", columns=149).stdout
    assert [job_id in narrow for job_id in ids] == [False, True, True], "where it is narrow, names stand for themselves"
    unranked = micronet("leaderboard", *DIGITS).stdout.splitlines()
    assert [line.split()[0] for line in unranked[1:]] == ["-"] * 3, "of two policies none is before the other"
    assert lines[3].split()[5:11] == ["-1", "0.100000", "0.050000", "0.050000", "9/12", "10.0%"]
    assert lines[1].split()[7:9] == ["0.100000", "9/12"]
    assert micronet("leaderboard", *DIGITS, "--sort", "score", "--descending", "--limit", "1").stdout.count("\n") == 2

    def rows(*options: str) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(micronet("leaderboard", *DIGITS, "--csv", *options).stdout)))

    found = rows("--qualifying", "--policy", "report")
    assert tuple(found[0]) == COLUMNS
    assert [(row["rank"], row["name"], row["score"], row["correct"]) for row in found] == [
        ("1", "'=1+1", "0.2", "350"),
        ("2", "", "0.3", "350"),
    ]
    assert found[0]["margin"] == "8"
    assert [row["team"] for row in rows("--under-floor")] == ["red"]
    assert [row["team"] for row in rows("--team", "blue")] == ["blue"]
    assert rows("--policy", "challenge") == []
    entries = json.loads(micronet("leaderboard", *DIGITS, "--json").stdout)
    assert [entry["score"]["total"] for entry in entries] == [0.2, 0.3, 0.1]
    micronet("leaderboard", *DIGITS, "--json", "--csv", expected=2)
    micronet("leaderboard", expected=2)
    assert "[unknown-track]" in micronet("leaderboard", "--track", "digit", expected=1).stderr


def test_a_board_can_be_sorted_by_all_a_server_sorts_by() -> None:
    assert get_args(SortKey) == get_args(ServerSortKey)


def test_a_score_that_gets_worse_exits_with_4(file: str, services: Services) -> None:
    worse_than_best = ("--fail-worse-than", "best")
    with ending(services, scored(0.2), scored(0.2), scored(0.3), scored(0.1), scored(0.05, 300)):
        first = micronet("submit", file, *DIGITS, *worse_than_best)
        assert "nothing to be worse than" in first.stderr
        micronet("submit", file, *DIGITS, *worse_than_best)
        worse = micronet("submit", file, *DIGITS, *worse_than_best, "--name", "mine", expected=4)
        assert "the score is 0.3, worse than the 0.2 of the best entry on the board" in worse.stderr
        assert "MicroNet score 0.300000" in worse.stdout
        micronet("submit", file, *DIGITS, *worse_than_best)
        under = micronet("submit", file, *DIGITS, *worse_than_best, "--fail-below-floor", "--json", expected=4)
        error = last(under)
        assert (error["code"], json.loads(under.stdout)["qualifies"]) == ("not-good-enough", False)
        assert "does not qualify" in error["detail"]
        assert "300 of 360 answers are right, which is 83.33%, and 95.00% is needed" in error["detail"]


def test_a_score_is_compared_with_those_of_its_team_policy_and_time(file: str, services: Services) -> None:
    worse_than_best = ("--fail-worse-than", "best")
    with ending(services, scored(0.1), scored(0.2), scored(0.3)):
        micronet("submit", file, *DIGITS, "--team", "red")
        micronet("submit", file, *DIGITS, "--team", "blue", *worse_than_best)
        micronet("submit", file, *DIGITS, "--policy", "challenge", *worse_than_best)
    with ending(services, scored(0.2)):
        worse = micronet("submit", file, *DIGITS, *worse_than_best, expected=4)
    assert "worse than the 0.1" in worse.stderr


def test_a_score_is_compared_with_a_job_that_was_named(file: str, services: Services) -> None:
    with ending(services, scored(0.2), Ending(Status.CANCELED), scored(0.2), scored(0.25)):
        micronet("submit", file, *DIGITS)
        micronet("submit", file, *DIGITS, expected=1)
        canceled, named = [job["id"] for job in json.loads(micronet("jobs", "--json").stdout)]
        micronet("submit", file, *DIGITS, "--fail-worse-than", named)
        assert f"of job {named}" in micronet("submit", file, *DIGITS, "--fail-worse-than", named, expected=4).stderr
    before = micronet("jobs", "--json").stdout
    for other, words in ((canceled, "canceled"), ("0" * 32, "no job"), (named, "policy")):
        options = ("--fail-worse-than", other, "--policy", "challenge")
        assert words in micronet("submit", file, *DIGITS, *options, expected=1).stderr
    assert micronet("jobs", "--json").stdout == before


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


def test_a_bound_is_a_bound(file: str, services: Services) -> None:
    with ending(services, scored(0.2), scored(0.2)):
        micronet("submit", file, *DIGITS, "--fail-above", "0.2")
        above = micronet("submit", file, *DIGITS, "--fail-above", "0.19", expected=4)
    assert "the score is 0.2, and at most 0.19 is allowed." in above.stderr


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


@pytest.mark.parametrize("command", ["submit", "jobs", "job", "cancel", "leaderboard"])
def test_exit_codes_are_in_the_help(command: str) -> None:
    said = " ".join(micronet(command, "--help").stdout.split())
    for words in ("0 it went well", "1 the file", "2 wrong usage", "3 the server", "4 the score"):
        assert words in said
