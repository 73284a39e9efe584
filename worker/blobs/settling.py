"""The last step of storing a file: it is recorded and kept where its record says, or deleted."""

from collections.abc import Callable
from typing import TypeVar

import structlog

from worker.blobs.port import Blobs, Incoming
from worker.errors import ServiceError, Unavailable
from worker.records.values import StoredBlob

T = TypeVar("T")
Replace = Callable[[str, str, str], bool]
"""Says of a hash that its file is not at the first location any more but at the second; false if its record says
otherwise by now."""

log = structlog.get_logger()


def settle(
    incoming: Incoming, store: Blobs, record: Callable[[StoredBlob], tuple[T, str | None]], replace: Replace
) -> T:
    """Make the file durable and `record` it, and end the claim on it, whatever happens.

    `record` answers with the location its content has now. If that is another (it was here before) this copy goes,
    unless it takes the place of one that its store has lost; with None it goes. Raises what `record` raises: then
    nothing stays, except after Unavailable: the file may have been recorded for all we know, and if not, sweeps find
    it, and delete it a day later. Raises OSError as the store does.
    """
    incoming.settled = True
    try:
        try:
            blob = incoming.keep()
            answer, location = record(blob)
        except Unavailable:
            raise
        except BaseException:
            abandon(incoming)
            raise
        if location != blob.location and not _takes_place_of(store, location, blob, replace):
            abandon(incoming)
        return answer
    finally:
        incoming.close()


def abandon(incoming: Incoming) -> None:
    """End a file that is not wanted; where it cannot be deleted now, a sweep finds it."""
    try:
        incoming.discard()
    except OSError as error:
        log.warning("file not deleted yet", reason=repr(error))
    finally:
        incoming.close()


def has_gone(store: Blobs, location: str) -> bool:
    """Whether a recorded file is missing from its store: somebody deleted it, or a backup did not have it."""
    try:
        store.open(location).close()
    except FileNotFoundError:
        return True
    except OSError:  # it is the store that has gone
        return False
    return False


def _takes_place_of(store: Blobs, location: str | None, blob: StoredBlob, replace: Replace) -> bool:
    """Whether the file that is said to be at `location` is not, and `blob` is what its record may name now."""
    if location is None or not has_gone(store, location):
        return False
    try:
        return replace(blob.sha256, location, blob.location)
    except ServiceError as error:  # away, or full: who sent the file has it recorded, and the next copy may do it
        log.warning("lost file not replaced yet", sha256=blob.sha256, reason=str(error))
        return True
