"""Getting in: what that takes, what it takes away, and that a job can work there."""

import mmap
import os
import tempfile
import threading
from pathlib import Path

import pytest

from tests.worker.sandbox.confined import confined, outcome, scratch_in
from worker.sandbox import Confinement, SandboxError, available, enter


def test_this_kernel_says_what_it_has(confinement: Confinement) -> None:
    assert confined(lambda: None, confinement) is None
    assert outcome(lambda: enter(confinement) == available(), lambda: None) is True


def test_a_job_can_work(confinement: Confinement, server: Path, user: int | None) -> None:
    scratch = confinement.scratch

    def work() -> str:
        assert (scratch / "in" / "checkpoint").read_bytes() == b"weights"
        assert (server / "data" / "file").read_text() == "private"
        (scratch / "out" / "part").write_text("x" * 1000)
        (scratch / "out" / "part").rename(scratch / "out" / "result.json")
        with tempfile.TemporaryDirectory(dir=scratch / "tmp") as inner:
            Path(inner, "file").write_text("y")
        with open("/dev/null", "w") as nothing, open("/dev/urandom", "rb") as noise:
            nothing.write("z")
            assert len(noise.read(8)) == 8
        assert "VmRSS" in Path("/proc/self/status").read_text()
        assert Path("/proc/cpuinfo").read_text()
        heard: list[int] = []
        thread = threading.Thread(target=heard.append, args=(1,))
        thread.start()
        thread.join()
        os.kill(os.getpid(), 0)
        return f"{len(heard)} {len(mmap.mmap(-1, 4096))}"

    assert confined(work, confinement, user) == "1 4096"


def test_python_still_imports(confinement: Confinement) -> None:
    def modules() -> str:
        import colorsys
        import wave

        import mpmath

        return " ".join(module.__name__ for module in (wave, colorsys, mpmath))

    assert confined(modules, confinement) == "wave colorsys mpmath"


def test_a_data_directory_that_is_not_there_keeps_no_job_from_working(tmp_path: Path) -> None:
    confinement = Confinement(scratch_in(tmp_path), tmp_path / "missing")
    assert confined((tmp_path / "missing").exists, confinement) is False


@pytest.mark.parametrize("data", ["", "scratch"])
def test_a_data_directory_around_the_servers_files_is_refused(server: Path, data: str) -> None:
    confinement = Confinement(scratch_in(server), server / data)
    with pytest.raises(SandboxError, match="MICRONET_HOME"):
        confinement.rules()


def test_root_has_lost_its_powers(confinement: Confinement) -> None:
    def effective() -> str:
        lines = Path("/proc/self/status").read_text().splitlines()
        sets = {line.split()[1] for line in lines if line.startswith(("CapInh", "CapPrm", "CapEff", "CapAmb"))}
        return f"{sets} {next(line for line in lines if line.startswith('NoNewPrivs')).split()[1]}"

    assert confined(effective, confinement) == f"{ {'0' * 16} } 1"


def test_several_threads_are_not_confined(confinement: Confinement) -> None:
    wait = threading.Event()

    def start() -> None:
        threading.Thread(target=wait.wait, daemon=True).start()

    refusal = outcome(lambda: None, lambda: (start(), enter(confinement)))
    assert isinstance(refusal, str)
    assert "SandboxError" in refusal
