"""Files that jobs make are put where they belong all together, or none of them is."""

from pathlib import Path

import pytest

from app.artifacts import make_room, move_all
from micronet.errors import SettingsError

NAMES = ("a.onnx", "b.onnx", "c.onnx")


@pytest.fixture
def made(tmp_path: Path) -> Path:
    made = tmp_path / "made"
    made.mkdir()
    for name in NAMES:
        (made / name).write_text("new")
    return made


@pytest.fixture
def output(tmp_path: Path) -> Path:
    output = tmp_path / "output"
    output.mkdir()
    return output


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@pytest.mark.parametrize("force", [False, True])
def test_where_a_directory_is_in_the_way_nothing_is_moved(made: Path, output: Path, force: bool) -> None:
    (output / "b.onnx").mkdir()
    with pytest.raises(SettingsError, match=r"b\.onnx is a directory"):
        move_all(made, output, force)
    assert (names(made), names(output)) == (list(NAMES), ["b.onnx"])
    with pytest.raises(SettingsError, match=r"b\.onnx is a directory"):
        make_room(output, NAMES, force)


@pytest.mark.parametrize("below", ["", "made", "made/there"])
def test_a_file_where_a_directory_is_to_be_is_said_to_be_one(tmp_path: Path, below: str) -> None:
    file = tmp_path / "lib.py"
    file.write_text("mine")
    with pytest.raises(SettingsError, match=r"--output .*lib\.py is a file; name a directory"):
        make_room(file / below, NAMES, force=True)
    assert file.read_text() == "mine"


def test_a_directory_that_cannot_be_made_is_not_said_to_be_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"--output .* cannot be made: File name too long"):
        make_room(tmp_path / ("x" * 300), NAMES, force=False)


def test_a_directory_in_which_nothing_can_be_written_is_said_before_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)  # whoever runs the tests may write everywhere
    with pytest.raises(SettingsError, match=r"nothing can be written there"):
        make_room(tmp_path, NAMES, force=False)


def test_what_is_there_is_replaced_by_force_alone(made: Path, output: Path, tmp_path: Path) -> None:
    """A link is replaced itself, wherever it leads."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (output / "a.onnx").write_text("mine")
    (output / "b.onnx").symlink_to(elsewhere)
    (output / "c.onnx").symlink_to(tmp_path / "nowhere")
    for name in NAMES:
        with pytest.raises(SettingsError, match=f"{name} is there already"):
            make_room(output, [name], force=False)
    move_all(made, output, force=True)
    assert [(output / name).read_text() for name in NAMES] == ["new"] * 3
    assert (names(made), names(elsewhere)) == ([], [])
