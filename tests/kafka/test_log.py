"""What the log on Kafka promises beyond what every log does: see tests/contract for that."""

import asyncio
import contextlib
import sqlite3
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaTimeoutError, OutOfOrderSequenceNumber
from faststream.kafka import KafkaBroker, KafkaRouter
from faststream.middlewares import AckPolicy
from structlog.testing import capture_logs

from eventlog.batch import Positions
from eventlog.kafka import (
    appender as kafka_appender,
)
from eventlog.kafka import (
    connection as kafka_connection,
)
from eventlog.kafka import (
    topics as kafka_topics,
)
from eventlog.kafka.connection import Connection
from eventlog.kafka.internals import fail_pending, producer_of
from eventlog.kafka.session import require_manual
from eventlog.kafka.spool import SpooledLog
from eventlog.kafka.topics import (
    EVENTS_PARTITIONS,
    REJECTED_PARTITIONS,
    Layout,
    UnusableTopicError,
)
from eventlog.log import (
    DAMAGED,
    LogUnavailableError,
    Record,
    records_of,
)
from eventlog.signature_headers import SignatureHeaders
from eventlog.sqlite.log import SqliteLog
from tests.support.kafka.cluster import (
    PASSWORD,
    USERNAME,
    Cluster,
)
from tests.support.logs import a_connection, an_event, bodies, opened, read_all
from tests.support.waiting import until_async

pytestmark = pytest.mark.kafka


@contextlib.asynccontextmanager
async def administered(connection: Connection) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = connection.admin()
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


def test_what_belongs_together_is_in_one_partition_and_what_nobody_can_read_is_apart(kafka: str) -> None:
    connection = a_connection(kafka, partitions=6)

    async def scenario() -> None:
        async with opened(connection) as log:
            for number in range(60):
                await log.append(an_event(number, session=f"session {number % 20}"))
            await log.append(Record(b"\xff", 1))
            await log.append(Record(an_event(1).body, 1, rejection="stale"))
            batches = await read_all(log)
        found: dict[str, set[int]] = {}
        for batch in batches:
            for partition, body in zip(batch.partitions, batch.bodies, strict=True):
                found.setdefault(body.decode(errors="replace").partition("session_id")[2], set()).add(partition)
        unreadable = [found.pop(""), found.pop('":"s"}}}')]
        assert unreadable == [{REJECTED_PARTITIONS}] * 2
        assert len(found) == 20
        assert all(len(partitions) == 1 for partitions in found.values())
        assert {partition for partitions in found.values() for partition in partitions} <= set(
            range(EVENTS_PARTITIONS, EVENTS_PARTITIONS + 6)
        )
        assert len(set.union(*found.values())) > 1

    asyncio.run(scenario())


def test_a_producer_that_failed_for_good_is_replaced(kafka: str) -> None:
    async def scenario() -> None:
        async with opened(a_connection(kafka, partitions=1)) as log:
            await log.append(an_event(1))
            broker: Any = log._appender._broker
            fail_pending(producer_of(broker), OutOfOrderSequenceNumber())
            with pytest.raises(LogUnavailableError, match="OutOfOrderSequenceNumber"):
                await log.append(an_event(2))
            async with asyncio.timeout(30):
                while True:
                    with contextlib.suppress(LogUnavailableError):
                        await log.append(an_event(3))
                        break
                    await asyncio.sleep(0.05)
            assert log.unavailable is None
            assert await bodies(log) == [an_event(1).body, an_event(3).body]

    asyncio.run(scenario())


def test_marks_of_another_programs_transactions_are_no_records_and_do_not_stop_reading(kafka: str) -> None:
    connection = a_connection(kafka, partitions=1)

    async def scenario() -> None:
        async with opened(connection) as log:
            await log.append(an_event(0))
            producer = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=connection.layout.prefix)
            await producer.start()
            try:
                for number in (1, 2):  # each is followed by a mark, which takes an offset
                    async with producer.transaction():
                        await producer.send(connection.layout.events, an_event(number).body, partition=0)
                assert await bodies(log) == [an_event(number).body for number in range(3)]
                session: Any = log._reader._session
                assert not session.buffer.is_behind, "every read would wait for what does not come"
            finally:
                await producer.stop()
            await log.append(an_event(3))
            assert await bodies(log) == [an_event(number).body for number in range(4)]

    asyncio.run(scenario())


