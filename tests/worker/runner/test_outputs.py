"""What jobs leave behind, honest and not; and that all of it can be removed."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from micronet.contract import ArchitectureSettings, PipelineSettings, ScoreSettings
from micronet.jobs import Context, count_network
from worker.errors import OutputRefused
from worker.runner import outputs
from worker.runner.outputs import bytes_below, collect, collect_finished
from worker.runner.scratch import make, remove


@pytest.fixture(scope="module")
def result() -> str:
    settings = ScoreSettings(track="digits", architecture=ArchitectureSettings(name="digits"))
    return count_network(settings, None, Context()).model_dump_json()


@pytest.fixture
def out(scratch: Path, result: str) -> Path:
    (scratch / "out" / "result.json").write_text(result)
    return scratch / "out"


def test_result_and_artifacts(scratch: Path, out: Path, result: str) -> None:
    (out / "network.onnx").write_bytes(b"x")
    (out / "A-1.safetensors").write_bytes(b"y")
    assert collect(scratch, "score", 1000) == (result, [out / "A-1.safetensors", out / "network.onnx"])


def test_there_is_room_for_the_files_of_the_longest_pipeline(scratch: Path, out: Path) -> None:
    """One of each stage, and the file it began with."""
    (stages,) = [bound.max_length for bound in PipelineSettings.model_fields["stages"].metadata if _is_longest(bound)]
    for index in range(stages + 1):
        (out / f"{index}-train.onnx").touch()
    assert len(collect(scratch, "score", 1000)[1]) == stages + 1


def _is_longest(bound: object) -> bool:
    return hasattr(bound, "max_length")


def _replace(out: Path, text: str | bytes) -> None:
    (out / "result.json").write_bytes(text.encode() if isinstance(text, str) else text)


def _of_holes(path: Path, size: int) -> None:
    path.touch()
    os.truncate(path, size)


def _be(out: Path, make_it: Callable[[Path], object]) -> None:
    (out / "result.json").unlink()
    make_it(out / "result.json")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda out: (out / "result.json").unlink(), "no result"),
        (lambda out: _replace(out, ""), "no score result"),
        (lambda out: _replace(out, "null"), "no score result"),
        (lambda out: _replace(out, b"\xff\xfe"), "no score result"),
        (lambda out: _replace(out, "[" * 1_000_000), "no score result"),
        (
            lambda out: _replace(out, (out / "result.json").read_text().replace('"seed":0', '"seed":NaN')),
            "score result",
        ),
        (lambda out: _be(out, lambda path: path.symlink_to("/etc/passwd")), "cannot be opened"),
        (lambda out: _be(out, os.mkfifo), "no file of its own"),
        (lambda out: _be(out, Path.mkdir), "no file of its own"),
        (lambda out: os.link(out / "result.json", out.parent / "in" / "twin"), "no file of its own"),
        (lambda out: os.truncate(out / "result.json", outputs.MAX_RESULT_BYTES + 1), "is over"),
        (lambda out: (out / "link").symlink_to("/etc/passwd"), "cannot be opened"),
        (lambda out: os.mkfifo(out / "pipe"), "no file of its own"),
        (lambda out: (out / "folder").mkdir(), "no file of its own"),
        (lambda out: (out / ".hidden").touch(), "cannot be called"),
        (lambda out: (out / "two\nlines").touch(), "cannot be called"),
        (lambda out: (out / ("x" * 200)).touch(), "cannot be called"),
        (lambda out: [(out / f"{number}").touch() for number in range(outputs.MAX_ARTIFACTS + 1)], "more than"),
        (lambda out: [_of_holes(out / name, 501) for name in ("1", "2")], "artifacts of 1,002 bytes are over 1,000"),
        (lambda out: out.rename(out.with_name("away")), "cannot be opened"),
        (lambda out: (out.rename(out.with_name("away")), out.symlink_to(out.with_name("away"))), "cannot be opened"),
    ],
)
def test_what_is_no_result_is_refused(scratch: Path, out: Path, spoil: Callable[[Path], object], words: str) -> None:
    spoil(out)
    with pytest.raises(OutputRefused, match=words):
        collect(scratch, "score", 1000)


def test_what_a_job_had_finished_is_taken_without_a_result(scratch: Path) -> None:
    """And without what is not finished; a result beside it is not looked at."""
    out = scratch / "out"
    for name in ("2-prune.onnx", "1-train.onnx", ".3-fuse.onnx", "result.json"):
        (out / name).write_bytes(b"1234")
    assert collect_finished(scratch, 8) == [out / "1-train.onnx", out / "2-prune.onnx"]
    with pytest.raises(OutputRefused, match="8 bytes are over 7"):
        collect_finished(scratch, 7)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda out: (out / "link").symlink_to("/etc/passwd"), "cannot be opened"),
        (lambda out: os.mkfifo(out / "pipe"), "no file of its own"),
        (lambda out: (out / "folder").mkdir(), "no file of its own"),
        (lambda out: (out / "two\nlines").touch(), "cannot be called"),
        (lambda out: [(out / f"{number}").touch() for number in range(outputs.MAX_ARTIFACTS + 1)], "more than"),
        (lambda out: out.rename(out.with_name("away")), "cannot be opened"),
    ],
)
def test_what_was_not_finished_by_an_honest_job_is_refused(
    scratch: Path, spoil: Callable[[Path], object], words: str
) -> None:
    spoil(scratch / "out")
    with pytest.raises(OutputRefused, match=words):
        collect_finished(scratch, 1000)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.ESTALE])
@pytest.mark.parametrize("name", ["out", "result.json", "network.onnx"])
def test_what_keeps_a_worker_from_reading_is_no_fault_of_the_job(
    scratch: Path, out: Path, monkeypatch: pytest.MonkeyPatch, number: int, name: str
) -> None:
    (out / "network.onnx").write_bytes(b"x")
    really = os.open

    def fail(path: Path | str, flags: int, *, dir_fd: int | None = None) -> int:
        if Path(path).name == name:
            raise OSError(number, os.strerror(number))
        return really(path, flags, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(OSError, match=os.strerror(number)):
        collect(scratch, "score", 1000)
    if name != "result.json":
        with pytest.raises(OSError, match=os.strerror(number)):
            collect_finished(scratch, 1000)


def test_space_is_counted_with_everything_below(scratch: Path) -> None:
    (scratch / "out" / "a" / "b").mkdir(parents=True)
    (scratch / "out" / "a" / "b" / "file").write_bytes(os.urandom(100_000))
    used = bytes_below(scratch / "out")
    assert used is not None
    assert 100_000 <= used < 200_000


def test_a_file_of_holes_takes_no_space(scratch: Path) -> None:
    with (scratch / "out" / "holes").open("wb") as file:
        file.truncate(1 << 40)
    used = bytes_below(scratch)
    assert used is not None
    assert used < 1 << 20


def test_too_many_files_are_not_counted_to_the_end(scratch: Path) -> None:
    for number in range(outputs.MAX_ENTRIES + 1):
        (scratch / "tmp" / str(number)).touch()
    assert bytes_below(scratch / "tmp") is None


def test_a_scratch_directory_is_its_users_alone(tmp_path: Path) -> None:
    make(tmp_path / "scratch" / "job")
    assert (tmp_path / "scratch" / "job").stat().st_mode & 0o777 == 0o700
    with pytest.raises(FileExistsError):
        make(tmp_path / "scratch" / "job")


def test_everything_is_removed_and_nothing_beside_it(scratch: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    (scratch / "out" / "link").symlink_to(tmp_path / "kept")
    (scratch / ".removed-0").mkdir()
    (scratch / "out" / "closed").mkdir(mode=0)
    os.mkfifo(scratch / "tmp" / "pipe")
    _nest(scratch / "tmp", 3000)
    remove(scratch)
    assert not scratch.exists()
    assert (tmp_path / "kept" / "file").exists()
    remove(scratch)


def _nest(directory: Path, levels: int) -> None:
    """Directories whose path is longer than any path may be."""
    here = os.open(directory, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("deeper", dir_fd=here)
        below = os.open("deeper", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
