"""`holdtime reconcile`: once, or again and again as a process of its own."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from datetime import timedelta

import uvicorn
from prometheus_client import CollectorRegistry

from eventlog.log import Log, LogUnavailableError
from eventlog.sqlite.writer import Bounds
from holdtime.config.settings import ConfigurationError, Settings
from holdtime.service import event_log, reconciling, store
from holdtime.service.listeners import bind, limits_of
from holdtime.service.store import Needs, Store
from ingest import app as ingest_app
from ingest.http.limits import raise_descriptors
from processors.app import Processor
from processors.metrics import ProcessorMetrics
from reconciler.reconciler import (
    OnProgress,
    Reconciler,
    SourceOutcome,
)

_NEEDS = Needs(
    bounds=Bounds(waiting_records=10_000, waiting_bytes=64 << 20, group_records=2_000),
    memory_limit="160MB",  # a run finds few events at a time
)


def key_faults(settings: Settings) -> list[str]:
    """Say that there is no key to ask Telnyx with, where that is so."""
    if settings.environment.api_key.get_secret_value():
        return []
    return ["TELNYX_API_KEY is empty: expected a v2 API key of the account, from Mission Control, API keys"]


def run(settings: Settings, *, since: timedelta | None, on_progress: OnProgress) -> list[SourceOutcome]:
    """Reconcile once. A log in a file and its warehouse must be ours alone.

    Raises ConfigurationError, UnauthorizedError.
    """
    _require_key(settings)

    async def once() -> list[SourceOutcome]:
        async with _reconciling(settings, on_progress=on_progress) as (ours, _):
            return await ours.run(since)

    return asyncio.run(once())


def serve(settings: Settings, *, since: timedelta | None) -> None:
    """Reconcile now and then every so often until SIGTERM or SIGINT; answer /livez, /readyz, /metrics and /status.

    Raises ConfigurationError, UnauthorizedError.
    """
    _require_key(settings)
    asyncio.run(_serve(settings, since))


async def _serve(settings: Settings, since: timedelta | None) -> None:
    registry = CollectorRegistry()
    with ExitStack() as stack:
        faults: list[str] = []
        listeners = bind(settings.environment, stack, faults)
        try:
            limits = limits_of(settings, raise_descriptors())
        except ValueError as error:
            faults.append(str(error))
        if faults or listeners is None:
            raise ConfigurationError(faults)
        async with _reconciling(settings, registry=registry) as (ours, to):
            app = ingest_app.build(
                None,
                registry=registry,
                unready=lambda: to.unavailable or ours.status.fault,
                status=lambda: {"reconciler": ours.status.as_json()},
                hosts=settings.configuration.http.hosts,
                admin_port=listeners.admin_port,
            )
            server = uvicorn.Server(ingest_app.serve_config(app, limits=limits))

            def stop(*_: object) -> None:
                server.should_exit = True

            # uvicorn takes these signals only while it serves, and when it has shut down raises them again.
            for kind in (signal.SIGTERM, signal.SIGINT):
                signal.signal(kind, stop)
            listeners.listen()
            asking = asyncio.create_task(reconciling.again_and_again(ours, settings, since))
            asking.add_done_callback(stop)
            await server.serve(sockets=listeners.sockets)
            asking.cancel()
            with suppress(asyncio.CancelledError):
                await asking


@asynccontextmanager
async def _reconciling(
    settings: Settings, *, registry: CollectorRegistry | None = None, on_progress: OnProgress = lambda *_: None
) -> AsyncIterator[tuple[Reconciler, Log]]:
    """A reconciler and its log. It lands its events itself, unless the log is on Kafka: then `process` does."""
    if settings.environment.log_is_kafka:
        try:
            log_of_all = event_log.of(settings)
            await log_of_all.start()
        except (ValueError, OSError, LogUnavailableError) as error:
            raise ConfigurationError([str(error)]) from None
        try:
            async with reconciling.reconciler(settings, log_of_all, registry=registry, on_progress=on_progress) as ours:
                yield ours, log_of_all
        finally:
            await log_of_all.close()
        return
    async with store.opened(settings, _NEEDS) as opened_store:
        processor = Processor(
            reader=opened_store.log,
            landing=opened_store.warehouse.landing,
            publisher=opened_store.warehouse.publisher,
            metrics=ProcessorMetrics(registry or CollectorRegistry()),
        )

        async def settle() -> None:
            landing = asyncio.create_task(asyncio.to_thread(_land, processor, opened_store))
            try:
                await asyncio.shield(landing)
            except asyncio.CancelledError:
                await landing  # nothing may be closed under it
                raise

        await settle()
        async with reconciling.reconciler(
            settings, opened_store.log, settle=settle, registry=registry, on_progress=on_progress
        ) as ours:
            yield ours, opened_store.log


def _land(processor: Processor, store: Store) -> None:
    """Land all that the log holds, and publish the replica."""
    while processor.land_next():
        pass
    store.warehouse.publisher.publish()


def _require_key(settings: Settings) -> None:
    if faults := key_faults(settings):
        raise ConfigurationError(faults)
