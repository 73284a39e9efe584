"""What was written is read back, bit for bit, from every kind of journal."""

from pathlib import Path

import pytest
import torch

from micronet.journal import DirectoryJournal, Entry, Journal, MemoryJournal, Section


@pytest.fixture(params=["memory", "directory"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Journal:
    return MemoryJournal() if request.param == "memory" else DirectoryJournal(tmp_path / "journal")


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
