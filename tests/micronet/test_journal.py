"""What was written is read back, bit for bit, from every kind of journal."""

import time
from pathlib import Path

import pytest
import torch

from micronet.errors import Paused, SettingsError
from micronet.journal import (
    DirectoryJournal,
    Entry,
    Journal,
    MemoryJournal,
    PausingJournal,
    Section,
    bytes_of,
    once,
    tensor_of,
)


@pytest.fixture(params=["memory", "directory", "in parts"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Journal:
    if request.param == "memory":
        return MemoryJournal()
    return DirectoryJournal(tmp_path / "journal", *([100] if request.param == "in parts" else []))


def test_what_was_written_is_read_bit_for_bit(journal: Journal) -> None:
    tensors = {"a.weight": torch.randn(3, 4).t(), "n": torch.tensor(7), "bytes": torch.arange(5, dtype=torch.uint8)}
    journal.write("epoch", Entry({"loss": 0.1 + 0.2, "list": [1, {"x": None}]}, tensors))
    read = journal.read("epoch")
    assert read is not None
    assert read.facts == {"loss": 0.1 + 0.2, "list": [1, {"x": None}]}
    assert read.tensors.keys() == tensors.keys()
    assert all(torch.equal(read.tensors[key], tensor) for key, tensor in tensors.items())


def test_an_entry_does_not_change_with_the_tensors_it_was_made_of(journal: Journal) -> None:
    weight = torch.zeros(2)
    journal.write("epoch", Entry({}, {"weight": weight}))
    weight.fill_(1)
    read = journal.read("epoch")
    assert read is not None
    assert torch.equal(read.tensors["weight"], torch.zeros(2))


def test_an_entry_does_not_change_with_what_was_read(journal: Journal) -> None:
    journal.write("epoch", Entry({"losses": [1]}, {"weight": torch.zeros(2)}))
    first, entry = journal.read("epoch"), Entry({"losses": [1]})
    assert first is not None
    first.tensors["weight"].fill_(1)
    first.facts["losses"].append(2)
    again = journal.read("epoch")
    assert again is not None
    assert again.facts == entry.facts
    assert torch.equal(again.tensors["weight"], torch.zeros(2))


def test_what_was_made_once_is_read_from_then_on(journal: Journal) -> None:
    made = []

    def make() -> Entry:
        made.append(len(made))
        return Entry({"pair": (1, 2)}, {"file": tensor_of(bytes(range(256)))})

    found = [once(journal, "done", make) for _ in range(2)]
    assert made == [0]
    assert [entry.facts for entry in found] == [{"pair": [1, 2]}] * 2, "the first, too, is what the journal has"
    assert [bytes_of(entry.tensors["file"]) for entry in found] == [bytes(range(256))] * 2


def test_entries_are_replaced_and_sections_are_apart(journal: Journal) -> None:
    first, second = Section(journal, "1-train"), Section(journal, "2-prune")
    for number in (1, 2):
        first.write("fit", Entry({"number": number}))
    second.write("fit", Entry({"number": 3}))
    assert [section.read("fit").facts["number"] for section in (first, second)] == [2, 3]  # type: ignore[union-attr]
    assert first.read("other") is None


def test_a_write_that_was_cut_off_leaves_what_was_there(tmp_path: Path) -> None:
    journal = DirectoryJournal(tmp_path)
    journal.write("fit", Entry({"number": 1}))
    (tmp_path / ".fit.new").write_bytes(b"half of")
    read = journal.read("fit")
    assert read is not None
    assert read.facts == {"number": 1}
    journal.write("fit", Entry({"number": 2}))
    assert [path.name for path in tmp_path.iterdir()] == ["fit"]


def number_of(journal: Journal, name: str) -> int:
    read = journal.read(name)
    assert read is not None
    assert bool((read.tensors["w"] == read.facts["number"]).all())
    return int(read.facts["number"])


def test_a_large_entry_lies_in_parts_that_go_with_it(tmp_path: Path) -> None:
    journal = DirectoryJournal(tmp_path, part_bytes=1000)
    for number in (1, 2):
        journal.write("fit", Entry({"number": number}, {"w": torch.full((1000,), float(number))}))
        journal.write("fit.other", Entry({"number": 7}, {"w": torch.full((1000,), 7.0)}))
        assert number_of(journal, "fit") == number
    names = [path.name for path in tmp_path.iterdir()]
    assert len([name for name in names if name.startswith("fit.PART-")]) == 5  # 4000 bytes and what says which
    assert max(path.stat().st_size for path in tmp_path.iterdir()) <= 1000
    assert not [name for name in names if name.startswith(".")]
    journal.write("fit", Entry({"number": 3}, {"w": torch.full((2,), 3.0)}))
    assert number_of(journal, "fit") == 3
    assert number_of(journal, "fit.other") == 7
    assert not list(tmp_path.glob("fit.PART-*"))


@pytest.mark.parametrize("written", range(6))
def test_a_large_write_that_was_cut_off_anywhere_leaves_what_was_there(
    tmp_path: Path, written: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five parts and the entry are put into place, one after the other."""
    journal = DirectoryJournal(tmp_path, part_bytes=1000)
    journal.write("fit", Entry({"number": 1}, {"w": torch.full((1000,), 1.0)}))
    replace, left = Path.replace, written

    def dying(path: Path, target: Path) -> Path:
        nonlocal left
        if not left:
            raise OSError("died")
        left -= 1
        return replace(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", dying)
        with pytest.raises(OSError, match="died"):
            journal.write("fit", Entry({"number": 2}, {"w": torch.full((1000,), 2.0)}))
    assert number_of(journal, "fit") == 1
    journal.write("fit", Entry({"number": 3}, {"w": torch.full((1000,), 3.0)}))
    assert number_of(DirectoryJournal(tmp_path), "fit") == 3
    assert not list(tmp_path.glob(".*")), "nothing half written is left"


def test_a_pausing_journal_stops_after_what_it_wrote(tmp_path: Path) -> None:
    there = DirectoryJournal(tmp_path)
    PausingJournal(there, time.monotonic() + 1000).write("fit", Entry({"number": 1}))
    paused = PausingJournal(there, time.monotonic())
    with pytest.raises(Paused):
        paused.write("fit", Entry({"number": 2}))
    read = paused.read("fit")
    assert read is not None
    assert read.facts == {"number": 2}


def test_tensors_that_share_memory_are_written_too(journal: Journal) -> None:
    whole = torch.arange(6.0)
    journal.write("epoch", Entry({}, {"whole": whole, "same": whole.view(2, 3), "end": whole[3:]}))
    read = journal.read("epoch")
    assert read is not None
    assert torch.equal(read.tensors["whole"], whole)
    assert torch.equal(read.tensors["same"], whole.view(2, 3))
    assert torch.equal(read.tensors["end"], whole[3:])


@pytest.mark.parametrize("part_bytes", [None, 100])
@pytest.mark.parametrize("left", [0, 7, 0.5, 0.99])
def test_a_file_that_was_not_copied_whole_is_named(part_bytes: int | None, left: float, tmp_path: Path) -> None:
    journal = DirectoryJournal(tmp_path, part_bytes)
    journal.write("epoch", Entry({"number": 1}, {"weight": torch.zeros(1000)}))
    for path in tmp_path.iterdir():
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.truncate(int(left * size) if left < 1 else int(left))
    with pytest.raises(SettingsError, match=r"epoch is damaged \(.*\)\. Copy the whole journal again"):
        journal.read("epoch")


@pytest.mark.parametrize("harm", ["missing", "changed"])
def test_parts_have_to_be_there_and_those_that_were_written(harm: str, tmp_path: Path) -> None:
    journal = DirectoryJournal(tmp_path, 1000)
    journal.write("epoch", Entry({}, {"weight": torch.zeros(1000)}))
    part = max(tmp_path.glob("epoch.PART-*"))
    if harm == "missing":
        part.unlink()
    else:
        part.write_bytes(bytes([1]) * part.stat().st_size)
    with pytest.raises(SettingsError, match="Copy the whole journal again"):
        journal.read("epoch")
