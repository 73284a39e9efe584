"""How much one team may ask of the server at once; counted in this process, so each API process has its own count."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from limits import RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter

from app.http.errors import TooManyRequests, TooManyUploads

_UPLOADS = 64


class Rates:
    """Requests in a second, and uploads at once."""

    def __init__(self, requests_per_second: int) -> None:
        self._item = RateLimitItemPerSecond(requests_per_second)
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._uploads: Counter[str] = Counter()

    async def count(self, owner: str) -> None:
        """One request. Raises TooManyRequests."""
        if not await self._limiter.hit(self._item, owner):
            raise TooManyRequests(f"more than {self._item.amount} requests in a second; wait a second.")

    @contextmanager
    def upload(self, owner: str) -> Iterator[None]:
        """One upload, while it lasts. Raises TooManyUploads."""
        if self._uploads[owner] >= _UPLOADS:
            raise TooManyUploads(f"{_UPLOADS} uploads are on their way already; wait until one has ended.")
        self._uploads[owner] += 1
        try:
            yield
        finally:
            self._uploads[owner] -= 1
            if not self._uploads[owner]:
                del self._uploads[owner]
