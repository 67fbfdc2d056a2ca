"""A batch of log records as DuckDB sees it, and smaller batches of it."""

import pyarrow as pa

from ingest.log import Batch

ROWS_A_CHUNK = 8192
"""DuckDB hands out whole chunks to its threads: small enough to share, large enough to be worth it."""

NOTHING = Batch((), (), (), (), (), (), ())

_SCHEMA = pa.schema(
    {
        "log_partition": pa.int32(),
        "log_offset": pa.int64(),
        "received_at": pa.timestamp("us", tz="UTC"),
        "origin": pa.string(),
        "verified": pa.bool_(),
        "rejection": pa.string(),
        "body": pa.binary(),
    }
)


def as_arrow(batch: Batch) -> pa.Table:
    """The batch as a table: log_partition, log_offset, received_at, origin, verified, rejection, body."""
    columns = (
        batch.partitions,
        batch.offsets,
        batch.received_us,
        batch.origins,
        batch.verified,
        batch.rejections,
        batch.bodies,
    )
    chunks = [
        pa.record_batch(
            [
                # the integers that instants are, without a look at each
                pa.array(column[start : start + ROWS_A_CHUNK], pa.int64()).cast(field.type)
                if pa.types.is_timestamp(field.type)
                else pa.array(column[start : start + ROWS_A_CHUNK], field.type)
                for column, field in zip(columns, _SCHEMA, strict=True)
            ],
            schema=_SCHEMA,
        )
        for start in range(0, len(batch), ROWS_A_CHUNK)
    ]
    return pa.Table.from_batches(chunks, _SCHEMA)


def part(batch: Batch, start: int, stop: int | None, *, rejection: str | None = None) -> Batch:
    """The records from `start` to `stop`, all with `rejection` if one is given."""
    rejections = batch.rejections[start:stop]
    return Batch(
        batch.partitions[start:stop],
        batch.offsets[start:stop],
        batch.received_us[start:stop],
        batch.origins[start:stop],
        batch.verified[start:stop],
        [rejection] * len(rejections) if rejection else rejections,
        batch.bodies[start:stop],
    )
