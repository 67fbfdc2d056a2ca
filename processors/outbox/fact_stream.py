"""The fact stream: changed facts in compacted topics, one for each table of facts."""

import asyncio
from collections.abc import Sequence

import duckdb
from faststream.kafka import KafkaBroker
from faststream.specification import AsyncAPI
from pydantic import BaseModel, Field, create_model

from eventlog.kafka import topics as kafka_topics
from eventlog.kafka.connection import (
    FAILURES,
    Connection,
    end,
)
from eventlog.log import LogUnavailableError
from processors.facts import FACTS
from processors.outbox.outbox import Change
from warehouse.catalog import describe
from warehouse.connection import in_memory
from warehouse.database import create_tables

DEADLINE_S = 10.0
_STOP_S = 2.0

_AT_ONCE = 500
_TYPES: dict[str, type] = {"BIGINT": int, "INTEGER": int, "BOOLEAN": bool, "DOUBLE": float}


class FactStream:
    """Publishes changed facts to `holdtime.facts.<table>`, keyed by the fact, its revision in a header.

    At least once, in the order in which they landed; a fact that is no more is a record without a value. `await start`
    on the event loop that publishes; `publish` is called in another thread and returns when all copies have them.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._broker = connection.broker()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connected = False

    async def start(self) -> None:
        """Note the loop; the first change connects to the cluster."""
        self._loop = asyncio.get_running_loop()

    async def close(self) -> None:
        """Let go of the cluster."""
        if self._connected:
            await self._let_go()

    def publish(self, changes: list[Change]) -> None:
        """Return once all are durable; raise LogUnavailableError, with nothing on its way any more."""
        if self._loop is None:
            raise LogUnavailableError("the stream of facts is not open")
        publishing = asyncio.run_coroutine_threadsafe(self._publish(changes), self._loop)
        try:
            publishing.result()
        except (TimeoutError, *FAILURES) as error:
            raise LogUnavailableError(f"Kafka: {type(error).__name__} {error}") from None

    async def _publish(self, changes: Sequence[Change]) -> None:
        try:
            async with asyncio.timeout(DEADLINE_S):
                if not self._connected:
                    await self._connect()
                for start in range(0, len(changes), _AT_ONCE):
                    await asyncio.gather(*map(self._publish_one, changes[start : start + _AT_ONCE]))
        except (TimeoutError, *FAILURES):
            await self._let_go()  # a producer that failed for good never works again; one that is late would be last
            raise

    async def _let_go(self) -> None:
        """Leave the producer; the next one publishes again the changes that this one did not deliver."""
        broker, self._broker, self._connected = self._broker, self._connection.broker(), False
        await end(broker, _STOP_S)

    async def _publish_one(self, change: Change) -> None:
        await self._broker.publish(
            None if change.body is None else change.body.encode(),
            topic(self._connection, change.fact),
            key=change.key.encode(),
            headers={"fact": change.fact, "revision": "" if change.revision is None else str(change.revision)},
            correlation_id="fact",
        )

    async def _connect(self) -> None:
        layout = self._connection.layout
        admin = self._connection.admin()
        try:
            await admin.start()
            copies = min(layout.copies, len((await admin.describe_cluster())["brokers"]))
            for fact in FACTS:
                name = topic(self._connection, fact.table)
                settings = {"cleanup.policy": "compact", "max.message.bytes": str(kafka_topics.MAX_RECORD_BYTES)}
                await kafka_topics.make(admin, name, layout.partitions, copies, settings)
        finally:
            await admin.close()
        await self._broker.start()
        self._connected = True


def topic(connection: Connection, fact: str) -> str:
    """The topic of one table of facts; names in Kafka have no underscores beside dots."""
    return f"{connection.layout.prefix}holdtime.facts.{fact.replace('_', '-')}"


def specification(connection: Connection) -> AsyncAPI:
    """All topics and what is in them, as an AsyncAPI document: columns and their meanings are the warehouse's own."""
    broker = KafkaBroker(list(connection.servers), security=connection.security)
    layout = connection.layout
    broker.publisher(
        layout.events,
        schema=bytes,
        title="events",
        description="Each delivery's body, byte for byte as received, keyed by its conference, else its session. "
        "Headers: event_id, event_type, origin (webhook, reconciler, replay), verified, received_at (Unix us).",
    )
    broker.publisher(
        layout.rejected,
        schema=bytes,
        title="rejected",
        description="Authentic deliveries that nobody can read, or whose time is off: the body as received. "
        "Header rejection: why, where ingest knows already.",
    )
    with in_memory() as db:
        create_tables(db)
        describe(db)
        for fact in FACTS:
            broker.publisher(
                topic(connection, fact.table),
                schema=_model(db, fact.table),
                title=fact.table,
                description=_said(db, fact.table),
            )
    return AsyncAPI(broker, title="holdtime", version="1", description="Telnyx call events, and the facts that follow.")


def _model(db: duckdb.DuckDBPyConnection, table: str) -> type[BaseModel]:
    columns = db.execute(
        """
        select column_name, data_type, is_nullable, comment
        from duckdb_columns()
        where table_name = ?
        order by column_index
        """,
        [table],
    ).fetchall()
    fields: dict[str, object] = {}
    for name, kind, may_be_null, comment in columns:
        plain = _TYPES.get(kind, str)
        fields[name] = (plain | None if may_be_null else plain, Field(description=comment))
    model: type[BaseModel] = create_model(table, **fields)  # type: ignore[call-overload]
    return model


def _said(db: duckdb.DuckDBPyConnection, table: str) -> str:
    ((said,),) = db.execute("select comment from duckdb_tables() where table_name = ?", [table]).fetchall()
    return str(said)
