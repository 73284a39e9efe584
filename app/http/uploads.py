"""Files on their way from a client into the store: hashed in flight, written once, by threads."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self, TypeVar

import structlog

from app.http.errors import BodyTooLarge
from app.http.gathering import Gathering
from app.http.threads import Threads
from app.services import Services
from worker.blobs import Incoming
from worker.blobs.settling import abandon, settle
from worker.errors import FULL_DISK, StorageFull, Unavailable
from worker.records.values import StoredBlob

T = TypeVar("T")

_LOOK_BYTES = 64 << 20  # between looks at the space that is left

log = structlog.get_logger()


class Upload:
    """One file that comes. `async with` ends it, whatever happens: only what `settle` recorded stays."""

    def __init__(self, services: Services, threads: Threads, incoming: Incoming) -> None:
        self._services, self._threads, self._incoming = services, threads, incoming
        self._gathering = Gathering(threads, self._append)
        self._settled = False
        self.size = 0

    @classmethod
    async def begin(cls, services: Services, threads: Threads, announced: int | None) -> Self:
        """Begin a file of about `announced` bytes. Raises StorageFull, Unavailable."""
        return cls(services, threads, await threads.run(_create, services, announced or 0))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._settled:
            await self._gathering.give_up()
            await self._threads.run(abandon, self._incoming)

    async def write(self, data: bytes | memoryview) -> None:
        """The next bytes. Raises BodyTooLarge, StorageFull, Unavailable."""
        self.size += len(data)
        if self.size > self._services.settings.upload_bytes:
            raise BodyTooLarge(f"the file is over the limit of {self._services.settings.upload_bytes:,} bytes.")
        await self._gathering.write(data)

    async def finish(self) -> str:
        """All has come; the hash of it. Raises StorageFull, Unavailable."""
        await self._gathering.finish()
        return self._incoming.sha256

    async def settle(self, record: Callable[[StoredBlob], tuple[T, str | None]]) -> T:
        """Make the file durable and `record` it, in one thread and to the end.

        `record` is what `worker.blobs.settling.settle` asks for, and what it raises comes from here as well. Raises
        StorageFull, Unavailable.
        """
        self._settled = True
        return await self._threads.run(_settle, self._services, self._incoming, record)

    def _append(self, data: bytearray) -> None:
        with storage_errors():
            before = self._incoming.size
            if is_time_to_look(before, len(data)):
                check_space(self._services, len(data))
            self._incoming.write(data)


@contextmanager
def storage_errors() -> Iterator[None]:
    """What the store's operating system says, as errors of the service; FileNotFoundError is left as it is."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in FULL_DISK:
            raise StorageFull("no space is left for files; send it again when some was made.") from error
        log.error("the store of files fails", reason=repr(error))
        raise Unavailable("the store of files does not answer; try again in a few seconds.") from error


def _create(services: Services, announced: int) -> Incoming:
    with storage_errors():
        check_space(services, announced)
        return services.blobs.create()


def is_time_to_look(before: int, more: int) -> bool:
    """Whether a file of `before` bytes that grows by `more` passes a place where the space left is looked at."""
    return before // _LOOK_BYTES != (before + more) // _LOOK_BYTES


def check_space(services: Services, wanted: int) -> None:
    """Raise StorageFull unless the store has room for `wanted` bytes more."""
    free = services.blobs.free_bytes()
    if free is not None and free - wanted < services.settings.min_free_bytes:
        raise StorageFull(f"{free:,} bytes are free, too few for {wanted:,} more; send it again when some was made.")


def _settle(services: Services, incoming: Incoming, record: Callable[[StoredBlob], tuple[T, str | None]]) -> T:
    with storage_errors():
        return settle(incoming, services.blobs, record, services.records.blobs.replace)
