"""The last step of storing files: each is recorded and kept where its record says, or deleted."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TypeVar

import structlog

from worker.blobs.port import Blobs, Incoming
from worker.errors import ServiceError, StorageFull, Unavailable
from worker.records.values import StoredBlob

T = TypeVar("T")
Replace = Callable[[str, str, str], bool]
"""Says of a hash that its file is not at the first location any more but at the second; false if its record says
otherwise by now."""

log = structlog.get_logger()

_IN_DOUBT = (Unavailable, StorageFull)
"""Of the errors of the service those that are no refusal."""


def settle(
    incoming: Incoming, store: Blobs, record: Callable[[StoredBlob], tuple[T, str | None]], replace: Replace
) -> T:
    """As `settle_together`, for one file."""

    def record_it(blobs: Sequence[StoredBlob]) -> tuple[T, tuple[str | None]]:
        (blob,) = blobs
        answer, location = record(blob)
        return answer, (location,)

    return settle_together((incoming,), store, record_it, replace)


def settle_together(
    incoming: Sequence[Incoming],
    store: Blobs,
    record: Callable[[Sequence[StoredBlob]], tuple[T, Sequence[str | None]]],
    replace: Replace,
) -> T:
    """Make the files durable and `record` them at once, and end the claims on them, whatever happens.

    `record` answers with the location that the content of each has now. If that is another (it was here before) this
    copy goes, unless it takes the place of one that its store has lost; with None it goes. Raises what `record` raises:
    nothing stays after a refusal. After any other error the files may have been recorded for all we know (the answer to
    a commit was lost, and what came then says nothing of it), so they stay; sweeps find those that were not, and delete
    them a day later. Raises OSError as the store does: then nothing was recorded, and nothing stays.
    """
    with ExitStack() as claims:
        for each in incoming:
            each.settled = True
            claims.callback(each.close)
        blobs = _kept(incoming)
        try:
            answer, locations = record(blobs)
        except ServiceError as error:
            if not isinstance(error, _IN_DOUBT):
                _abandon_all(incoming)
            raise
        for each, blob, location in zip(incoming, blobs, locations, strict=True):
            if location != blob.location and not _takes_place_of(store, location, blob, replace):
                abandon(each)
    return answer


def abandon(incoming: Incoming) -> None:
    """End a file that is not wanted; where it cannot be deleted now, a sweep finds it."""
    try:
        incoming.discard()
    except OSError as error:
        log.warning("file not deleted yet", reason=repr(error))
    finally:
        incoming.close()


def _kept(incoming: Sequence[Incoming]) -> tuple[StoredBlob, ...]:
    try:
        return tuple(each.keep() for each in incoming)
    except BaseException:
        _abandon_all(incoming)
        raise


def _abandon_all(incoming: Sequence[Incoming]) -> None:
    for each in incoming:
        abandon(each)


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
    except Exception as error:  # whatever it is: who sent the file has it recorded, and the next copy may do it
        log.warning("lost file not replaced yet", sha256=blob.sha256, reason=str(error))
        return True
