"""How much one team may ask of the server at once; counted in this process, so each API process has its own count."""

import asyncio
import resource
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from weakref import WeakValueDictionary

from limits import RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter

from app.http.errors import HttpError, TooManyDownloads, TooManyRequests, TooManyUploads

_UPLOADS, _DOWNLOADS = 64, 32


class Rates:
    """Requests in a second, uploads and downloads at once, and turns."""

    def __init__(self, requests_per_second: int) -> None:
        self._item = RateLimitItemPerSecond(requests_per_second)
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._uploads = _Places(_UPLOADS, "uploads", TooManyUploads)
        self._downloads = _Places(_DOWNLOADS, "downloads", TooManyDownloads)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def count(self, owner: str) -> None:
        """One request. Raises TooManyRequests."""
        if not await self._limiter.hit(self._item, owner):
            raise TooManyRequests(f"more than {self._item.amount} requests in a second; wait a second.")

    def upload(self, owner: str) -> AbstractContextManager[None]:
        """One upload, while it lasts. Raises TooManyUploads."""
        return self._uploads.one(owner)

    def download(self, owner: str) -> AbstractContextManager[None]:
        """One download, while it lasts. Raises TooManyDownloads.

        Each has a file beside its connection, and connections may have half of the descriptors this process may open.
        So all downloads together may have a quarter: the rest stays free for databases and uploads.
        """
        return self._downloads.one(owner, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4)

    def turn(self, owner: str) -> asyncio.Lock:
        """For what each owner does once at a time: who waits for it here needs no thread."""
        return self._turns.setdefault(owner, asyncio.Lock())


class _Places:
    """For `most` of one kind at once, of each owner."""

    def __init__(self, most: int, kind: str, refusal: type[HttpError]) -> None:
        self._most, self._kind, self._refusal = most, kind, refusal
        self._taken: Counter[str] = Counter()

    @contextmanager
    def one(self, owner: str, most_of_all: int | None = None) -> Iterator[None]:
        """One of them. Raises what refuses it, also where all owners have `most_of_all`."""
        if self._taken[owner] >= self._most:
            raise self._refusal(f"{self._most} {self._kind} are on their way already; wait until one has ended.")
        if most_of_all is not None and self._taken.total() >= most_of_all:
            raise self._refusal(f"{most_of_all} {self._kind} of all teams are on their way; wait until one has ended.")
        self._taken[owner] += 1
        try:
            yield
        finally:
            self._taken[owner] -= 1
            if not self._taken[owner]:
                del self._taken[owner]
