"""The journal of a job, by its context: apart from it, since a context needs no torch."""

from micronet.jobs.context import Context
from micronet.journal import DirectoryJournal, Journal, MemoryJournal, PausingJournal


def opened_journal(context: Context) -> Journal:
    """What a job writes down in how far it is."""
    if context.journal is None:
        return MemoryJournal()
    journal = DirectoryJournal(context.journal)
    return journal if context.pause_at is None else PausingJournal(journal, context.pause_at)
