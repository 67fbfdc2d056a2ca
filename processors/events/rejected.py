"""Records that are no event: kept with their bytes and the reason, until something can read them."""

from bisect import bisect_left
from collections.abc import Iterator
from datetime import datetime
from itertools import accumulate

import duckdb

from eventlog.batch import Batch
from eventlog.log import DAMAGED
from warehouse.query import value

BATCH_RECORDS = 1_000
BATCH_BYTES = 32 << 20

# What is left of damaged records is no delivery: bytes that nobody vouches for, which may read as another event.
_NEXT = f"""
from rejected
where (log_partition, log_offset) > ($partition, $offset)
and ($reason is null or reason = $reason)
and reason <> '{DAMAGED}'
order by log_partition, log_offset
limit $limit
"""
_SIZES = f"select octet_length(body) {_NEXT}"
_READ = f"select log_partition, log_offset, epoch_us(received_at), origin, verified, body {_NEXT}"


def keep(db: duckdb.DuckDBPyConnection, now: datetime) -> int:
    """Move what is not an event from `fresh` to `rejected`, with its bytes out of `delivered`; returns how many."""
    if value(db, "select count(*) from fresh where rejection is not null and origin = 'replay'"):
        # A file may be replayed again and again; what cannot be read in it is kept once.
        db.execute(
            """
            delete from fresh
            where rejection is not null
            and origin = 'replay'
            and (log_partition, log_offset) in (
                select log_partition, log_offset
                from delivered
                where body in (select body from rejected)
            )
            """
        )
    kept: int = value(
        db,
        """
        insert into rejected
        select said.rejection, said.received_at, $now, said.origin, said.verified, body, log_partition, log_offset
        from fresh as said join delivered using (log_partition, log_offset)
        where said.rejection is not null
        """,
        {"now": now},
    )
    db.execute("delete from fresh where rejection is not null")
    return kept


def release(db: duckdb.DuckDBPyConnection) -> int:
    """Take out of `rejected` what `fresh` can read, and out of `fresh` what it cannot; returns how many the latter."""
    unreadable: int = value(db, "delete from fresh where rejection is not null")
    db.execute(
        "delete from rejected where (log_partition, log_offset) in (select log_partition, log_offset from fresh)"
    )
    return unreadable


def batches(db: duckdb.DuckDBPyConnection, reason: str | None) -> Iterator[Batch]:
    """All that is in `rejected`, or all of one reason, as log records without a rejection, some megabytes at a time.

    Damaged records stay where they are. Rows may leave the table between two batches; those that stay are not given
    again.
    """
    partition, offset = -1, -1
    while True:
        after = {"partition": partition, "offset": offset, "reason": reason}
        sizes = [size for (size,) in db.execute(_SIZES, {**after, "limit": BATCH_RECORDS}).fetchall()]
        if not sizes:
            return
        fitting = 1 + bisect_left(list(accumulate(sizes[:-1])), BATCH_BYTES)
        rows = db.execute(_READ, {**after, "limit": fitting}).fetchall()
        partitions, offsets, received_us, origins, verified, bodies = zip(*rows, strict=True)
        yield Batch.of(
            partitions=partitions,
            offsets=offsets,
            received_us=received_us,
            origins=origins,
            verified=verified,
            rejections=(None,) * len(rows),
            bodies=bodies,
        )
        partition, offset = partitions[-1], offsets[-1]
