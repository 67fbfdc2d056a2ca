"""The components of a process that serves, opened only when all of them can be."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from nacl.signing import VerifyKey
from prometheus_client import CollectorRegistry

from eventlog.log import Log
from holdtime.config.settings import ConfigurationError, Settings
from holdtime.service import event_log
from holdtime.service.listeners import (
    Listeners,
    bind,
    limits_of,
)
from holdtime.service.log_match import check_log_matches
from holdtime.service.opening import OpenWarehouse, open_now
from holdtime.service.requirements import EXPECTED, fault_lines, of_files, public_keys
from ingest.http.limits import Limits, raise_descriptors
from ingest.metrics import IngestMetrics
from ingest.refusals import Refusals
from ingest.webhook import unix_us
from processors.metrics import ProcessorMetrics

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Components:
    """The log and the sockets that listen; keys that verify, and a warehouse, where the process is to have them."""

    keys: tuple[VerifyKey, ...]
    log: Log
    warehouse: OpenWarehouse | None
    listeners: Listeners
    limits: Limits
    registry: CollectorRegistry
    ingest_metrics: IngestMetrics
    refusals: Refusals
    processor_metrics: ProcessorMetrics


@asynccontextmanager
async def opened(settings: Settings, *, ingests: bool = True, lands: bool = True) -> AsyncIterator[Components]:
    """Open everything, or raise ConfigurationError with every fault and leave nothing open and nothing made.

    A process that does not ingest has no keys and does not open the log for writing. A process that does not land at
    once has no warehouse.
    """
    environment = settings.environment
    faults: list[str] = []
    waits: list[str] = []

    def attempt(act: Callable[[], T]) -> T | None:
        try:
            return act()
        except EXPECTED as error:
            faults.extend(fault_lines(error))
            return None

    async with AsyncExitStack() as stack:
        keys = attempt(lambda: public_keys(environment.public_key)) if ingests else ()
        listeners = bind(environment, stack, faults)
        limits = attempt(lambda: limits_of(settings, raise_descriptors()))
        registry = CollectorRegistry()
        log: Log | None = None
        metrics = IngestMetrics(registry, keys=len(keys or ()), spooled=lambda: 0 if log is None else log.spooled())
        log = attempt(lambda: event_log.of(settings, on_commit=metrics.group_committed))
        for require in of_files(settings):
            attempt(require)
        # What exists is opened although something else may be wrong, to name its faults too; new files are not made.
        warehouse = attempt(lambda: open_now(settings, stack, lands=lands, waits=waits))
        exists = log is not None and log.exists()
        if log and ingests and exists:
            await _start(log, stack, faults)
        if faults or keys is None or listeners is None or limits is None or log is None:
            raise ConfigurationError([*faults, *waits])
        if ingests and not exists:
            await _start(log, stack, faults)
        elif not ingests:
            stack.push_async_callback(log.close)
        warehouse = warehouse or attempt(
            lambda: open_now(settings, stack, lands=lands, waits=waits, makes=True, log=log)
        )
        if faults:
            raise ConfigurationError(faults)
        if warehouse:
            await check_log_matches(log, warehouse.landing)
        listeners.listen()
        yield Components(
            keys, log, warehouse, listeners, limits, registry, metrics, Refusals(unix_us), ProcessorMetrics(registry)
        )


def faults(settings: Settings, *, ingests: bool = True) -> list[str]:
    """Return the faults of the keys, the address and the files that the settings name; nothing stays open or is made.

    They are named together with the faults of the settings themselves, where there are some.
    """
    environment = settings.environment
    looks: list[Callable[[], object]] = [
        lambda: public_keys(environment.public_key) if ingests else (),
        lambda: limits_of(settings, raise_descriptors()),
        lambda: environment.kafka_servers if environment.log_is_kafka else environment.log_path,
        *of_files(settings),
    ]
    found: list[str] = []
    with ExitStack() as stack:
        bind(environment, stack, found)
    for look in looks:
        try:
            look()
        except EXPECTED as error:
            found.extend(fault_lines(error))
    return found


def _is_there(path: Path) -> bool:
    return os.path.exists(path)  # never an error, also where the folder is another user's


async def _start(log: Log, stack: AsyncExitStack, faults: list[str]) -> None:
    try:
        await log.start()
    except EXPECTED as error:
        faults.extend(fault_lines(error))
    else:
        stack.push_async_callback(log.close)
