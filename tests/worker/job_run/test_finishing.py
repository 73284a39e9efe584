"""What a job made is kept together with its end, or not at all."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Event
from typing import cast

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from tests.worker.job_run.running import (
    FORBIDDEN,
    MADE,
    NO_ROOM,
    FailingBlobs,
    QuickRunner,
    claimed,
    claimed_again,
    ran,
    read,
)
from worker.blobs import Incoming
from worker.errors import OutputRefused, StorageFull, StorageQuota, Unavailable
from worker.job_run import finishing, retrying
from worker.job_run.context import WorkerContext
from worker.job_run.journal_keeper import JournalKeeper
from worker.records.values import Status
from worker.runner.messages import Done, Exited, Failed, JobError, Message
from worker.runner.outputs import collect

LOSS = JobError(code="numerical-error", title="x", detail="the loss is nan", stage="2-train", yours=True)
FAILED: Sequence[Message] = (Failed(LOSS), Exited(1))
DONE: Sequence[Message] = (Done(), Exited(0))


def test_an_end_that_was_written_though_nobody_heard_of_it_keeps_its_files(
    context: WorkerContext, blobs: FailingBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = claimed(context)
    database, trouble = context.records.database, [OperationalError("COMMIT", {}, Exception("the connection broke"))]
    once = database._once

    def once_unheard(work: Callable[[Connection], object], write: bool) -> object:
        done = once(work, write)
        if write and trouble and context.records.jobs.read(job.id).status.final:
            raise trouble.pop()
        return done

    monkeypatch.setattr(database, "_once", once_unheard)
    monkeypatch.setattr(database, "patience", -1.0)
    ended = ran(context, job, QuickRunner())
    assert (ended.status, trouble) == (Status.SUCCEEDED, [])
    assert read(context, ended.artifacts[0].sha256) == MADE
    assert list(blobs.files.values()).count(MADE) == 1
    assert blobs.open_files == set()


@pytest.mark.parametrize("then", [StorageFull("full"), OperationalError("UPDATE", {}, Exception("out of memory"))])
def test_an_end_that_was_written_though_nobody_heard_of_it_keeps_its_files_whatever_comes_then(
    context: WorkerContext, blobs: FailingBlobs, monkeypatch: pytest.MonkeyPatch, then: Exception
) -> None:
    job, leases = claimed(context), context.records.leases
    finish = leases.finish

    def finish_unheard(*given: object) -> object:
        finish(*given)  # type: ignore[arg-type]
        monkeypatch.setattr(leases, "finish", finish)
        context.stopping.set()
        raise then

    monkeypatch.setattr(leases, "finish", finish_unheard)
    ended = ran(context, job, QuickRunner(made=(b"first", b"second")))
    assert ended.status is Status.SUCCEEDED
    assert [read(context, artifact.sha256) for artifact in ended.artifacts] == [b"first", b"second"]
    assert blobs.open_files == set()


def test_an_artifact_takes_the_place_of_a_file_that_the_store_has_lost(
    context: WorkerContext, blobs: FailingBlobs
) -> None:
    (artifact,) = ran(context, claimed(context), QuickRunner()).artifacts
    blobs.files = {location: content for location, content in blobs.files.items() if content != MADE}
    assert ran(context, claimed(context), QuickRunner()).artifacts == (artifact,)
    assert read(context, artifact.sha256) == MADE


def test_a_damaged_file_can_be_sent_again(context: WorkerContext) -> None:
    job = claimed(context)
    (location,) = cast(FailingBlobs, context.blobs).files
    cast(FailingBlobs, context.blobs).files[location] = b"something else"
    ended = ran(context, job, QuickRunner())
    assert ended.error is not None
    assert ended.error.code == "blob-corrupt"
    again = ran(context, claimed(context), QuickRunner())
    assert again.status is Status.SUCCEEDED


def test_what_a_job_made_that_has_run_is_kept_and_new_files_are_refused(context: WorkerContext) -> None:
    job = claimed(context)
    before = context.records.blobs.stored_bytes("")
    ended = ran(context, job, QuickRunner())
    assert (ended.status, len(ended.artifacts)) == (Status.SUCCEEDED, 1)
    assert context.records.blobs.stored_bytes("") == before + len(MADE)
    with pytest.raises(StorageQuota):
        context.records.blobs.check_quota("", 1, before + 1)


@pytest.mark.parametrize("ended", [DONE, FAILED])
def test_nothing_is_charged_that_no_job_lists(
    context: WorkerContext, blobs: FailingBlobs, ended: Sequence[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job is taken from its worker between its last word and its end."""
    job = claimed(context)
    before = context.records.blobs.stored_bytes("")
    (lease,) = context.records.leases.held()
    _just_before_its_end(monkeypatch, lambda: context.records.leases.expire(lease))
    runner = QuickRunner(made=(b"first", b"second"), ended=ended)
    lost = ran(replace(context, beat_seconds=1000.0), job, runner)
    assert (lost.status, lost.artifacts) == (Status.QUEUED, ())
    assert context.records.blobs.stored_bytes("") == before
    assert list(blobs.files.values()) == [b"a checkpoint"]


