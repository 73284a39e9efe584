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
