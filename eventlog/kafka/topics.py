"""The topics of the event log on Kafka: their names, how they are made, and which settings are refused."""

from collections.abc import Mapping
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code

EVENTS_PARTITIONS = 1
REJECTED_PARTITIONS = 1_000_000
"""Positions know a partition of `telnyx.events`, or of `telnyx.events.rejected`, by its number and this.

0 is the SQLite log's: a warehouse that began with one goes on with Kafka, and the two are not confused.
"""

MAX_RECORD_BYTES = 2 << 20
"""The largest record: a body of 1 MiB with its headers, and room to spare."""

FOR_EVER = -1

_REJECTED = ".rejected"


class UnusableTopicError(ValueError):
    """A topic exists and cannot be the event log; the text says which setting was expected and which was found."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Which topics the log has, and how they are made where they do not exist.

    `prefix` comes before every name, for several logs in one cluster. `retention_ms` FOR_EVER keeps everything.
    """

    partitions: int = 12
    copies: int = 3
    retention_ms: int = FOR_EVER
    prefix: str = ""

    @property
    def events(self) -> str:
        """The topic of readable events."""
        return f"{self.prefix}telnyx.events"

    @property
    def rejected(self) -> str:
        """The topic of records that are kept and cannot land as they are."""
        return f"{self.events}{_REJECTED}"

    @property
    def alive(self) -> str:
        """The topic in which every ingest writes that it is there; no part of the log."""
        return f"{self.prefix}holdtime.ingest.alive"

    def topic_and_partition(self, number: int) -> tuple[str, int]:
        """Return the topic and partition that a number in positions stands for."""
        if number >= REJECTED_PARTITIONS:
            return self.rejected, number - REJECTED_PARTITIONS
        return self.events, number - EVENTS_PARTITIONS


def partition_number(topic: str, partition: int) -> int:
    """Return the number by which positions know a partition of one of the two topics."""
    return partition + (REJECTED_PARTITIONS if topic.endswith(_REJECTED) else EVENTS_PARTITIONS)


async def ensure(admin: AIOKafkaAdminClient, layout: Layout) -> dict[str, int]:
    """Make the log's topics where they do not exist; return how many partitions each has.

    There are as many copies as asked for, or as many as there are brokers; with three, two have to be in sync before a
    record counts as written. Raises UnusableTopicError for a topic that loses records, KafkaError.
    """
    brokers = len((await admin.describe_cluster())["brokers"])
    copies = min(layout.copies, brokers)
    for name, partitions in ((layout.events, layout.partitions), (layout.rejected, 1)):
        await make(
            admin,
            name,
            partitions,
            copies,
            {
                "cleanup.policy": "delete",
                "retention.ms": str(layout.retention_ms),
                "retention.bytes": str(FOR_EVER),
                "max.message.bytes": str(MAX_RECORD_BYTES),
            },
        )
    names = [layout.events, layout.rejected]
    for name in names:
        _require_usable(name, await _settings(admin, name), layout)
    found = {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics(names)}
    if not all(found.get(name) for name in names):
        raise UnknownTopicOrPartitionError("the topics that were just made are not known to every broker yet")
    return found


async def make(
    admin: AIOKafkaAdminClient, name: str, partitions: int, copies: int, settings: Mapping[str, str]
) -> None:
    """Make one topic, unless it exists. Raises KafkaError."""
    safe = {"min.insync.replicas": str(max(1, copies - 1)), **settings}
    topic = NewTopic(name, num_partitions=partitions, replication_factor=copies, topic_configs=safe)
    answer = await admin.create_topics([topic])
    for _, code, text in answer.topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            raise error(f"{name} could not be made: {text}")


async def _settings(admin: AIOKafkaAdminClient, name: str) -> dict[str, str]:
    answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
    return {entry[0]: entry[1] for answer in answers for resource in answer.resources for entry in resource[4]}


def _require_usable(name: str, settings: Mapping[str, str], layout: Layout) -> None:
    """Raise UnusableTopicError for settings with which Kafka would drop or refuse records that the log has to keep."""
    faults = []
    if "compact" in settings.get("cleanup.policy", ""):
        faults.append(f"cleanup.policy is {settings['cleanup.policy']}, expected delete: compaction drops events")
    kept = int(settings.get("retention.ms", FOR_EVER))
    if kept != FOR_EVER and (layout.retention_ms == FOR_EVER or kept < layout.retention_ms):
        faults.append(
            f"retention.ms is {kept}, expected {layout.retention_ms} (-1: for ever) or longer: "
            "set it, or [kafka] retention_days in holdtime.toml"
        )
    if int(settings.get("retention.bytes", FOR_EVER)) != FOR_EVER:
        faults.append(f"retention.bytes is {settings['retention.bytes']}, expected -1: size must not drop events")
    if settings.get("unclean.leader.election.enable") == "true":
        faults.append("unclean.leader.election.enable is true, expected false: a copy that lags would drop events")
    if int(settings.get("max.message.bytes", MAX_RECORD_BYTES)) < MAX_RECORD_BYTES:
        faults.append(f"max.message.bytes is {settings['max.message.bytes']}, expected {MAX_RECORD_BYTES} or more")
    if faults:
        raise UnusableTopicError(f"topic {name}: {'; '.join(faults)}")
