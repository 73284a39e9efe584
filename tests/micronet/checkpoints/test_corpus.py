"""Every bad file gives exactly its error, in a process with little memory, in little time, and runs nothing."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.micronet.checkpoints.corpus import CANARY, CORPUS, make_all

ROOT = Path(__file__).parents[3]

SECONDS = 20.0
"""The largest, two million instructions, takes three on a slow machine."""


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    return make_all(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def verdicts(paths: Mapping[str, Path]) -> Mapping[str, Mapping[str, object]]:
    work = {name: str(path) for name, path in paths.items()}
    run = subprocess.run(
        [sys.executable, "-m", "tests.micronet.checkpoints.child"],
        input=json.dumps(work),
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=300,
    )
    rows = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(rows) == len(work), f"The child ended at {list(work)[len(rows)]}: {run.stderr[-2000:]}"
    return {row["name"]: row for row in rows}


@pytest.mark.parametrize("name", CORPUS)
def test_bad_file_gives_its_error(
    name: str, paths: Mapping[str, Path], verdicts: Mapping[str, Mapping[str, object]]
) -> None:
    verdict = verdicts[name]
    message = str(verdict["message"])
    assert verdict["error"] == CORPUS[name].error.__name__, message
    assert float(str(verdict["seconds"])) < SECONDS
    assert 20 < len(message) < 500, message
    assert message.isprintable()
    assert not (paths[name].parent / CANARY).exists()


def test_memory_stays_small(verdicts: Mapping[str, Mapping[str, object]]) -> None:
    peaks = [int(str(verdict["peak"])) for verdict in verdicts.values()]
    assert max(peaks) - peaks[0] < 700_000


def test_errors_have_advice_and_codes() -> None:
    for bad in CORPUS.values():
        assert bad.error.yours
        assert bad.error.code
