"""Where the tests find real data: unpacked once, and skipped where it is not there. And plain logs."""

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import structlog

_SHARED = Path(__file__).resolve().parents[1].parent / "shared"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The trips first, which take longest: at the end, what several processes have left is shared out better."""
    items.sort(key=lambda item: "trips" not in item.path.parts)


@pytest.fixture(scope="session", autouse=True)
def _plain_logs() -> None:
    """Without a picture of every local variable, which takes seconds to draw."""
    renderer = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], renderer])


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The directory beside the repository with real images and published checkpoints."""
    if not _SHARED.is_dir():
        pytest.skip(f"no {_SHARED}")
    return _SHARED


@pytest.fixture(scope="session")
def cifar100_dir() -> Path:
    """A data directory with the real `cifar-100-python/`: MICRONET_DATA's, or the shared images unpacked."""
    given = os.environ.get("MICRONET_DATA")
    if given and (Path(given) / "cifar-100-python" / "test").is_file():
        return Path(given)
    script = _SHARED / "data" / "unpack_cifar100.py"
    if not script.is_file():
        pytest.skip(f"no CIFAR-100: neither in MICRONET_DATA nor {script}")
    return _unpacked(script)


def _unpacked(script: Path) -> Path:
    """What `script` writes, made once per user and version of the script, whole or not at all."""
    caches = Path(tempfile.gettempdir()) / f"micronet-tests-{os.getuid()}"
    caches.mkdir(mode=0o700, exist_ok=True)
    assert caches.stat().st_uid == os.getuid(), f"{caches} belongs to somebody else"
    ready = caches / f"cifar100-{hashlib.sha256(script.read_bytes()).hexdigest()[:16]}"
    if ready.is_dir():
        return ready
    with tempfile.TemporaryDirectory(dir=caches) as temporary:
        unpacked = Path(temporary) / "data"
        subprocess.run([sys.executable, str(script), str(unpacked)], check=True, stdout=subprocess.DEVNULL)
        try:
            unpacked.rename(ready)
        except OSError:  # another session was faster
            if not ready.is_dir():
                raise
    return ready
