"""Serving: `holdtime up`, which does everything in one process, and `ingest` and `process`, which do one thing each."""

import asyncio
import importlib
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog
import uvicorn
import uvloop

from holdtime import event_log
from holdtime.outage import keep_telling, outage
from holdtime.parts import (
    Parts,
    Warehouse,
    agree,
    ends_before,
    landing_of,
    open_warehouse,
    opened,
    public_keys,
    tells_facts,
)
from holdtime.reconciler.standing import Standing
from holdtime.settings import Settings
from holdtime.topics import Topics
from holdtime.watchdog import Watchdog
from ingest import app as ingest_app
from ingest.checker import Checker
from ingest.log import Extent, LogUnavailableError
from ingest.signature import UnusableKeyError, Verifier
from ingest.webhook import WebhookEndpoint
from processors.app import Processor
from processors.outbox import Change
from warehouse.database import LockedError
from warehouse.replica import publish

DRAIN = timedelta(seconds=10)
"""How long a stop waits for what is in flight, and then for what the log still holds."""

_TURN_S = 1.0
_WATCH_S = 2.0
_SHORT_LOOKS = 5

log = structlog.get_logger("holdtime")


def run(settings: Settings, *, ingests: bool = True, lands: bool = True) -> None:
    """Serve until SIGTERM or SIGINT, then finish what was begun and return.

    Raises ConfigurationError, with every fault in it, before anything has started; what stops the processor on its own
    is raised when the server has stopped. A process that only lands waits while another one has the warehouse.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(settings, ingests=ingests, lands=lands))


@dataclass(slots=True)
class _Service:
    """What this process does, and how far it is."""

    settings: Settings
    parts: Parts
    ingests: bool
    lands: bool
    stop: threading.Event = field(default_factory=threading.Event)
    processor: Processor | None = None
    reconciling: Standing | None = None

    def unready(self) -> str | None:
        """Why nothing should be sent here now, or None."""
        if self.ingests and self.parts.log.unavailable:
            return self.parts.log.unavailable
        if not self.lands:
            return None
        if self.processor is None:
            return "standby: another process has the warehouse"
        return None if self.processor.progress.replica_at else "the warehouse is still being opened"

    def status(self) -> dict[str, object]:
        """How far log, warehouse and replica are; null where that cannot be said."""
        progress = self.processor.progress if self.processor else None
        held = lag = None
        try:
            extent = Extent.of(self.parts.log)
            held, lag = extent.held, extent.lag(progress.landed if progress else {})
        except LogUnavailableError as error:
            log.warning("log_unreadable", reason=str(error))
        return {
            "log_end": held,
            "landed": held - lag if progress and held is not None and lag is not None else None,
            "lag_events": lag if progress else None,
            "last_landed_at": _iso(progress.last_landed_at if progress else None),
            "replica_at": _iso(progress.replica_at if progress else None),
            "standby": self.lands and self.processor is None,
            "reconciler": self.reconciling.status() if self.reconciling else None,
        }

    async def process(self) -> None:
        """Land until told to stop, as soon as the warehouse is ours."""
        async with AsyncExitStack() as stack:
            warehouse = self.parts.warehouse or await self._our_turn(stack)
            if warehouse is None:
                return
            paths = self.settings.environment
            tell = await self._fact_stream(stack)
            self.processor = Processor(
                reader=self.parts.log,
                landing=warehouse.landing,
                publish=partial(publish, warehouse.db, paths.warehouse, paths.replica),
                metrics=self.parts.processor_metrics,
                tell=tell,
                keep_landed=timedelta(days=self.settings.configuration.keep_log_days),
            )
            watching = asyncio.create_task(self._watch(self.processor))
            try:
                await asyncio.to_thread(self.processor.run, self.stop, drain_for=DRAIN)
            finally:
                watching.cancel()

    async def _fact_stream(self, stack: AsyncExitStack) -> Callable[[list[Change]], None] | None:
        if not tells_facts(self.settings):
            return None
        from processors.fact_stream import FactStream  # noqa: PLC0415 - only those who use Kafka wait for its import

        stream = FactStream(event_log.connection_of(self.settings))
        await stream.start()
        stack.push_async_callback(stream.close)
        return stream.publish

    async def _our_turn(self, stack: AsyncExitStack) -> Warehouse | None:
        """Wait until nobody else has the warehouse, then open it; None if told to stop before."""
        standby = self.parts.processor_metrics.standby
        while not self.stop.is_set():
            try:
                db = await asyncio.to_thread(open_warehouse, self.settings.environment.warehouse, stack)
            except LockedError:
                if standby._value.get() == 0:
                    log.info("standing_by")
                standby.set(1)
                await asyncio.to_thread(self.stop.wait, _TURN_S)
                continue
            standby.set(0)
            landing = landing_of(db, self.settings)
            await agree(self.parts.log, landing)
            log.info("taking_over")
            return Warehouse(db, landing)
        return None

    async def _watch(self, processor: Processor) -> None:
        """Keep the lag's metric true, and end the process when landing is stuck: what was promised is in the log."""
        watchdog, short_for = Watchdog(), 0
        while True:
            await asyncio.sleep(_WATCH_S)
            done = dict(processor.progress.landed)  # before the log's end is: what lands meanwhile is not beyond it
            try:
                extent = await asyncio.to_thread(Extent.of, self.parts.log)
            except LogUnavailableError:
                watchdog.excuse()
                continue
            short = ends_before(self.parts.log, extent.ends, done)
            short_for = short_for + 1 if short else 0  # a new leader may know less for a moment
            if short_for == _SHORT_LOOKS:
                # What comes now gets positions that have landed, and would be passed over: starting again says so.
                log.error("log_ends_before_landed", partitions=short)
                os._exit(1)
            lag = extent.lag(done)
            landed = extent.held - lag
            metrics = self.parts.processor_metrics
            metrics.lag.set(lag)
            if processor.progress.replica_at:
                metrics.replica_at.set(processor.progress.replica_at.timestamp())
            publishing = processor.progress.publishing
            if watchdog.is_stuck(landed, lag, time.monotonic(), publishing=publishing):
                log.error("no_progress", landed=landed, lag=lag, patience_s=watchdog.patience.total_seconds())
                os._exit(1)  # a thread that is stuck would keep any gentler end waiting


