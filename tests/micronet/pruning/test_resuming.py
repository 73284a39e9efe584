"""A prune stage that is killed goes on from its journal, to the same bits; a journal that is not its own is refused."""

from pathlib import Path

import pytest

from micronet.errors import SettingsError
from micronet.journal import DirectoryJournal, Entry, MemoryJournal
from micronet.pruning.saved import to_bytes
from tests.micronet.pruning.on_digits import HOW, TUNING, pruned, trained, whole
from tests.micronet.training.lessons import Dying, Killed, same


@pytest.mark.parametrize("lives", range(0, 18))
def test_killed_anywhere_it_ends_with_the_same_bits(lives: int) -> None:
    """Entries: the accuracy before; of each round its cut, fine-tuning at 0, 1 and 2 epochs, its end, the training
    forgotten, the cut without its network; and the first round made light, twice: 17 in all."""
    journal = Dying(lives)
    if lives < 17:
        with pytest.raises(Killed):
            pruned(journal=journal)
    journal.lives = -1
    graph, report = pruned(journal=journal)
    assert same(graph, whole()[0])
    assert same(whole()[0], graph)
    assert report == whole()[1]


def test_a_directory_keeps_it_as_well(tmp_path: Path) -> None:
    journal = DirectoryJournal(tmp_path)
    assert same(pruned(journal=journal)[0], whole()[0])
    graph, report = pruned(journal=DirectoryJournal(tmp_path))  # nothing is done again
    assert same(graph, whole()[0])
    assert report == whole()[1]


def test_a_journal_of_an_earlier_version_is_refused() -> None:
    """Its cuts, whole and light, do not say how many directions might have gone."""
    journal = MemoryJournal()
    pruned(journal=journal)
    for name in ("round-1.cut", "round-2.cut"):
        entry = journal.entries[name]
        assert entry.facts["asked"] > 0
        journal.entries[name] = Entry({k: v for k, v in entry.facts.items() if k != "asked"}, entry.tensors)
        with pytest.raises(SettingsError, match="an earlier version"):
            pruned(journal=journal)
        journal.entries[name] = entry


def test_a_journal_has_no_more_networks_than_something_may_be_made_of(tmp_path: Path) -> None:
    """However many rounds there are; and so it leads to the same end."""
    how = HOW.model_copy(update={"rounds": 4, "fine_tuning": TUNING.model_copy(update={"epochs": 1})})
    sizes = []

    class Measuring(DirectoryJournal):
        def write(self, name: str, entry: Entry) -> None:
            super().write(name, entry)
            sizes.append(sum(path.stat().st_size for path in tmp_path.iterdir()))

    graph, report = pruned(how, Measuring(tmp_path))
    assert len(report.rounds) == 4
    network = len(to_bytes(trained()).numpy().tobytes())
    assert max(sizes) < 12 * network
    assert sizes[-1] < 4 * network
    again, report_again = pruned(how, DirectoryJournal(tmp_path))
    assert same(graph, again)
    assert report == report_again


@pytest.mark.parametrize("lost", ["round-4.done", "round-4.*", "round-[34].done", "round-[234].*", "round-2.cut", "*"])
def test_it_goes_on_from_whatever_a_worker_had_stored(lost: str, tmp_path: Path) -> None:
    """Which it does in no order: what makes an entry light may be there, and what it was to make room for not."""
    how = HOW.model_copy(update={"rounds": 4, "fine_tuning": TUNING.model_copy(update={"epochs": 1})})
    graph, report = pruned(how, DirectoryJournal(tmp_path))
    for entry in tmp_path.glob(lost):
        entry.unlink()
    again, report_again = pruned(how, DirectoryJournal(tmp_path))
    assert same(graph, again)
    assert report == report_again
