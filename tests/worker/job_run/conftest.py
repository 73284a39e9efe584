"""What a job is run with in these tests: nothing is waited for longer than a moment."""

from pathlib import Path
from threading import Event

import pytest

from tests.worker.job_run.running import FailingBlobs
from worker.job_run import finishing, retrying, run
from worker.job_run.context import WorkerContext
from worker.limits import JobLimits
from worker.records import Records


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(retrying, "_END_SECONDS", 0.1)
    monkeypatch.setattr(retrying, "_HICCUP_SECONDS", 0.05)
    monkeypatch.setattr(run, "_REST_SECONDS", 0.01)
    monkeypatch.setattr(finishing, "collect", lambda scratch, *_: ("{}", sorted((scratch / "out").iterdir())))


@pytest.fixture
def blobs() -> FailingBlobs:
    return FailingBlobs()


@pytest.fixture
def context(records: Records, blobs: FailingBlobs, tmp_path: Path) -> WorkerContext:
    limits = {"short": JobLimits(), "long": JobLimits()}
    return WorkerContext(records, blobs, tmp_path / "scratch", limits, 0.02, 30.0, Event())
