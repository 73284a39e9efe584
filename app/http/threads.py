"""Work that blocks, off the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Threads:
    """A pool of threads for one kind of work, so that a slow disk does not keep readers of the database waiting."""

    def __init__(self, name: str, count: int) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix=name)

    async def run(self, function: Callable[[*Ts], T], *arguments: *Ts) -> T:
        """The function's result. Who is canceled while it runs still waits for its end: nothing goes on behind."""
        future = self.start(function, *arguments)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            raise

    def start(self, function: Callable[[*Ts], T], *arguments: *Ts) -> "asyncio.Future[T]":
        """Begin; the caller waits for the future, whatever happens. What is logged there names the caller's request."""
        work = partial(copy_context().run, function, *arguments)
        return asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        """Let running work end; what has not begun is dropped."""
        self._pool.shutdown(cancel_futures=True)