async def _run(settings: Settings, *, ingests: bool, lands: bool) -> None:
    waits = lands and not ingests
    async with opened(settings, ingests=ingests, lands=lands and not waits) as parts, AsyncExitStack() as stack:
        service = _Service(settings, parts, ingests, lands)
        if ingests and parts.warehouse and (down := outage(parts.warehouse.db, datetime.now(UTC))) is not None:
            await parts.log.append(down)
        topics = Topics(settings)
        pages = {"/asyncapi": topics.page, "/asyncapi.json": topics.document}
        endpoint = await _endpoint(parts, stack) if ingests else None
        app = ingest_app.build(
            endpoint, registry=parts.registry, unready=service.unready, status=service.status, pages=pages
        )
        host, port = parts.listener.getsockname()[:2]
        config = ingest_app.serve_config(app, host=host, port=port, drain_s=int(DRAIN.total_seconds()))
        server = uvicorn.Server(config)

        def stop_serving(*_: object) -> None:
            app.stop_accepting()
            server.should_exit = True

        # uvicorn takes these signals only while it serves, and when it has shut down raises them again.
        for kind in (signal.SIGTERM, signal.SIGINT):
            signal.signal(kind, stop_serving)
        async with _processing(service, stop_serving), _scheduling(service), _reconciling(service), _telling(service):
            ready = asyncio.create_task(_tell_when_ready(server, service))
            await server.serve(sockets=[parts.listener])
            ready.cancel()


async def _endpoint(parts: Parts, stack: AsyncExitStack) -> WebhookEndpoint:
    verifier = Verifier(parts.keys)
    checker = Checker(verifier)
    await checker.start()
    stack.push_async_callback(checker.close)
    return WebhookEndpoint(verifier=verifier, signer=checker.signer, appender=parts.log, metrics=parts.ingest_metrics)


@asynccontextmanager
async def _processing(service: _Service, stop_serving: Callable[[], None]) -> AsyncIterator[None]:
    """Process beside serving, if we are to; if it ends of itself, stop serving too, and raise what ended it."""
    if not service.lands:
        yield
        return
    processing = asyncio.create_task(service.process())
    processing.add_done_callback(lambda _: stop_serving())
    try:
        yield
    finally:
        service.stop.set()
        await processing


@asynccontextmanager
async def _scheduling(service: _Service) -> AsyncIterator[None]:
    """Send the summaries that are due, in a thread, where there are any; raise what ended it once all has stopped."""
    if not (service.ingests and service.lands and service.settings.configuration.schedule):
        yield
        return
    from holdtime.schedules import runner  # noqa: PLC0415 - most of what it needs is needed by nothing else

    stop = threading.Event()
    sending = asyncio.create_task(asyncio.to_thread(runner.stand_by, service.settings, stop))
    try:
        yield
    finally:
        stop.set()
        await sending


@asynccontextmanager
async def _reconciling(service: _Service) -> AsyncIterator[None]:
    """Reconcile meanwhile, where all is done in one process and there is a key to ask Telnyx with.

    The SDK is loaded only then: it takes a second.
    """
    if not (service.ingests and service.lands and service.settings.environment.api_key.get_secret_value()):
        yield
        return
    every_so_often = (await asyncio.to_thread(importlib.import_module, "holdtime.reconcile")).every_so_often
    service.reconciling = Standing()
    asking = asyncio.create_task(
        every_so_often(service.settings, service.parts.log, service.parts.registry, service.reconciling)
    )
    try:
        yield
    finally:
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking


@asynccontextmanager
async def _telling(service: _Service) -> AsyncIterator[None]:
    """Tell meanwhile that an ingest is here, where nobody else could know: before a log on Kafka."""
    if service.parts.warehouse or not (service.ingests and service.settings.environment.log_is_kafka):
        yield
        return
    from ingest.kafka_liveness import Liveness  # noqa: PLC0415 - only those who use Kafka wait for its import

    liveness = Liveness(event_log.connection_of(service.settings))
    telling = asyncio.create_task(keep_telling(liveness, service.parts.log))
    try:
        yield
    finally:
        telling.cancel()
        with suppress(asyncio.CancelledError):
            await telling
        await liveness.close()


async def _tell_when_ready(server: uvicorn.Server, service: _Service) -> None:
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    host, port = service.parts.listener.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    if service.ingests:
        log.info("taking_deliveries", url=address + ingest_app.WEBHOOK_PATH)
    else:
        log.info("serving", url=address)


def key_faults() -> list[str]:
    """What is wrong with the public keys in the environment, without which nothing can be believed."""
    try:
        public_keys(os.environ.get("TELNYX_PUBLIC_KEY", ""))
    except UnusableKeyError as error:
        return [str(error)]
    return []


def _iso(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat() if at else None
