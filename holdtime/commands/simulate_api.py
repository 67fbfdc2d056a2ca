"""`holdtime simulate --api`: the stand-in for Telnyx's API, served for the world whose webhooks were posted."""

import asyncio
import time
from collections.abc import Callable, Collection

import uvicorn
from nacl.signing import SigningKey

from holdtime.commands.simulate import untaken
from simulator import (
    SimulatedDelivery,
    World,
    post,
)
from simulator.api import Account, application
from simulator.telnyx import Event

API_KEY = "KEY-simulated"
HOST = "127.0.0.1"


def serve(
    world: World,
    lost: Collection[str],
    *,
    port: int,
    url: str,
    key: SigningKey,
    allow_remote: bool,
    say: Callable[[str], None],
) -> None:
    """Serve until it is interrupted. Webhooks that commands cause are posted to `url`, signed. Raises OSError.

    `lost` are the ids of the webhooks that were never posted: the API lists them as failed. `say` gets a line, in
    Rich's markup, for each webhook that was not taken.
    """
    asyncio.run(_serve(world, lost, port=port, url=url, key=key, allow_remote=allow_remote, say=say))


async def _serve(
    world: World,
    lost: Collection[str],
    *,
    port: int,
    url: str,
    key: SigningKey,
    allow_remote: bool,
    say: Callable[[str], None],
) -> None:
    outbox: asyncio.Queue[Event] = asyncio.Queue()
    account = Account.of(world, now=lambda: time.time_ns() // 1000, lost=lost, hear=outbox.put_nowait)

    async def deliver() -> None:
        while True:
            event = await outbox.get()
            delivery = SimulatedDelivery(0, event.event_id, 1, False, event.body)
            posted = await post([delivery], url=url, key=key, allow_remote=allow_remote)
            for line in untaken(posted):
                say(line)

    posting = asyncio.create_task(deliver())
    config = uvicorn.Config(application(account, key=API_KEY), host=HOST, port=port, log_level="warning")
    await uvicorn.Server(config).serve()
    posting.cancel()
