"""Whether files and records belong together: a sweep of another deployment's store would delete every file in it."""

from itertools import islice
from pathlib import Path

import structlog

from worker.blobs import Blobs, open_blobs
from worker.blobs.port import IDENTITY
from worker.blobs.settling import has_gone
from worker.errors import WrongStore
from worker.records import Records

log = structlog.get_logger()

_SAMPLE = 20
"""Recorded files, at most, of which one has to be in a store without a name, for it to be these records' own."""


def open_store(url: str, scratch: Path, records: Records) -> Blobs:
    """The store at `url` (see `open_blobs`), which is these records' own, as far as it answers by now.

    Raises WrongStore, Unavailable and SettingsError.
    """
    blobs = open_blobs(url, scratch)
    try:
        hold_together(records, blobs)
    except OSError as error:  # sweeps ask again before they delete anything
        log.warning("blob store not asked whose it is", reason=repr(error))
    return blobs


def hold_together(records: Records, blobs: Blobs) -> None:
    """Nothing, where the store is these records'; a new store becomes theirs, and one that an earlier version filled.

    Raises WrongStore, Unavailable and OSError.
    """
    if not are_together(records, blobs):
        blobs.claim(records.store.identity())
        are_together(records, blobs)  # of several that claim at once, one is heard


def are_together(records: Records, blobs: Blobs) -> bool:
    """Whether the store is these records'; false where it is nobody's yet, and may become theirs.

    Raises WrongStore, Unavailable and OSError.
    """
    ours, theirs = records.store.identity(), blobs.identity()
    if theirs is None:
        known = records.blobs.locations()
        if known and all(has_gone(blobs, location) for location in islice(known, _SAMPLE)):
            raise WrongStore(
                f"the blob store has none of the files that the records name ({len(known):,}): is it mounted, and the "
                f"one that MICRONET_BLOBS_URL is to name? If they are lost for good, write {ours} into {IDENTITY} in "
                "it: jobs and scores are as they were then, and their files are gone."
            )
        return False
    if theirs != ours:
        raise WrongStore(
            f"the blob store is that of other records: {IDENTITY} in it says {theirs}, these records are of {ours}. "
            "MICRONET_DATABASE_URL and MICRONET_BLOBS_URL have to name two that belong together; to give the store to "
            f"these records, and what they do not know of it to the next sweep, delete {IDENTITY} from it."
        )
    return True
