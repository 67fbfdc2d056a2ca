"""Pages for operators, which cost deliveries little however often they are asked for.

One page is made at a time, in a thread, for all who wait for it; after each, the threads rest for longer than it took.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.requests import Request
from starlette.responses import Response

_REST = 3.0
"""Times what a page took: a quarter of a core is the most that pages can take."""


class PageTurn:
    """Whose page is made now; pages that share it are made one after the other."""

    def __init__(self) -> None:
        """Begin with nobody's."""
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Wait for the turn, and pass it on after a rest."""
        await self._lock.acquire()
        began = time.monotonic()
        try:
            yield
        finally:
            asyncio.get_running_loop().call_later(_REST * (time.monotonic() - began), self._lock.release)


class Page:
    """One page: all who ask while one waits get the same answer, made after all of them had asked."""

    def __init__(self, make: Callable[[Request], Response], turn: PageTurn) -> None:
        """Have it made by `make`, in its `turn`."""
        self._make = make
        self._turn = turn
        self._next: asyncio.Task[Response] | None = None

    async def __call__(self, request: Request) -> Response:
        """Return the page."""
        if self._next is None:
            self._next = asyncio.create_task(self._made(request))
        return await asyncio.shield(self._next)

    async def _made(self, request: Request) -> Response:
        async with self._turn.taken():
            self._next = None  # who asks from now on gets the one after this
            return await asyncio.to_thread(self._make, request)
