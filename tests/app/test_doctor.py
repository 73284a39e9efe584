"""`micronet doctor` says what is wrong, part by part, and changes nothing. Workers are well that give signs of life."""

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from redis.exceptions import ResponseError
from sqlalchemy import text
from typer.testing import CliRunner

from app.commands.doctor import CHECKS, Ailing, Doubtful, check_policy
from app.commands.program import app
from tests.app.background import repeated
from tests.worker.records.making import accept
from worker.devices import SILENT
from worker.records import Records
from worker.records.migrate import configuration
from worker.records.values import WorkerSeen

HERE = platform.node()
BEAT = 0.3


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Records]:
    monkeypatch.setenv("MICRONET_RECONCILE_SECONDS", str(BEAT))
    monkeypatch.setenv("MICRONET_HOME", str(tmp_path))
    opened = Records(f"sqlite:///{tmp_path}/micronet.db")
    yield opened
    opened.close()


def beat(records: Records, name: str, number: int, host: str, lanes: str = "both") -> None:
    records.workers.beat(WorkerSeen(name, host, lanes, ("cpu",), (), "1", number, ""))


@contextmanager
def living(records: Records, name: str, host: str = HERE, lanes: str = "both") -> Iterator[None]:
    """Within, the worker gives signs of life."""
    numbers = count()
    beat(records, name, next(numbers), host, lanes)
    with repeated(lambda: beat(records, name, next(numbers), host, lanes), BEAT):
        yield


def doctor(*arguments: str) -> tuple[int, str]:
    """Its exit code, and the line on workers."""
    result = CliRunner().invoke(app, ["doctor", *arguments], env={"COLUMNS": "300"})
    return result.exit_code, next(line for line in result.output.splitlines() if line.startswith("workers"))


def test_a_worker_here_is_well_while_it_gives_signs_of_life(records: Records) -> None:
    assert doctor("--worker")[0] == 1
    beat(records, "killed", 7, HERE)  # in this very place, before it was started again
    with living(records, "elsewhere", "another.host"):
        code, line = doctor("--worker")
        assert (code, "sign of life in 0.6 seconds" in line) == (1, True)
    with living(records, "alive"):
        code, line = doctor("--worker")
    assert (code, "alive" in line, "killed" in line) == (0, True, False)
    assert doctor("--worker")[0] == 1


def test_a_worker_anywhere_that_stands_still_is_ill(records: Records) -> None:
    assert "no worker lives" in doctor()[1]
    with living(records, "alive", "one.host"), living(records, "well", "another.host"):
        line = doctor()[1]
        assert ("ILL" in line, "alive" in line) == (False, True)
        beat(records, "killed", 7, HERE)
        line = doctor()[1]
        assert ("ILL" in line, "killed" in line, "living: 2" in line) == (True, True, True)


def finding(home: Path, part: str, *arguments: str) -> tuple[str, str]:
    """What is said of one part: its state, and the rest of the line."""
    result = CliRunner().invoke(app, ["doctor", "--home", str(home), *arguments], env={"COLUMNS": "300"})
    line = next(line for line in result.output.splitlines() if line.startswith(part))
    state, said = line.removeprefix(part).split(maxsplit=1)
    return state, said.rstrip()


def test_data_sets_are_those_whose_files_are_there(tmp_path: Path) -> None:
    data = tmp_path / "data"
    state, said = finding(tmp_path, "data sets", "--data", str(data))
    assert (state, "there is no such directory" in said) == ("ILL", True)
    data.mkdir()
    state, said = finding(tmp_path, "data sets", "--data", str(data))
    assert (state, "no data set in" in said) == ("ILL", True)
    (data / "cifar-100-python").mkdir()
    (data / "imagenet").mkdir()
    assert finding(tmp_path, "data sets", "--data", str(data)) == (
        "well",
        f"{data}: cifar100, imagenet; missing: cifar10",
    )


