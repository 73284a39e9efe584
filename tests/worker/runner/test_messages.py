"""The protocol, honest and not; the meaning of every end; the environment."""

import signal

import pytest

from worker.limits import MEBI, JobLimits
from worker.runner.environment import scrubbed
from worker.runner.exits import error_of_exit
from worker.runner.lines import Lines
from worker.runner.messages import (
    LINE_BYTES,
    Done,
    Exited,
    Failed,
    JobError,
    Message,
    Progressed,
    Said,
    StageBegan,
    decode,
    encode,
    job_error,
)

ERROR = JobError(code="x", title="y", detail="z", stage=None, retryable=False, yours=True)
SAID = [StageBegan("read", 1, 4), Progressed(1, 2, "images"), Failed(ERROR), Done()]


@pytest.mark.parametrize("message", SAID)
def test_messages_survive_their_line(message: Said) -> None:
    line = encode(message)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert decode(line[:-1]) == message


def test_the_longest_error_fits_a_line() -> None:
    for character in ("\0", "\N{SNOWMAN}", '"', "\U0001f600"):
        everything = character * 1_000_000
        error = job_error(everything, everything, everything, stage=everything, retryable=False, yours=True)
        assert len(encode(Failed(error))) < LINE_BYTES
        assert decode(encode(Failed(error))[:-1]) == Failed(error)


def test_lines_come_in_any_pieces() -> None:
    stream = b"".join(map(encode, [SAID[0], SAID[1], SAID[3]]))
    for size in (1, 7, len(stream)):
        lines = Lines()
        messages: list[Message] = []
        for start in range(0, len(stream), size):
            messages += lines.feed(stream[start : start + size])
        assert messages == [SAID[0], SAID[1], SAID[3]]
        assert lines.stage == "read"
        assert not lines.broken


def test_of_progress_the_newest_is_told() -> None:
    stream = b"".join(encode(Progressed(done, 100, "images")) for done in range(100))
    assert Lines().feed(stream + encode(Done())) == [Progressed(99, 100, "images"), Done()]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 60_000,
        b'{"done": {}, "stage": {}}',
        b'{"exited": {"status": 0, "max_rss": 0}}',
        b'{"done": {"extra": 1}}',
        b'{"stage": {"name": 1, "index": 1, "count": 1}}',
        b'{"stage": {"name": "x", "index": "1", "count": 1}}',
        b'{"stage": {"name": "x", "index": -1, "count": 1}}',
        b'{"stage": {"name": "x", "index": 2147483648, "count": 1}}',
        b'{"stage": {"name": "x", "index": 1, "count": 2147483648}}',
        b'{"progressed": {"done": 1e3, "total": 1, "unit": "x"}}',
        b'{"progressed": {"done": NaN, "total": 1, "unit": "x"}}',
        b'{"progressed": {"done": 99999999999999999999, "total": 1, "unit": "x"}}',
        b'{"stage": {"name": "\\u0000", "index": 1, "count": 1}}',
        b'{"progressed": {"done": 1, "total": 1, "unit": "\\u0000"}}',
        b'{"failed": {"error": null}}',
        b'{"stage": {"name": "' + b"x" * 300 + b'", "index": 1, "count": 1}}',
    ],
)
def test_what_is_no_message_breaks_the_stream_once(line: bytes) -> None:
    lines = Lines()
    (failed,) = lines.feed(line + b"\n")
    assert isinstance(failed, Failed)
    assert failed.error.code == "internal-error"
    assert not failed.error.yours
    assert lines.broken


def test_a_line_without_an_end_is_not_waited_for() -> None:
    lines = Lines()
    assert lines.feed(b"x" * (LINE_BYTES - 1)) == []
    assert isinstance(lines.feed(b"x")[0], Failed)


def test_nothing_follows_the_end() -> None:
    lines = Lines()
    assert lines.feed(encode(Done()) + encode(Failed(ERROR))) == [Done()]
    assert lines.broken


@pytest.mark.parametrize(
    ("status", "log", "code", "retryable", "yours"),
    [
        (None, b"", "killed", True, False),
        (-signal.SIGKILL, b"", "killed", True, False),
        (-signal.SIGTERM, b"", "killed", True, False),
        (-signal.SIGXCPU, b"", "cpu-time-limit", False, True),
        (-signal.SIGXFSZ, b"", "file-size-limit", False, True),
        (-signal.SIGSEGV, b"", "crashed", False, False),
        (-signal.SIGABRT, b"", "crashed", False, False),
        (-signal.SIGABRT, b"what():  std::bad_alloc", "out-of-memory", False, True),
        (-signal.SIGBUS, b"", "crashed", False, False),
        (-signal.SIGILL, b"", "crashed", False, False),
        (1, b"", "internal-error", False, False),
        (1, b"libgomp: Thread creation failed: Resource temporarily unavailable", "thread-limit", False, True),
        (0, b"", "internal-error", False, False),
    ],
)
def test_every_end_has_a_cause(status: int | None, log: bytes, code: str, retryable: bool, yours: bool) -> None:
    error = error_of_exit(Exited(status), JobLimits(memory_bytes=MEBI), "count", log)
    assert (error.code, error.retryable, error.yours, error.stage) == (code, retryable, yours, "count")


def test_the_environment_is_a_list_of_names() -> None:
    given = {
        "PATH": "/bin", "LANG": "C.UTF-8", "OMP_NUM_THREADS": "2", "CUDA_VISIBLE_DEVICES": "1", "HOME": "/root",
        "MICRONET_DATABASE_URL": "postgresql://u:p@h/d", "AWS_SECRET_ACCESS_KEY": "k", "PGPASSWORD": "p",
    }  # fmt: skip
    assert scrubbed(given) == {
        "PATH": "/bin", "LANG": "C.UTF-8", "OMP_NUM_THREADS": "2", "CUDA_VISIBLE_DEVICES": "1",
        "OPENBLAS_NUM_THREADS": "1", "LOGNAME": "micronet",
    }  # fmt: skip
