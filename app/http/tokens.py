"""Which team a token is of: asked of the database, remembered for a moment."""

import asyncio
import hashlib
import re
import time

from app.http.threads import Threads
from worker.records.tokens import Tokens

_SECONDS = 2.0  # after which a token that was revoked is refused by every process
_MOST = 10_000
_TOKEN = re.compile(r"mn_[A-Za-z0-9_-]{20,100}")


def looks_like_token(text: str) -> bool:
    """Whether it is worth asking the database."""
    return _TOKEN.fullmatch(text) is not None


class KnownTokens:
    """A small memory of valid tokens, by their hashes."""

    def __init__(self, tokens: Tokens, threads: Threads) -> None:
        self._tokens, self._threads = tokens, threads
        self._known: dict[bytes, tuple[float, str]] = {}
        self._asked: dict[bytes, asyncio.Task[str | None]] = {}

    async def team(self, token: str) -> str | None:
        """The team of a valid token, else None."""
        key = hashlib.sha256(token.encode()).digest()
        until, team = self._known.get(key, (0.0, ""))
        if time.monotonic() < until:
            return team
        if (asked := self._asked.get(key)) is None:  # many who come with one token at once ask once
            asked = self._asked[key] = asyncio.create_task(self._ask(key, token))
        return await asyncio.shield(asked)

    async def _ask(self, key: bytes, token: str) -> str | None:
        try:
            found = await self._threads.run(self._tokens.team, token)
        finally:
            del self._asked[key]
        if found is None:
            self._known.pop(key, None)
            return None
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[key] = (time.monotonic() + _SECONDS, found)
        return found