@pytest.mark.parametrize("ended", [DONE, FAILED])
def test_a_job_that_is_canceled_at_its_very_end_keeps_its_files(
    context: WorkerContext, ended: Sequence[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = claimed(context)
    _just_before_its_end(monkeypatch, lambda: context.records.jobs.cancel(job.id))
    canceled = ran(replace(context, beat_seconds=1000.0), job, QuickRunner(ended=ended))
    assert (canceled.status, canceled.result, canceled.error) == (Status.CANCELED, None, None)
    assert [read(context, artifact.sha256) for artifact in canceled.artifacts] == [MADE]


def _just_before_its_end(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    for name in ("collect", "collect_finished"):
        then = getattr(finishing, name)

        def late(*given: object, then: Callable[..., object] = then) -> object:
            act()
            return then(*given)

        monkeypatch.setattr(finishing, name, late)


def test_two_files_of_one_content_are_one(context: WorkerContext, blobs: FailingBlobs) -> None:
    ended = ran(context, claimed(context), QuickRunner(made=(MADE, MADE)))
    assert [artifact.name for artifact in ended.artifacts] == ["0-made.onnx", "1-made.onnx"]
    assert list(blobs.files.values()).count(MADE) == 1


def test_a_job_that_fails_keeps_the_files_it_had_finished(context: WorkerContext) -> None:
    """Half a file, which has another name until it is whole, is none; nor is a result."""
    job = claimed(context)

    def leave_more() -> None:
        (out,) = context.scratch.rglob(f"*{job.id}*/out")
        (out / ".2-made.onnx").write_bytes(b"ha")
        (out / "result.json").write_text("{}")

    before = context.records.blobs.stored_bytes("")
    ended = ran(context, job, QuickRunner(leave_more, made=(b"first", b"second"), ended=FAILED))
    assert ended.error is not None
    assert (ended.status, ended.error.code, ended.error.stage) == (Status.FAILED, LOSS.code, LOSS.stage)
    assert [artifact.name for artifact in ended.artifacts] == ["0-made.onnx", "1-made.onnx"]
    assert [read(context, artifact.sha256) for artifact in ended.artifacts] == [b"first", b"second"]
    assert context.records.blobs.stored_bytes("") == before + len(b"first") + len(b"second")
    assert [entry.text for entry in context.records.jobs.log(job.id)][2:] == ["failed: numerical-error"]


def test_a_job_that_is_canceled_keeps_the_files_it_had_finished(context: WorkerContext) -> None:
    job = claimed(context)
    ended = ran(context, job, QuickRunner(lambda: context.records.jobs.cancel(job.id), ended=()))
    assert ended.status is Status.CANCELED
    assert [read(context, artifact.sha256) for artifact in ended.artifacts] == [MADE]


def test_a_job_that_is_killed_keeps_its_files_when_it_is_not_tried_again(context: WorkerContext) -> None:
    job, runner = claimed(context), QuickRunner(ended=[Exited(-9)])
    assert ran(context, job, runner).artifacts == ()
    ended = ran(context, claimed_again(context, "short"), runner)
    assert ended.status is Status.FAILED
    assert [read(context, artifact.sha256) for artifact in ended.artifacts] == [MADE]


def test_of_a_process_that_cannot_be_killed_nothing_is_read(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QuickRunner, "kill", lambda _: False)
    ended = ran(context, claimed(context), QuickRunner(ended=FAILED))
    assert (ended.status, ended.artifacts) == (Status.FAILED, ())


@pytest.mark.parametrize("cancel", [False, True])
@pytest.mark.parametrize(
    ("error", "stays"),
    [
        (NO_ROOM, False),
        (FORBIDDEN, False),
        (Unavailable("away"), False),
        (NO_ROOM, True),
        (FORBIDDEN, True),
        (StorageFull("full"), True),
        (ValueError("ours"), True),
    ],
)
def test_an_end_is_neither_lost_nor_another_for_files_that_cannot_be_kept(
    context: WorkerContext, blobs: FailingBlobs, error: Exception, stays: bool, cancel: bool
) -> None:
    job = claimed(context)

    def fail() -> None:
        if stays:
            blobs.ill = error
        else:
            blobs.trouble = [error]
        if cancel:
            context.records.jobs.cancel(job.id)

    ended = ran(context, job, QuickRunner(fail, ended=() if cancel else FAILED))
    assert ended.status is (Status.CANCELED if cancel else Status.FAILED)
    assert (ended.error is None) == cancel
    assert len(ended.artifacts) == (0 if stays else 1)
    assert blobs.open_files == set()


@pytest.mark.parametrize("spoil", ["link", "size", "name"])
def test_outputs_of_a_failed_job_that_are_none_are_not_kept(context: WorkerContext, spoil: str) -> None:
    job = claimed(context)
    limits = {"short": replace(context.limits["short"], scratch_bytes=1000)}

    def leave() -> None:
        (out,) = context.scratch.rglob(f"*{job.id}*/out")
        if spoil == "link":
            (out / "link").symlink_to("/etc/passwd")
        elif spoil == "size":
            os.truncate(out / "0-made.onnx", 1001)
        else:
            (out / "two\nlines").touch()

    with capture_logs() as logs:
        ended = ran(replace(context, limits=limits), job, QuickRunner(leave, ended=FAILED))
    assert ended.error is not None
    assert (ended.error.code, ended.artifacts) == (LOSS.code, ())
    (told,) = [entry for entry in logs if entry["event"].startswith("what the job had finished")]
    assert (told["log_level"], "exc_info" in told) == ("warning", False), "which is nothing of ours"


def test_holes_over_the_limit_are_not_copied_for_a_job_that_succeeded(
    context: WorkerContext, blobs: FailingBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finishing, "collect", collect)
    job = claimed(context)
    limits = {"short": replace(context.limits["short"], scratch_bytes=1000)}

    def leave() -> None:
        (out,) = context.scratch.rglob(f"*{job.id}*/out")
        os.truncate(out / "0-made.onnx", 1001)
        (out / "result.json").write_text("{}")

    ended = ran(replace(context, limits=limits), job, QuickRunner(leave))
    assert ended.error is not None
    assert "1,001 bytes are over 1,000" in ended.error.detail
    assert list(blobs.files.values()) == [b"a checkpoint"]


def test_a_canceled_job_s_files_are_copied_once_while_only_the_database_is_away(
    context: WorkerContext, blobs: FailingBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, copies = claimed(context), []
    finish, create, trouble = context.records.leases.finish, blobs.create, [Unavailable("the database is away")] * 3

    def finish_later(*arguments: object) -> object:
        if trouble:
            raise trouble.pop()
        return finish(*arguments)  # type: ignore[arg-type]

    def create_noted() -> Incoming:
        copies.append(MADE)
        return create()

    monkeypatch.setattr(context.records.leases, "finish", finish_later)
    monkeypatch.setattr(blobs, "create", create_noted)
    ended = ran(context, job, QuickRunner(lambda: context.records.jobs.cancel(job.id), ended=()))
    assert (ended.status, trouble, copies) == (Status.CANCELED, [], [MADE])
    assert [read(context, artifact.sha256) for artifact in ended.artifacts] == [MADE]


class Pauses(Event):
    """Notes how long it was waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.seconds.append(timeout)
        return super().wait(timeout)


def test_an_end_that_waits_for_its_files_looks_all_the_time_whether_it_may(
    context: WorkerContext, blobs: FailingBlobs
) -> None:
    pauses = Pauses()

    def fail() -> None:
        blobs.ill = FORBIDDEN

    assert ran(replace(context, stopping=pauses), claimed(context), QuickRunner(fail, ended=FAILED)).artifacts == ()
    assert len(pauses.seconds) > 3
    assert max(pauses.seconds) <= retrying._RETRY_SECONDS


def test_an_end_waits_no_longer_for_its_files_when_another_has_the_job(
    context: WorkerContext, blobs: FailingBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying, "_END_SECONDS", 60.0)
    job = claimed(context)

    def lose() -> None:
        blobs.ill = FORBIDDEN
        while context.records.leases.expire(context.records.leases.held()[0]) is None:  # it beat in between
            pass

    began = time.monotonic()
    assert ran(context, job, QuickRunner(lose, ended=FAILED)).status is Status.QUEUED
    assert time.monotonic() - began < 30


def test_what_a_killed_job_wrote_down_is_waited_for_once(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited = list[float]()

    def settle(_: JournalKeeper, seconds: float) -> bool:
        waited.append(seconds)
        return False

    monkeypatch.setattr(JournalKeeper, "settle", settle)
    again = ran(context, claimed(context, "long"), QuickRunner(ended=[Exited(-9)]))
    assert (again.status, len(waited)) == (Status.QUEUED, 1)


def test_a_job_whose_result_is_refused_keeps_nothing(context: WorkerContext, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> object:
        raise OutputRefused("there is no result")

    monkeypatch.setattr(finishing, "collect", refuse)
    ended = ran(context, claimed(context), QuickRunner())
    assert ended.error is not None
    assert (ended.error.code, ended.artifacts) == ("internal-error", ())
