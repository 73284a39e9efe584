"""`micronet doctor` on workers: who gives signs of life is well, whatever the records still say of others."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.commands.program import app
from tests.app.background import repeated
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
    numbers = count()
    beat(records, name, next(numbers), host)
    with repeated(lambda: beat(records, name, next(numbers), host), BEAT):
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


def test_a_bell_in_a_directory_is_named_by_it(tmp_path: Path) -> None:
    assert finding(tmp_path, "broker") == ("well", str(tmp_path / "bell"))


def test_a_variable_that_is_no_setting_is_doubted(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Path(os.environ["MICRONET_HOME"])
    assert finding(home, "environment")[0] == "well"
    monkeypatch.setenv("MICRONET_WAL_SECONDS", "5")
    monkeypatch.setenv("MICRONET_QUX", "5")
    said = "MICRONET_QUX is no setting; MICRONET_WAL_SECONDS is no setting (MICRONET_WALL_SECONDS is)"
    assert finding(home, "environment") == ("WARN", said)


def test_workers_are_told_apart_in_one_line(records: Records) -> None:
    with living(records, "alive", "one.host"), living(records, "well", "another.host"):
        assert "alive (cpu; NO ISOLATION); well (cpu; NO ISOLATION)" in doctor()[1]
