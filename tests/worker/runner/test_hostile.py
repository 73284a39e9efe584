"""Jobs that mean harm, or break: each is a failed job with its cause, and the runner takes the next."""

import ast
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.worker.runner.conftest import alive, heard, request_of, wait_for, wait_until_ready
from tests.worker.runner.hostile_jobs import SECRET
from worker.errors import OutputRefused
from worker.limits import MEBI, JobLimits
from worker.runner import Runner
from worker.runner.exits import error_of_exit
from worker.runner.messages import Done, Exited, Failed, JobError, JobRequest, StageBegan
from worker.runner.outputs import collect
from worker.runner.running import Running

SMALL = JobLimits(memory_bytes=1024 * MEBI)


def failure(hostile: Runner, scratch: Path, kind: str, limits: JobLimits = SMALL) -> JobError:
    """The error of the job, said by itself or told by its end."""
    running = hostile.run(request_of(kind), scratch, limits)
    messages = heard(running)
    assert not alive(running.pid)
    said = [message for message in messages if isinstance(message, Failed)]
    exited = messages[-1]
    assert isinstance(exited, Exited)
    return said[0].error if said else error_of_exit(exited, limits, running.stage, running.log_tail(10_000))


@pytest.mark.parametrize(
    ("kind", "limits", "expected"),
    [
        ("eat_memory", SMALL, ("out-of-memory", True)),
        ("eat_tensors", SMALL, ("out-of-memory", True)),
        ("eat_threads", SMALL, ("thread-limit", True)),
        ("bad_alloc", SMALL, ("out-of-memory", True)),
        ("spin", JobLimits(cpu_seconds=1), ("cpu-time-limit", True)),
        ("spin_on", JobLimits(cpu_seconds=1), ("killed", False)),
        ("fill_file", JobLimits(file_bytes=4 * MEBI), ("file-size-limit", True)),
        ("segfault", SMALL, ("crashed", False)),
        ("abort", SMALL, ("crashed", False)),
        ("leave", SMALL, ("internal-error", False)),
        ("fail", SMALL, ("internal-error", False)),
        ("blame_the_file", SMALL, ("out-of-memory", True)),
        ("refuse", SMALL, ("settings", True)),
        ("flood_stages", SMALL, ("internal-error", False)),
        ("endless_line", SMALL, ("internal-error", False)),
        ("babble", SMALL, ("internal-error", False)),
    ],
)
def test_each_harm_has_its_cause(
    hostile: Runner, scratch: Path, kind: str, limits: JobLimits, expected: tuple[str, bool]
) -> None:
    error = failure(hostile, scratch, kind, limits)
    assert (error.code, error.yours) == expected, error
    wait_until_ready(hostile)


def test_an_error_names_limit_and_stage(hostile: Runner, scratch: Path) -> None:
    error = failure(hostile, scratch, "eat_memory")
    assert "1024 MiB" in error.detail
    assert error.stage == "eat"


def test_what_only_the_log_may_say(hostile: Runner, scratch: Path) -> None:
    running = hostile.run(request_of("fail"), scratch, SMALL)
    messages = heard(running)
    assert SECRET not in repr(messages)
    assert SECRET.encode() in running.log_tail(10_000)


def test_shared_memory_is_seen_by_the_supervisor(hostile: Runner, scratch: Path) -> None:
    running = hostile.run(request_of("eat_shared_memory"), scratch, JobLimits(memory_bytes=512 * MEBI))
    wait_for(lambda: StageBegan("full", 1, 1) in running.messages(0.1), 30)
    assert running.resident_bytes() > 1024 * MEBI
    error = running.over_limit()
    assert error is not None
    assert error.code == "out-of-memory"
    assert running.kill()


@pytest.mark.parametrize(
    "kind", ["fill_scratch", "hold_unlinked", "map_unlinked", "hide_unlinked", "hold_unlinked_without_first_thread"]
)
def test_files_are_seen_by_the_supervisor_with_a_name_or_without(hostile: Runner, scratch: Path, kind: str) -> None:
    running = hostile.run(request_of(kind), scratch, JobLimits(scratch_bytes=4 * MEBI))
    wait_for(lambda: StageBegan("full", 1, 1) in running.messages(0.1), 30)
    error = running.over_limit()
    assert error is not None
    assert (error.code, error.yours) == ("file-size-limit", True)
    assert running.kill()


