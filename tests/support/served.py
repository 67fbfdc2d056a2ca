"""The stand-in for Telnyx's API: for the official SDK, without a socket in between, or at an address of its own."""

import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from typing import Any

import httpx
import uvicorn
from telnyx import AsyncTelnyx

from simulator.api import (
    Account,
    Manners,
    application,
)
from tests.support.builders import microseconds

KEY = "KEY-of-the-stand-in"


def frozen(at: datetime) -> Callable[[], int]:
    """A clock that stands still."""
    moment = microseconds(at)
    return lambda: moment


@asynccontextmanager
async def sdk(
    account: Account, manners: Manners | None = None, *, key: str = KEY, **options: Any
) -> AsyncIterator[AsyncTelnyx]:
    """The SDK, asking the stand-in."""
    transport = httpx.ASGITransport(application(account, key=KEY, manners=manners))
    client = AsyncTelnyx(
        api_key=key,
        base_url="http://telnyx.invalid/v2",
        http_client=httpx.AsyncClient(transport=transport),
        **{"max_retries": 0, **options},
    )
    async with client:
        yield client


@contextmanager
def telnyx(account: Account, manners: Manners | None = None, *, key: str = KEY) -> Iterator[str]:
    """The stand-in over HTTP; gives its base URL."""
    config = uvicorn.Config(application(account, key=key, manners=manners), host="127.0.0.1", port=0, log_level="error")
    server = uvicorn.Server(config)
    serving = threading.Thread(target=server.run)
    serving.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/v2"
    finally:
        server.should_exit = True
        serving.join()


def now_us() -> int:
    """A clock that goes."""
    return time.time_ns() // 1000
