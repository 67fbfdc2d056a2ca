"""A batch of log records as DuckDB sees it."""

import pyarrow as pa

from ingest.log import Batch

ROWS_A_CHUNK = 8192
"""DuckDB hands out whole chunks to its threads: small enough to share, large enough to be worth it."""

_INSTANT = pa.timestamp("us", tz="UTC")


def as_arrow(batch: Batch) -> pa.Table:
    """The batch's columns, without a copy of the bodies a row."""
    return pa.Table.from_batches(
        [
            pa.record_batch(
                {
                    "log_partition": pa.array(batch.partitions[i:j], pa.int32()),
                    "log_offset": pa.array(batch.offsets[i:j], pa.int64()),
                    "received_at": pa.array(batch.received_us[i:j], pa.int64()).cast(_INSTANT),
                    "origin": pa.array(batch.origins[i:j], pa.string()),
                    "verified": pa.array(batch.verified[i:j], pa.bool_()),
                    "rejection": pa.array(batch.rejections[i:j], pa.string()),
                    "body": pa.array(batch.bodies[i:j], pa.binary()),
                }
            )
            for i, j in ((i, i + ROWS_A_CHUNK) for i in range(0, len(batch), ROWS_A_CHUNK))
        ]
    )
