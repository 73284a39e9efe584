"""`micronet serve`, `api`, `worker`, `token`, `submit`, `demo` and `doctor`, as people run them."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from micronet.contract import ScoreResult
from tests.app.in_process import Done, command
from tests.trips.deployment import Deployment, free_port, until
from tests.trips.processes import children
from worker.belonging import open_store
from worker.records import Records
from worker.settings import Settings

Digits = tuple[Path, str]


def micronet(home: Path, *arguments: str, **environment: str) -> Done:
    """What `micronet` does with these arguments, in this process."""
    return command(*arguments, MICRONET_HOME=str(home), **{"COLUMNS": "200", **environment})


def serve(deployment: Deployment) -> subprocess.Popen[bytes]:
    """Start `micronet serve` and wait until it answers."""
    deployment.port = free_port()
    process = deployment.start("serve", "serve", "--port", str(deployment.port))
    until(deployment.is_up, 60, lambda: deployment.log("serve"))
    return process


def test_demo_needs_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MICRONET_")}
    answer = subprocess.run(
        [sys.executable, "-m", "app", "demo", "--json"],
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
        env={**plain, "MICRONET_HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path)},
    )
    assert answer.returncode == 0, answer.stderr
    result = ScoreResult.model_validate_json(answer.stdout)
    assert (result.track, result.qualifies) == ("digits", True)
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith("torchinductor")] == []  # torch's own


def test_serve_starts_both_halves_again_when_they_die_and_ends_them(embedded: Deployment, digits: Digits) -> None:
    process = serve(embedded)
    assert f"http://127.0.0.1:{embedded.port}" in embedded.log("serve")
    for _ in range(2):
        until(lambda: len(children(process.pid)) == 2, 20, "both halves to run")
        halves = children(process.pid)
        for pid in halves:
            os.kill(pid, signal.SIGKILL)
        job = embedded.submit(*digits)  # waits in the socket until the API is there again
        assert embedded.ended(job["id"])["status"] == "succeeded"
    halves = children(process.pid)
    process.send_signal(signal.SIGINT)
    assert process.wait(40) == 0
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in halves), 5, "both halves to end")


def test_halves_end_when_their_parent_is_killed(embedded: Deployment) -> None:
    process = serve(embedded)
    until(lambda: len(children(process.pid)) == 2, 20, "both halves to run")
    halves = children(process.pid)
    process.kill()
    until(lambda: not any(_runs(pid) for pid in halves), 20, "both halves to end")


def test_a_port_that_is_taken_is_said_to_be(embedded: Deployment) -> None:
    serve(embedded)
    answer = micronet(embedded.home, "serve", "--port", str(embedded.port))
    assert answer.returncode == 1
    assert "choose another --port" in answer.stderr


@pytest.mark.parametrize("half", ["serve", "api"])
def test_others_may_only_come_with_tokens(tmp_path: Path, half: str) -> None:
    answer = micronet(tmp_path, half, "--host", "0.0.0.0", "--port", str(free_port()))
    assert answer.returncode == 1
    assert "micronet token create TEAM" in " ".join(answer.stderr.split())


def test_tokens_open_and_close_the_door(embedded: Deployment, digits: Digits) -> None:
    token = micronet(embedded.home, "token", "create", "wavecomp").stdout.strip()
    other = micronet(embedded.home, "token", "create", "kaist").stdout.strip()
    serve(embedded)
    file, settings = str(digits[0]), digits[1]
    server = ["--server", embedded.url, "--settings", settings, "--json"]
    without = micronet(embedded.home, "submit", file, *server)
    assert (without.returncode, json.loads(without.stderr)["code"]) == (1, "token-required")
    scored = micronet(embedded.home, "submit", file, *server, MICRONET_TOKEN=token)
    assert scored.returncode == 0, scored.stderr
    assert json.loads(scored.stdout)["accuracy"]["total"] == 360
    theirs = httpx.get(f"{embedded.url}/jobs", headers={"Authorization": f"Bearer {other}"}).json()
    assert theirs["jobs"] == []
    assert "wavecomp" in micronet(embedded.home, "token", "list").stdout
    assert micronet(embedded.home, "token", "revoke", "wavecomp").stdout.strip() == "1 revoked"
    until(lambda: _refused(embedded.url, token), 15, "the token to be refused")


def test_the_first_token_is_made_once(tmp_path: Path) -> None:
    made = [micronet(tmp_path, "token", "create", "wavecomp", "--first") for _ in range(2)]
    assert made[0].stdout.startswith("mn_")
    assert "started again" in made[0].stderr  # a server that is open stays so until then
    assert micronet(tmp_path, "token", "revoke", "wavecomp").returncode == 0
    made.append(micronet(tmp_path, "token", "create", "wavecomp", "--first"))  # a start brings back no access
    for later in made[1:]:
        assert "none is now" in later.stdout
        assert "mn_" not in later.stdout
        assert later.stderr == ""
    assert micronet(tmp_path, "token", "create", "wavecomp").stderr == "", "it asked for tokens all along"


@pytest.mark.parametrize("team", ["", "  x", "a\nb", "x" * 201])
def test_a_team_has_a_name_that_can_be_read(tmp_path: Path, team: str) -> None:
    answer = micronet(tmp_path, "token", "create", team)
    assert (answer.returncode, answer.stdout) == (1, "")


def test_submit_says_what_the_server_says(embedded: Deployment, digits: Digits, tmp_path: Path) -> None:
    serve(embedded)

    def submitted(file: Path, *options: str) -> tuple[int, dict[str, Any]]:
        answer = micronet(embedded.home, "submit", str(file), "--server", embedded.url, "--json", *options)
        return answer.returncode, json.loads(answer.stderr.strip().splitlines()[-1])

    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no network at all")
    code, error = submitted(broken, "--track", "digits")
    assert (code, error["code"], error["yours"]) == (1, "unknown-format", True)
    code, error = submitted(digits[0], "--track", "nowhere")
    assert (code, error["code"]) == (1, "invalid-settings")
    assert "nowhere" in error["detail"]
    code, error = submitted(tmp_path / "missing.onnx")
    assert (code, error["code"]) == (1, "file-not-found")
    code, error = submitted(digits[0], "--architecture", "digits", "--track", "cifar100")
    assert (code, error["yours"]) == (3, False)  # the server has no such data set


def test_submit_without_a_server(tmp_path: Path, digits: Digits) -> None:
    answer = micronet(tmp_path, "submit", str(digits[0]), "--server", f"http://127.0.0.1:{free_port()}", "--json")
    assert (answer.returncode, json.loads(answer.stderr)["code"]) == (3, "unreachable")


def test_doctor_names_what_is_ill(embedded: Deployment, cifar100_dir: Path) -> None:
    ill = micronet(embedded.home, "doctor")
    assert ill.returncode == 1
    assert "a server makes them when it starts" in ill.stdout
    assert "MICRONET_DATA is not set" in ill.stdout
    serve(embedded)
    until(lambda: micronet(embedded.home, "doctor", "--worker").returncode == 0, 30, "the worker's first sign of life")
    well = micronet(embedded.home, "doctor", "--data", str(cifar100_dir))
    assert well.returncode == 0, well.stdout
    assert "ILL" not in well.stdout
    assert re.search(r"cifar100", well.stdout)


def test_doctor_on_services_that_are_away(tmp_path: Path) -> None:
    away = {
        "MICRONET_DATABASE_URL": "postgresql+psycopg://nobody:secret@127.0.0.1:1/none",
        "MICRONET_BROKER_URL": "redis://:secret@127.0.0.1:1/0",
        "MICRONET_BLOBS_URL": "file:///proc/none",
    }
    answer = micronet(tmp_path, "doctor", **away)
    assert answer.returncode == 1
    assert answer.stdout.count("ILL") >= 4
    assert "secret" not in answer.stdout + answer.stderr


@pytest.mark.parametrize("half", ["serve", "api", "worker"])
@pytest.mark.parametrize(
    ("slip", "said"),
    [
        ({"MICRONET_DATABASE_URL": "sqlite:///{home}/mistyped.db"}, "[wrong-store]\nthe blob store is that of other"),
        ({"MICRONET_BROKER_URL": "amqp://host"}, "[settings]\nbroker at amqp://: file:///directory or redis://"),
        ({"MICRONET_BLOBS_URL": "ftp://host/blobs"}, "[settings]\nblobs at ftp://: a directory or s3://bucket"),
        ({"MICRONET_SWEEP_SECONDS": "inf"}, "[settings]\nMICRONET_SWEEP_SECONDS: Input should be less than"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else "",
)
def test_a_slip_in_a_setting_is_said_before_anything_starts(
    tmp_path: Path, half: str, slip: dict[str, str], said: str
) -> None:
    settings = Settings(home=tmp_path)
    records = Records(settings.database)
    open_store(settings.blobs, settings.scratch, records)
    records.close()
    listening = [] if half == "worker" else ["--port", "0"]
    there = {name: value.format(home=tmp_path) for name, value in slip.items()}
    answer = micronet(tmp_path, half, *listening, **there)
    assert answer.returncode in (1, 3)
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr
    assert "started" not in answer.stderr + answer.stdout


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _refused(url: str, token: str) -> bool:
    return httpx.get(f"{url}/jobs", headers={"Authorization": f"Bearer {token}"}).status_code == 401
