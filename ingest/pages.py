"""Pages for operators, which cost deliveries little however often they are requested.

One page is made at a time, in a thread, for all requests that wait for it. After each page comes a rest that is longer
than its making.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.requests import Request
from starlette.responses import Response

_REST = 3.0
"""The rest after a page, in times of its making: pages take a quarter of a core at most."""


class PageTurn:
    """The turn to make a page: pages that share it are made one after the other."""

    def __init__(self) -> None:
        """Begin with a free turn."""
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
    """One page: requests that wait together get one answer, which is made after all of them came."""

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
            self._next = None  # later requests get the page after this one
            return await asyncio.to_thread(self._make, request)
