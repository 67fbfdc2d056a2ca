"""Tasks in the background of serving, each as a context: it ends when serving has ended."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

from prometheus_client import CollectorRegistry

from eventlog.log import Log
from holdtime.config.settings import Settings
from holdtime.service import event_log
from holdtime.service.heartbeat import keep_beating
from holdtime.service.service import Service
from holdtime.service.steady_clock import SteadyClock
from reconciler.status import ReconcilerStatus


@asynccontextmanager
async def scheduling(service: Service) -> AsyncIterator[None]:
    """Send due summaries, in a thread, where there are schedules; raise its error when serving has ended."""
    if not (service.ingests and service.lands and service.settings.configuration.schedule):
        yield
        return
    # Nothing else needs what these import.
    from holdtime.config.schedules import context_of  # noqa: PLC0415
    from schedules import runner  # noqa: PLC0415

    stop = threading.Event()
    context, log_end = context_of(service.settings), event_log.end_of(service.settings)
    sending = asyncio.create_task(
        asyncio.to_thread(runner.stand_by, context, stop, log_end=log_end, clock=SteadyClock())
    )
    try:
        yield
    finally:
        stop.set()
        await sending


@asynccontextmanager
async def reconciling(service: Service) -> AsyncIterator[None]:
    """Reconcile meanwhile, where all is done in one process and there is a key to ask Telnyx with."""
    if service.reconciling is None:
        yield
        return
    every_so_often = await asyncio.to_thread(_import_every_so_often)
    components = service.components
    asking = asyncio.create_task(
        every_so_often(service.settings, components.log, components.registry, service.reconciling)
    )
    try:
        yield
    finally:
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking


def _import_every_so_often() -> Callable[
    [Settings, Log, CollectorRegistry, ReconcilerStatus], Coroutine[Any, Any, None]
]:
    from holdtime.service.reconciling import every_so_often  # noqa: PLC0415 - the SDK takes a second to load

    return every_so_often


@asynccontextmanager
async def beating(service: Service) -> AsyncIterator[None]:
    """Leave the heartbeat of an ingest, before a log on Kafka."""
    if service.lands or not (service.ingests and service.settings.environment.log_is_kafka):
        yield
        return
    from eventlog.kafka.liveness import KafkaLiveness  # noqa: PLC0415 - only those who use Kafka wait for its import

    to = service.components.log
    liveness = KafkaLiveness(event_log.connection_of(service.settings), on_beat=to.confirm_writable)
    beating = asyncio.create_task(keep_beating(liveness, to, clock=SteadyClock()))
    try:
        yield
    finally:
        beating.cancel()
        with suppress(asyncio.CancelledError):
            await beating
        await liveness.close()
