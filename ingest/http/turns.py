"""Turns at reading large bodies: however many are sent at once, each pass of the event loop reads a little of them."""

import asyncio
from collections import deque
from collections.abc import Callable

FIRST_READ_BYTES = 16 << 10
"""How much is read of a connection at a time: a delivery, head and body, is rarely larger."""

LATER_READ_BYTES = 64 << 10
"""How much is read at a time of a body that takes turns."""

_READS_A_PASS = 8


class Turns:
    """The bodies that wait for their turn, and the buffers that all reads share in turn."""

    def __init__(self) -> None:
        """Begin with none."""
        self._waiting: deque[Callable[[], None]] = deque()
        self.first = memoryview(bytearray(FIRST_READ_BYTES))
        self.later = memoryview(bytearray(LATER_READ_BYTES))

    def wait(self, go_on: Callable[[], None]) -> None:
        """Call `go_on` when it is its turn."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._pass)
        self._waiting.append(go_on)

    def _pass(self) -> None:
        for _ in range(min(_READS_A_PASS, len(self._waiting))):
            self._waiting.popleft()()
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._pass)
