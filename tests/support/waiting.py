"""Wait for what happens elsewhere: until it has, and not for ever."""

import asyncio
import time
from collections.abc import Callable

PATIENCE_S = 60.0


def until(happened: Callable[[], object], seen: Callable[[], object], *, patience_s: float = PATIENCE_S) -> None:
    """Return once it happened, or fail after so many seconds and show what was `seen` last."""
    give_up = time.monotonic() + patience_s
    while not happened():
        assert time.monotonic() < give_up, f"still {seen()} after {patience_s:.0f} s"
        time.sleep(0.02)


async def until_async(happened: Callable[[], object], seen: Callable[[], object]) -> None:
    """As `until`, where the loop goes on meanwhile."""
    give_up = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < give_up, f"still {seen()} after {PATIENCE_S:.0f} s"
        await asyncio.sleep(0.02)