def test_a_driver_of_gpus_that_fails_is_ill_and_findings_alone_are_the_output(
    records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a process of its own: what libraries and our own parts log meanwhile goes elsewhere."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("COLUMNS", "300")
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'Driver/library version mismatch'; exit 18\n")
    program.chmod(0o755)
    code = """
import structlog, sys
from app.commands import doctor
look = doctor._environment
doctor.CHECKS["environment"] = lambda settings: structlog.get_logger().warning("noise") or look(settings)
from app.commands.program import app
app(["doctor"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split("  ")[0] for line in lines[-len(CHECKS) :]] == list(CHECKS)
    said = "nvidia-smi fails: Driver/library version mismatch; a worker that is started here uses no GPU"
    assert lines[-1].rstrip().split(maxsplit=3)[2:] == ["ILL", said]
    assert "noise" not in done.stdout
    assert "noise" in done.stderr


def test_a_bell_in_a_directory_is_named_by_it(tmp_path: Path) -> None:
    bell = tmp_path / "bell"
    assert finding(tmp_path, "broker") == ("well", f"{bell}, which is made by who first uses it")
    bell.mkdir()
    assert finding(tmp_path, "broker") == ("well", str(bell))


def test_who_asks_makes_nothing_and_changes_nothing(tmp_path: Path) -> None:
    """Another user may ask than the one the server runs as."""
    home = tmp_path / "home"
    for part in ("database", "blobs", "workers"):
        state, said = finding(home, part)
        assert (state, "a server makes" in said) == ("ILL", True)
    assert not home.exists()


def test_records_of_another_version_are_left_as_they_are(records: Records, tmp_path: Path) -> None:
    def version() -> str:
        return str(records.database.read(lambda c: c.scalar(text("SELECT version_num FROM alembic_version"))))

    newest = version()
    records.database.write(lambda connection: command.downgrade(configuration(connection), "0009"))
    state, said = finding(tmp_path, "database")
    assert (state, f"version 0009, this program's are {newest}: stop every server" in said) == ("ILL", True)
    assert version() == "0009"


def test_who_may_not_write_the_records_is_told_so(
    records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite opens and reads a file that it may not write."""
    url = f"sqlite:///file:{tmp_path}/micronet.db?mode=ro&uri=true"
    monkeypatch.setattr("worker.records.database._configure_sqlite", _begin_by_hand)
    monkeypatch.setenv("MICRONET_DATABASE_URL", url)
    state, said = finding(tmp_path, "database")
    assert (state, f"user {os.geteuid()} may not write" in said, f"{tmp_path}/micronet.db" in said) == (
        "ILL",
        True,
        True,
    )


def _begin_by_hand(connection: Any, _: object) -> None:
    connection.isolation_level = None


def test_no_password_is_shown_and_the_reason_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql://127.0.0.1:1/scores?password=pa55word&user=me"
    monkeypatch.setenv("MICRONET_DATABASE_URL", url)
    state, said = finding(tmp_path, "database")
    assert (state, "pa55word" in said) == ("ILL", False)
    assert "postgresql+psycopg://127.0.0.1:1/scores: connection failed" in said


def test_a_disk_that_is_full_before_files_go_is_doubted(
    records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "blobs").mkdir()
    monkeypatch.setenv("MICRONET_BLOB_BYTES", str(1 << 30))
    monkeypatch.setenv("MICRONET_MIN_FREE_BYTES", "0")
    assert finding(tmp_path, "blobs")[0] == "well"
    assert list((tmp_path / "blobs").iterdir()) == []
    monkeypatch.setenv("MICRONET_BLOB_BYTES", str(1 << 60))
    state, said = finding(tmp_path, "blobs")
    assert (state, "MICRONET_BLOB_BYTES is 1073741824.0 GiB" in said) == ("WARN", True)


@pytest.mark.parametrize(
    ("answer", "raised"),
    [({"maxmemory-policy": "noeviction"}, None), ({"maxmemory-policy": "allkeys-lru"}, Ailing), (None, Doubtful)],
)
def test_a_redis_that_says_nothing_of_itself_is_doubted(
    answer: dict[str, str] | None, raised: type[Exception] | None
) -> None:
    class Client:
        def config_get(self, name: str) -> dict[str, str]:
            if answer is None:
                raise ResponseError("unknown command 'CONFIG'")
            return answer

    with nullcontext() if raised is None else pytest.raises(raised, match="noeviction"):
        check_policy(Client())


def test_a_variable_that_is_no_setting_is_doubted(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Path(os.environ["MICRONET_HOME"])
    assert finding(home, "environment")[0] == "well"
    monkeypatch.setenv("MICRONET_WAL_SECONDS", "5")
    monkeypatch.setenv("MICRONET_QUX", "5")
    said = "MICRONET_QUX is no setting; MICRONET_WAL_SECONDS is no setting (MICRONET_WALL_SECONDS is)"
    assert finding(home, "environment") == ("WARN", said)


def test_workers_are_told_apart_in_one_line(records: Records) -> None:
    with living(records, "alive", "one.host"), living(records, "well", "another.host"):
        line = doctor()[1]
        assert "alive (short and long; cpu; NO ISOLATION); well (short and long; cpu; NO ISOLATION)" in line


def test_a_worker_whose_device_does_not_answer_is_ill(records: Records) -> None:
    devices = ("cuda:0", f"cuda:1{SILENT}")
    numbers = count()

    def beat() -> None:
        records.workers.beat(WorkerSeen("half", HERE, "both", devices, (), "1", next(numbers), ""))

    beat()
    with repeated(beat, BEAT):
        line = doctor()[1]
    assert ("ILL" in line, "cuda:0, cuda:1 (does not answer)" in line) == (True, True)


def test_jobs_that_no_worker_takes_are_named(records: Records) -> None:
    accept(records, kind="train", lane="long")
    with living(records, "quick", lanes="short"):
        line = doctor()[1]
        assert ("ILL" in line, "no worker takes long jobs" in line, "quick (short; cpu" in line) == (True, True, True)
        with living(records, "patient", lanes="long"):
            assert "ILL" not in doctor()[1]
