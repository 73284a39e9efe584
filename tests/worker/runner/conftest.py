"""Runners that are proven to leave no process behind."""

import os
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
import torch

from micronet.architectures.load import create_network
from worker.runner import Runner, client
from worker.runner.messages import Exited, JobRequest, Message
from worker.runner.running import Running
from worker.runner.scratch import make

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session", autouse=True)
def no_process_survives() -> Iterator[None]:
    yield
    assert not _ours(), "processes of runners outlived their tests"


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    """A warm runner of the real jobs."""
    yield from _serving()


@pytest.fixture(scope="module")
def hostile() -> Iterator[Runner]:
    """A warm runner of hostile jobs."""
    with hostile_spares():
        yield from _serving()


class hostile_spares:  # noqa: N801
    """Within, runners start the spare of the tests."""

    def __enter__(self) -> None:
        self._patch = pytest.MonkeyPatch()
        self._patch.setattr(client, "SPARE", "tests.worker.runner.hostile_spare")
        self._patch.setenv("PYTHONPATH", str(REPOSITORY), prepend=os.pathsep)
        self._patch.setenv("MICRONET_DATABASE_URL", "postgresql://micronet:pa55word@db/micronet")
        self._patch.setenv("AWS_SECRET_ACCESS_KEY", "pa55word")

    def __exit__(self, *_: object) -> None:
        self._patch.undo()


@pytest.fixture
def new_scratch(tmp_path: Path) -> Callable[[], Path]:
    numbers = count()

    def new() -> Path:
        scratch = tmp_path / "scratch" / f"job{next(numbers)}"
        make(scratch)
        (scratch / "in" / "checkpoint").write_bytes(b"")
        return scratch

    return new


@pytest.fixture
def scratch(new_scratch: Callable[[], Path]) -> Path:
    return new_scratch()


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A state dict of the small network for digits."""
    path = tmp_path_factory.mktemp("digits") / "digits.pth"
    torch.save(create_network("digits", {}, 0).state_dict(), path)
    return path.read_bytes()


def request_of(kind: str) -> JobRequest:
    return JobRequest(kind, "{}", "cpu")


def wait_until_ready(runner: Runner) -> None:
    wait_for(lambda: runner.ready, 60)


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def heard(running: Running, seconds: float = 60) -> list[Message]:
    """All it says until its end."""
    messages: list[Message] = []
    deadline = time.monotonic() + seconds
    while not messages or not isinstance(messages[-1], Exited):
        assert time.monotonic() < deadline, f"no end after {messages}"
        messages += running.messages(1)
    return messages


def alive(pid: int) -> bool:
    """Whether the process is there and has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in ("Z", "X")
    except FileNotFoundError:
        return False


def _serving() -> Iterator[Runner]:
    runner = Runner(None)
    runner.start()
    wait_until_ready(runner)
    yield runner
    runner.close()


_MARK = f"MICRONET_TEST_{os.getpid()}"


def _ours() -> list[int]:
    """Descendants of this process, and orphans of theirs, that run a spare."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            environment = Path("/proc", name, "environ").read_bytes()
        except OSError:
            continue
        if f"OMP_{_MARK}=".encode() in environment and alive(int(name)) and int(name) != os.getpid():
            found.append(int(name))
    return found


os.environ[f"OMP_{_MARK}"] = "1"  # passed on to spares, and so what they and their jobs are known by
