"""Publishing changed facts to their topics, where the log is on Kafka."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import structlog

from eventlog.log import LogUnavailableError
from holdtime.config.settings import Settings
from holdtime.service import event_log
from processors.landing.landing import Landing
from processors.outbox.outbox import Change, Outbox
from processors.outbox.relay import Relay

POLL_S = 1.0

log = structlog.get_logger("processor")


def publishes_facts(settings: Settings) -> bool:
    """Whether facts that change are noted in the outbox and published."""
    return settings.environment.log_is_kafka and settings.configuration.kafka.facts


async def open_stream(settings: Settings, stack: AsyncExitStack) -> Callable[[list[Change]], None] | None:
    """Return how to publish changes, until the stack ends; None where facts are not published."""
    if not publishes_facts(settings):
        return None
    from processors.outbox.fact_stream import FactStream  # noqa: PLC0415 - only those who use Kafka wait for its import

    stream = FactStream(event_log.connection_of(settings))
    await stream.start()
    stack.push_async_callback(stream.close)
    return stream.publish


async def publish_pending(settings: Settings, landing: Landing) -> None:
    """Publish all changes that the outbox holds, for a command that ends then.

    Where the cluster is away they stay in the outbox: `holdtime process` publishes them when it runs next.
    """
    async with AsyncExitStack() as stack:
        publish = await open_stream(settings, stack)
        if publish is None or landing.outbox is None:
            return
        try:
            await asyncio.to_thread(_publish, landing.outbox, publish)
        except LogUnavailableError as error:
            log.warning("facts_not_told", reason=str(error))


def _publish(outbox: Outbox, publish: Callable[[list[Change]], None]) -> None:
    with Relay(outbox, publish) as relay:
        while relay.go_on(wait_s=POLL_S):
            pass
