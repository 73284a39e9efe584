"""What a job made is kept together with its end, or not at all."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from tests.worker.job_run.running import MADE, FailingBlobs, QuickRunner, claimed, ran, read
from worker import keeping
from worker.bench import Bench
from worker.errors import StorageQuota
from worker.records.values import Status


def test_an_end_that_was_written_though_nobody_heard_of_it_keeps_its_files(
    bench: Bench, blobs: FailingBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = claimed(bench)
    database, trouble = bench.records.database, [OperationalError("COMMIT", {}, Exception("the connection broke"))]
    once = database._once

    def once_unheard(work: Callable[[Connection], object], write: bool) -> object:
        done = once(work, write)
        if write and trouble and bench.records.jobs.read(job.id).status.final:
            raise trouble.pop()
        return done

    monkeypatch.setattr(database, "_once", once_unheard)
    monkeypatch.setattr(database, "patience", -1.0)
    ended = ran(bench, job, QuickRunner())
    assert (ended.status, trouble) == (Status.SUCCEEDED, [])
    assert read(bench, ended.artifacts[0].sha256) == MADE
    assert list(blobs.files.values()).count(MADE) == 1
    assert blobs.open_files == set()


def test_an_artifact_takes_the_place_of_a_file_that_the_store_has_lost(bench: Bench, blobs: FailingBlobs) -> None:
    (artifact,) = ran(bench, claimed(bench), QuickRunner()).artifacts
    blobs.files = {location: content for location, content in blobs.files.items() if content != MADE}
    assert ran(bench, claimed(bench), QuickRunner()).artifacts == (artifact,)
    assert read(bench, artifact.sha256) == MADE


def test_a_damaged_file_can_be_sent_again(bench: Bench) -> None:
    job = claimed(bench)
    (location,) = cast(FailingBlobs, bench.blobs).files
    cast(FailingBlobs, bench.blobs).files[location] = b"something else"
    ended = ran(bench, job, QuickRunner())
    assert ended.error is not None
    assert ended.error.code == "blob-corrupt"
    again = ran(bench, claimed(bench), QuickRunner())
    assert again.status is Status.SUCCEEDED


def test_what_a_job_made_that_has_run_is_kept_and_new_files_are_refused(bench: Bench) -> None:
    job = claimed(bench)
    before = bench.records.blobs.stored_bytes("")
    ended = ran(bench, job, QuickRunner())
    assert (ended.status, len(ended.artifacts)) == (Status.SUCCEEDED, 1)
    assert bench.records.blobs.stored_bytes("") == before + len(MADE)
    with pytest.raises(StorageQuota):
        bench.records.blobs.check_quota("", 1, before + 1)


@pytest.mark.parametrize(("meanwhile", "status"), [("cancel", Status.CANCELED), ("expire", Status.QUEUED)])
def test_nothing_is_charged_that_no_job_lists(
    bench: Bench, blobs: FailingBlobs, meanwhile: str, status: Status, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job is canceled, or taken from its worker, between its last word and its end."""
    job = claimed(bench)
    before = bench.records.blobs.stored_bytes("")
    collect, (lease,) = keeping.collect, bench.records.leases.held()
    acts = {"cancel": lambda: bench.records.jobs.cancel(job.id), "expire": lambda: bench.records.leases.expire(lease)}

    def collect_late(scratch: Path, kind: str) -> object:
        acts[meanwhile]()
        return collect(scratch, kind)

    monkeypatch.setattr(keeping, "collect", collect_late)
    ended = ran(replace(bench, beat_seconds=1000.0), job, QuickRunner(made=(b"first", b"second")))
    assert (ended.status, ended.artifacts) == (status, ())
    assert bench.records.blobs.stored_bytes("") == before
    assert list(blobs.files.values()) == [b"a checkpoint"]


def test_two_files_of_one_content_are_one(bench: Bench, blobs: FailingBlobs) -> None:
    ended = ran(bench, claimed(bench), QuickRunner(made=(MADE, MADE)))
    assert [artifact.name for artifact in ended.artifacts] == ["0-made.onnx", "1-made.onnx"]
    assert list(blobs.files.values()).count(MADE) == 1
