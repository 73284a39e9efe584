"""What a job is run with in these tests: nothing is waited for longer than a moment."""

from pathlib import Path
from threading import Event

import pytest

from tests.worker.job_run.running import FailingBlobs
from worker import job_run, keeping, waiting
from worker.bench import Bench
from worker.limits import JobLimits
from worker.records import Records


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (job_run, keeping, waiting):
        monkeypatch.setattr(module, "_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(waiting, "_END_SECONDS", 0.1)
    monkeypatch.setattr(waiting, "_HICCUP_SECONDS", 0.05)
    monkeypatch.setattr(job_run, "_REST_SECONDS", 0.01)
    monkeypatch.setattr(keeping, "collect", lambda scratch, *_: ("{}", sorted((scratch / "out").iterdir())))


@pytest.fixture
def blobs() -> FailingBlobs:
    return FailingBlobs()


@pytest.fixture
def bench(records: Records, blobs: FailingBlobs, tmp_path: Path) -> Bench:
    limits = {"short": JobLimits(), "long": JobLimits()}
    return Bench(records, blobs, tmp_path / "scratch", limits, 0.02, 30.0, Event())
