"""`micronet doctor` on workers: who gives signs of life is well, whatever the records still say of others."""

import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import app
from worker.records import Records
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


def beat(records: Records, name: str, number: int, host: str) -> None:
    records.workers.beat(WorkerSeen(name, host, "both", ("cpu",), (), "1", number, ""))


@contextmanager
def living(records: Records, name: str, host: str = HERE) -> Iterator[None]:
    """Within, the worker gives signs of life."""
    stop, numbers = threading.Event(), count(1)

    def work() -> None:
        while not stop.wait(BEAT):
            beat(records, name, next(numbers), host)

    beat(records, name, 0, host)
    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield
    finally:
        stop.set()
        worker.join()


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