def test_temporary_files_are_no_harm(hostile: Runner, scratch: Path) -> None:
    running = hostile.run(request_of("use_temporary_files"), scratch, JobLimits(scratch_bytes=4 * MEBI))
    wait_for(lambda: StageBegan("full", 1, 1) in running.messages(0.1), 30)
    assert running.over_limit() is None
    assert running.kill()


def test_threads_are_seen_by_the_supervisor(hostile: Runner, new_scratch: Callable[[], Path]) -> None:
    for limit, code in ((20, "thread-limit"), (100, None)):
        running = hostile.run(request_of("few_threads_too_many"), new_scratch(), JobLimits(processes=limit))
        wait_for(lambda: StageBegan("full", 1, 1) in running.messages(0.1), 30)  # noqa: B023
        error = running.over_limit()
        assert (None if error is None else error.code) == code
        assert running.kill()


def test_the_clock_is_seen_by_the_supervisor(hostile: Runner, scratch: Path) -> None:
    running = hostile.run(request_of("sleep"), scratch, JobLimits(wall_seconds=0.2))
    wait_for(lambda: running.over_limit() is not None, 5)
    error = running.over_limit()
    assert error is not None
    assert (error.code, error.yours) == ("time-limit", True)
    assert running.kill()


def test_a_kill_takes_less_than_two_seconds_and_tells_what_was_said(hostile: Runner, scratch: Path) -> None:
    running = hostile.run(request_of("sleep"), scratch, SMALL)
    time.sleep(0.5)
    begin = time.monotonic()
    assert running.kill()
    assert time.monotonic() - begin < 2
    assert not alive(running.pid)
    messages = heard(running)
    assert messages[0] == StageBegan("sleep", 1, 1)
    assert messages[-1] == Exited(-signal.SIGKILL, messages[-1].max_rss)  # type: ignore[union-attr]
    assert running.kill()
    wait_until_ready(hostile)


def test_a_log_is_kept_to_its_end_and_no_further(hostile: Runner, scratch: Path) -> None:
    running = hostile.run(request_of("flood_log"), scratch, SMALL)
    wait_for(lambda: running.messages(0.1) is not None and running.log_tail(3) == b"end", 60)
    assert len(running.log_tail(1 << 30)) == 256 * 1024
    assert running.kill()


@pytest.mark.parametrize("kind", ["flood_log_for_ever", "flood_progress"])
def test_floods_do_not_hold_the_supervisor_up(hostile: Runner, scratch: Path, kind: str) -> None:
    running = hostile.run(request_of(kind), scratch, SMALL)
    told = 0
    for _ in range(5):
        begin = time.monotonic()
        told += len(running.messages(0.2))
        assert time.monotonic() - begin < 1
    assert told <= 5
    assert running.kill()


def test_a_done_without_a_result_is_refused(hostile: Runner, scratch: Path) -> None:
    messages = heard(hostile.run(request_of("claim_done"), scratch, SMALL))
    assert isinstance(messages[0], Done)
    with pytest.raises(OutputRefused, match="no score result"):
        collect(scratch, "score", SMALL.scratch_bytes)


def test_a_job_sees_no_secret_and_no_file_of_anybody(hostile: Runner, scratch: Path) -> None:
    running = hostile.run(JobRequest("look_around", "{}", "cpu", nice=3), scratch, SMALL)
    wait_for(lambda: bool(running.messages(0.1)), 30)
    assert running.kill()
    heard(running)
    environment, initial, descriptors, place, state, *_ = running.log_tail(100_000).decode().splitlines()
    variables = dict(ast.literal_eval(environment))
    assert "pa55word" not in environment + initial
    assert not [name for name in variables if name.startswith(("MICRONET", "AWS"))]
    assert variables["HOME"] == variables["TMPDIR"] == str(scratch / "tmp")
    opened = ast.literal_eval(descriptors.removeprefix("open "))
    assert [name for name in opened if not name.startswith("pipe:")] == ["/dev/null", f"/proc/{running.pid}"]
    assert len(set(opened)) == 4  # two pipes: one for messages, one for standard output and error
    assert place == f"cwd {scratch / 'tmp'} nice {os.nice(0) + 3} group True"
    assert state == "threads 1 oom 1000"


def test_limits_of_one_job_do_not_stay_for_the_next(hostile: Runner, new_scratch: Callable[[], Path]) -> None:
    failure(hostile, new_scratch(), "eat_memory")
    running: Running = hostile.run(request_of("eat_memory"), new_scratch(), JobLimits(memory_bytes=1536 * MEBI))
    failed = heard(running)[-2]
    assert isinstance(failed, Failed)
    assert "1536 MiB" in failed.error.detail