def test_a_fault_in_taking_records_in_is_raised_to_whoever_reads(kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eventlog.kafka.buffer.chunk", lambda _: 1 / 0)

    async def scenario() -> None:
        async with opened(a_connection(kafka, partitions=1)) as log:
            await log.append(an_event(0))
            with pytest.raises(ZeroDivisionError):
                await asyncio.to_thread(log.read, {}, 1)

    asyncio.run(scenario())


def test_what_a_producer_holds_when_it_is_given_up_is_never_delivered_later(kafka: str) -> None:
    connection = a_connection(kafka, partitions=1)
    name = connection.layout.events

    async def scenario() -> None:
        async with administered(connection) as admin:
            await kafka_topics.make(admin, name, 1, 1, {})
            broker = connection.broker()
            await broker.start()
            await broker.publish(b"before", name)
            await admin.delete_topics([name])
            with contextlib.suppress(TimeoutError):
                while True:  # a busy broker takes some more into the topic that is to go
                    waiting = asyncio.create_task(broker.publish(b"late", name))
                    await asyncio.wait_for(asyncio.shield(waiting), 1)
            await kafka_connection.end(broker, 0.1)
            with pytest.raises(KafkaTimeoutError, match="given up"):
                await waiting
        async with opened(connection) as log:
            await asyncio.sleep(0.5)
            await log.append(Record(b"now", 1, rejection="stale"))
            assert await bodies(log) == [b"now"]

    asyncio.run(scenario())


def test_whoever_asks_only_for_the_end_is_not_sent_the_whole_log(kafka: str) -> None:
    connection = a_connection(kafka, partitions=2)

    async def scenario() -> None:
        async with opened(connection) as log:
            await log.append(an_event(0))
            await asyncio.to_thread(log.end)
            session: Any = log._reader._session
            assert len(session._consumer.paused()) == 3
            assert await bodies(log) == [an_event(0).body]
            assert session._consumer.paused() == set()

    asyncio.run(scenario())


def test_a_fault_of_the_readers_own_thread_is_raised_to_whoever_reads(
    kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventlog.kafka.reader.Session", lambda *_: 1 / 0)

    async def scenario() -> None:
        async with opened(a_connection(kafka, partitions=1)) as log:
            with pytest.raises(ZeroDivisionError):
                await asyncio.to_thread(log.read, {}, 1)

    asyncio.run(scenario())


def test_a_record_that_no_topic_takes_is_refused_and_the_log_goes_on(kafka: str) -> None:
    async def scenario() -> None:
        async with opened(a_connection(kafka, partitions=1)) as log:
            with pytest.raises(LogUnavailableError, match=r"Kafka takes bodies of .* found 2,097,152"):
                await log.append(Record(bytes(2 << 20), 1))
            assert log.unavailable is None
            await log.append(Record(bytes(kafka_appender.MAX_VALUE_BYTES), 1))

    asyncio.run(scenario())


def test_what_kafka_dropped_before_it_was_read_is_said_and_the_rest_is_read(kafka: str) -> None:
    connection = a_connection(kafka, partitions=1)

    async def scenario() -> None:
        async with opened(connection) as log:
            for number in range(10):
                await log.append(an_event(number))
            async with administered(connection) as admin:
                await admin.delete_records(
                    {TopicPartition(connection.layout.events, 0): RecordsToDelete(before_offset=6)}
                )
            with capture_logs() as said:
                after: Positions = {EVENTS_PARTITIONS: 2}
                assert await bodies(log, after) == [an_event(number).body for number in range(6, 10)]
        assert [(entry["first_lost"], entry["next"]) for entry in said if entry["event"] == "log_records_lost"] == [
            (3, 6)
        ]

    asyncio.run(scenario())


def test_a_topic_that_would_lose_events_is_refused(kafka: str) -> None:
    connection = a_connection(kafka, partitions=1)

    async def scenario() -> None:
        async with administered(connection) as admin:
            wrong = {"cleanup.policy": "compact", "retention.ms": "1000", "max.message.bytes": "1000000"}
            wrong["unclean.leader.election.enable"] = "true"
            await kafka_topics.make(admin, connection.layout.events, 1, 1, wrong)
        with pytest.raises(
            UnusableTopicError, match=r"compaction drops events.*retention\.ms.*unclean.*max\.message\.bytes"
        ):
            async with opened(connection):
                pass

    asyncio.run(scenario())


def test_a_topic_that_would_lose_events_is_refused_when_the_cluster_comes_late_until_it_is_put_right(
    kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventlog.kafka.appender._START_S", 0.1)
    monkeypatch.setattr("eventlog.kafka.appender._RETRY_TOPICS_S", 0.1)
    host, _, port = kafka.partition(",")[0].rpartition(":")
    layout = Layout(partitions=1, prefix=f"{uuid4().hex}.")

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(host, port)
        await asyncio.gather(pipe(reader, back), pipe(there, writer))

    async def pipe(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while some := await source.read(1 << 16):
            target.write(some)
        target.close()

    async def scenario() -> None:
        async with administered(Connection((kafka,), layout=layout)) as admin:
            await kafka_topics.make(admin, layout.events, 1, 1, {"cleanup.policy": "compact"})
        nobody = await asyncio.start_server(forward, "127.0.0.1", 0)
        away = f"127.0.0.1:{nobody.sockets[0].getsockname()[1]}"
        nobody.close()
        async with opened(Connection((away,), layout=layout)) as log:
            assert "compaction" not in (log.unavailable or "")
            async with await asyncio.start_server(forward, *away.split(":")), asyncio.timeout(30):
                await until_async(lambda: "compaction drops events" in (log.unavailable or ""), lambda: log.unavailable)
                with pytest.raises(LogUnavailableError, match="compaction drops events"):
                    await log.append(an_event(1))
                async with administered(Connection((kafka,), layout=layout)) as admin:
                    right = {"cleanup.policy": "delete", "retention.ms": "-1", "max.message.bytes": "2097152"}
                    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, layout.events, right)])
                await until_async(lambda: not log.unavailable, lambda: log.unavailable)
                await log.append(an_event(1))

    asyncio.run(scenario())


def test_partitions_that_are_added_later_are_read_too(kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eventlog.kafka.reader._PARTITIONS_EVERY_S", 0.2)
    connection = a_connection(kafka, partitions=1)

    async def scenario() -> None:
        async with opened(connection) as log:
            await log.append(an_event(0))
            assert len(await bodies(log)) == 1
            async with administered(connection) as admin:
                await admin.create_partitions({connection.layout.events: NewPartitions(total_count=8)})
        async with opened(connection) as log:
            for number in range(1, 40):
                await log.append(an_event(number, session=str(number)))
            assert sorted(await bodies(log)) == sorted(
                [an_event(0).body, *(an_event(number, session=str(number)).body for number in range(1, 40))]
            )

    asyncio.run(scenario())


def test_a_cluster_that_wants_tls_and_a_password_gets_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eventlog.kafka.appender._START_S", 0.1)

    async def scenario(servers: str, mechanism: str, password: str) -> None:
        security = kafka_connection.security(
            mechanism=mechanism, username=USERNAME, password=password, tls=True, ca_file=tmp_path / "kafka" / "ca.pem"
        )
        async with opened(Connection((servers,), security, Layout(partitions=1, prefix=f"{mechanism}."))) as log:
            await until_async(lambda: not log.unavailable, lambda: log.unavailable)
            await log.append(an_event(1))
            assert await bodies(log) == [an_event(1).body]
            assert PASSWORD not in repr(log._appender._connection)

    with Cluster.running(tmp_path / "kafka", secured=True) as cluster:
        for mechanism in ("SCRAM-SHA-512", "PLAIN"):
            asyncio.run(scenario(cluster.bootstrap, mechanism, PASSWORD))
        asyncio.run(refused(cluster.bootstrap, tmp_path / "kafka" / "ca.pem"))


async def refused(servers: str, ca_file: Path) -> None:
    security = kafka_connection.security(
        mechanism="PLAIN", username=USERNAME, password="wrong", tls=True, ca_file=ca_file
    )
    async with opened(Connection((servers,), security, Layout(partitions=1, prefix="refused."))) as log:
        await until_async(lambda: "Unable to bootstrap" in (log.unavailable or ""), lambda: log.unavailable)
        with pytest.raises(LogUnavailableError, match="Unable to bootstrap"):
            await log.append(an_event(1))


@pytest.mark.parametrize("policy", [AckPolicy.ACK_FIRST, AckPolicy.ACK, AckPolicy.NACK_ON_ERROR, None])
def test_a_subscriber_that_could_lose_records_is_refused(policy: AckPolicy | None) -> None:
    broker = KafkaBroker(ack_policy=AckPolicy.MANUAL)
    router = KafkaRouter()
    if policy is None:
        router.subscriber("a topic", batch=True)  # the broker's policy does not reach it
        broker.include_router(router)
    else:
        broker.subscriber("a topic", batch=True, ack_policy=policy)
    with pytest.raises(AssertionError, match="would lose records"):
        require_manual(broker)


def test_a_spool_is_drained_by_the_next_process_and_empty_after_that(tmp_path: Path, kafka: str) -> None:
    connection, path = a_connection(kafka, partitions=2), tmp_path / "spool.sqlite"

    async def scenario() -> None:
        left = SqliteLog(path)
        await left.start()
        for number in range(5):
            await left.append(an_event(number))
        await left.close()
        for lives in (1, 2):
            log = SpooledLog(connection, SqliteLog(path), max_records=5)
            await log.start()
            try:
                async with asyncio.timeout(60):
                    while log.waiting:  # noqa: ASYNC110 - the log has no event for it
                        await asyncio.sleep(0.05)
                await log.append(an_event(100 * lives))
                assert SqliteLog(path).end() == {0: 5}, "it was spooled although the cluster is there"
                assert len(await asyncio.to_thread(log.read, {}, 100)) == 5 + lives
            finally:
                await log.close()

    asyncio.run(scenario())


def test_a_spool_gives_signatures_on_and_what_is_left_of_a_damaged_group_too(tmp_path: Path, kafka: str) -> None:
    connection, path = a_connection(kafka, partitions=1), tmp_path / "spool.sqlite"
    signed = an_event(1)._replace(signature_headers=SignatureHeaders(bytes(range(64)), b"1800000000"))
    large = an_event(2)._replace(body=b"x" * (3 << 20))  # larger than what Kafka takes in one record

    async def scenario() -> None:
        left = SqliteLog(path)
        await left.start()
        for record in (signed, large, an_event(3)):
            await left.append(record)
        await left.close()
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("update groups set newest_us = 7 where last_position = 2")
        with capture_logs() as said:
            log = SpooledLog(connection, SqliteLog(path))
            await log.start()
            try:
                await until_async(lambda: not log.waiting, lambda: log.waiting)
                assert log.set_aside()
                found = records_of(await asyncio.to_thread(log.read, {}, 100))
            finally:
                await log.close()
        assert [record for record in found if record.rejection is None] == [signed, an_event(3)]
        damaged = [record for record in found if record.rejection == DAMAGED]
        assert len(damaged) == 4
        assert b"".join(record.body for record in damaged).endswith(large.body)
        assert not any(record.verified for record in damaged)
        assert "log_damaged" in [line["event"] for line in said]

    asyncio.run(scenario())


def test_a_record_carries_its_signature_and_timestamp_in_headers_as_they_came(kafka: str) -> None:
    connection = a_connection(kafka, partitions=1)
    record = an_event(1)._replace(signature_headers=SignatureHeaders(bytes(range(64)), b"0017"))

    async def scenario() -> None:
        async with opened(connection) as log:
            await log.append(record)
            await log.append(an_event(2))
            assert records_of(await asyncio.to_thread(log.read, {}, 10)) == [record, an_event(2)]
        consumer = AIOKafkaConsumer(
            connection.layout.events, bootstrap_servers=kafka, auto_offset_reset="earliest", enable_auto_commit=False
        )
        await consumer.start()
        try:
            said = [dict((await consumer.getone()).headers) for _ in range(2)]
        finally:
            await consumer.stop()
        assert (said[0]["signature"], said[0]["timestamp"]) == (b64encode(bytes(range(64))), b"0017")
        assert not {"signature", "timestamp"} & said[1].keys()

    asyncio.run(scenario())


def test_a_node_whose_spool_is_full_while_the_cluster_is_away_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventlog.kafka.appender._START_S", 0.1)

    async def scenario() -> None:
        log = SpooledLog(Connection(("127.0.0.1:9",)), SqliteLog(tmp_path / "spool.sqlite"), max_records=2)
        await log.start()
        try:
            for number in range(2):
                assert log.unavailable is None
                await log.append(an_event(number))
            with pytest.raises(LogUnavailableError, match="the spool is full: 2 records wait"):
                await log.append(an_event(2))
            assert log.unavailable == "the spool is full: 2 records wait for the Kafka cluster"
        finally:
            await log.close()

    asyncio.run(scenario())
