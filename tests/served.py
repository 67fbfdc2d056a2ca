"""The stand-in for Telnyx's API, and the official SDK as its client, without a socket in between."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import httpx
from telnyx import AsyncTelnyx

from holdtime.simulator.api import Account, Manners, application
from tests.builders import microseconds

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
