"""The journal of a job, by its context: apart from it, since a context needs no torch."""

from micronet.jobs.context import Context
from micronet.journal import DirectoryJournal, Journal, MemoryJournal, PausingJournal

PART_BYTES = 15 << 20
"""Of a file of a journal that pauses, at most: it is carried from machine to machine, and some take 16 MiB a file."""


def opened_journal(context: Context) -> Journal:
    """What a job writes down in how far it is."""
    if context.journal is None:
        return MemoryJournal()
    if context.pause_at is None:
        return DirectoryJournal(context.journal)
    return PausingJournal(DirectoryJournal(context.journal, PART_BYTES), context.pause_at)
