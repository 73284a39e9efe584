"""Who is confined, and what is around him: as root where the tests are, and as nobody."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.worker.sandbox.confined import NOBODY, scratch_in
from worker.limits import MEBI, JobLimits
from worker.sandbox import Confinement


@pytest.fixture(params=["self", "nobody"])
def user(request: pytest.FixtureRequest) -> int | None:
    if request.param == "self":
        return None
    if os.getuid() != 0:
        pytest.skip("only root can become nobody")
    return NOBODY


@pytest.fixture
def server() -> Iterator[Path]:
    """A server's home, open to all: database, blobs, another job's scratch, data sets."""
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        home.chmod(0o777)
        (home / "micronet.db").write_text("records")
        for name in ("blobs", "scratch", "scratch/other", "data"):
            (home / name).mkdir()
            (home / name / "file").write_text("private")
        for path in home.rglob("*"):
            path.chmod(0o777)
        yield home


@pytest.fixture
def confinement(server: Path) -> Confinement:
    return Confinement(scratch_in(server), server / "data", limits=JobLimits(memory_bytes=4096 * MEBI))
