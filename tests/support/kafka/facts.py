"""The facts that a consumer of the topics `holdtime.facts.*` holds."""

import json

from aiokafka import AIOKafkaConsumer


async def latest_told(servers: str, topic: str) -> list[dict[str, object]]:
    """Return the last record of each key in a topic, in JSON; keys whose last record is empty are gone."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=servers, auto_offset_reset="earliest")
    await consumer.start()
    try:
        partitions = consumer.assignment()
        ends = await consumer.end_offsets(partitions)
        latest: dict[bytes, bytes | None] = {}
        while any([await consumer.position(partition) < ends[partition] for partition in partitions]):
            for records in (await consumer.getmany(timeout_ms=1_000)).values():
                latest.update((record.key, record.value) for record in records)
        return [json.loads(value) for value in latest.values() if value is not None]
    finally:
        await consumer.stop()
