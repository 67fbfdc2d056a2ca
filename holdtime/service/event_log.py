"""The event log that the settings name, of whichever kind."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING

from eventlog.kafka import address as kafka_address
from eventlog.log import Log, LogExtent, LogUnavailableError
from eventlog.sqlite.log import SqliteLog
from eventlog.sqlite.writer import Bounds
from holdtime.config.configuration import Kafka
from holdtime.config.settings import Settings
from holdtime.service import tracing
from schedules import freshness
from schedules.freshness import LogEnd

if TYPE_CHECKING:
    from eventlog.kafka.connection import Connection

# The client of Kafka is imported only for a log on Kafka: that takes longer than all other imports together.
# ruff: noqa: PLC0415

_DAY_MS = 86_400_000


def of(settings: Settings, *, bounds: Bounds | None = None, on_commit: Callable[[int], None] = lambda _: None) -> Log:
    """The log, not opened yet. Raises ValueError and OSError, which say what is wrong with the settings.

    `bounds` and `on_commit` are for logs in a file, and for the spool beside one that is not.
    """
    environment, kafka = settings.environment, settings.configuration.kafka
    if environment.log_is_kafka:
        from eventlog.kafka.log import KafkaLog
        from eventlog.kafka.spool import SpooledLog

        connection = connection_of(settings)
        if kafka.spool is None:
            return KafkaLog(connection)
        return SpooledLog(connection, SqliteLog(kafka.spool, bounds=bounds, on_commit=on_commit))
    return SqliteLog(environment.log_path, bounds=bounds, on_commit=on_commit)


def end_of(settings: Settings) -> LogEnd:
    """Return how to ask the log for its end, from a process that may not write it."""
    if not settings.environment.log_is_kafka:
        return freshness.log_end(settings.environment.log_path)

    def end() -> LogExtent | None:
        log = of(settings)
        try:
            return LogExtent.of(log)
        except LogUnavailableError:
            return None
        finally:
            asyncio.run(log.close())

    return end


def connection_of(settings: Settings) -> Connection:
    """The cluster that the settings name, not asked yet. Raises ValueError."""
    from eventlog.kafka.connection import Connection, security
    from eventlog.kafka.topics import FOR_EVER, Layout

    environment, kafka = settings.environment, settings.configuration.kafka
    servers = environment.kafka_servers
    _require_private(servers, kafka)
    username, password = environment.kafka_username, environment.kafka_password.get_secret_value()
    if kafka.sasl and not (username and password):
        raise ValueError(
            f"[kafka] sasl is {kafka.sasl}: expected HOLDTIME_KAFKA_USERNAME and HOLDTIME_KAFKA_PASSWORD to be set"
        )
    try:
        secured = security(
            mechanism=kafka.sasl, username=username, password=password, tls=kafka.tls, ca_file=kafka.ca_file
        )
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"[kafka] ca_file: {kafka.ca_file} cannot be used: {error.strerror or error}") from None
    retention_ms = FOR_EVER if kafka.retention_days is None else int(kafka.retention_days * _DAY_MS)
    layout = Layout(kafka.partitions, kafka.copies, retention_ms, kafka.topic_prefix)
    return Connection(servers, secured, layout, tracing.middlewares() if kafka.tracing else ())


def _require_private(servers: tuple[str, ...], kafka: Kafka) -> None:
    """Raise ValueError where phone numbers would go in the clear to another machine, unless the settings allow it."""
    remote = [server for server in servers if not kafka_address.is_loopback(server)]
    if remote and not kafka.tls and not kafka.allow_plaintext:
        raise ValueError(
            f"HOLDTIME_LOG: {', '.join(remote)} would be talked to in the clear: set tls = true in [kafka] of "
            "holdtime.toml, or, in a network where nobody else can listen, allow_plaintext = true"
        )
