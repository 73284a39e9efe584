"""A file of a job's outputs is there when all of it is."""

import errno
from pathlib import Path

import pytest

from micronet.jobs.artifact import put_output


def test_a_file_is_there_when_all_of_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_output(tmp_path, "1-train.onnx", b"first")
    write = Path.write_bytes

    def watched(path: Path, data: bytes) -> int:
        write(path, data[:2])
        visible = [each for each in tmp_path.iterdir() if not each.name.startswith(".")]
        assert [each.read_bytes() for each in visible] == [b"first"]
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", watched)
    put_output(tmp_path, "1-train.onnx", b"second")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("1-train.onnx", b"second")]


def test_of_a_file_that_cannot_be_written_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        write(path, data[:2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        put_output(tmp_path, "1-train.onnx", b"first")
    assert list(tmp_path.iterdir()) == []
