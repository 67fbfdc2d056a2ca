"""A batch of log records as DuckDB sees it, and smaller batches of it."""

import pyarrow as pa

from ingest.log import Batch

ROWS_A_CHUNK = 2048
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
        "text": pa.string(),
        "body": pa.binary(),
    }
)


def as_arrow(batch: Batch) -> pa.Table:
    """The batch as a table: log_partition, log_offset, received_at, origin, verified, rejection, text, body.

    `text` is the body where it is UTF-8, else null; the two share their bytes.
    """
    chunks = [_chunk(part(batch, start, start + ROWS_A_CHUNK)) for start in range(0, len(batch), ROWS_A_CHUNK)]
    return pa.Table.from_batches(chunks, _SCHEMA)


def _chunk(batch: Batch) -> pa.RecordBatch:
    body = pa.array(batch.bodies, pa.binary())
    try:
        text = body.cast(pa.string())
    except pa.ArrowInvalid:
        text = pa.array([_text(one) for one in batch.bodies], pa.string())
    columns = {
        "log_partition": pa.array(batch.partitions, pa.int32()),
        "log_offset": pa.array(batch.offsets, pa.int64()),
        "received_at": pa.array(batch.received_us, pa.int64()).cast(pa.timestamp("us", tz="UTC")),
        "origin": pa.array(batch.origins, pa.string()),
        "verified": pa.array(batch.verified, pa.bool_()),
        "rejection": pa.array(batch.rejections, pa.string()),
        "text": text,
        "body": body,
    }
    return pa.record_batch(columns, schema=_SCHEMA)


def _text(body: bytes) -> str | None:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


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
