"""Groups in columns: the chunks of a batch, without a copy of any body."""

from collections.abc import Iterator
from itertools import groupby

import pyarrow as pa

from eventlog.batch import ROWS_A_CHUNK, packed, records, slots
from eventlog.signature_headers import SIGNATURE_LENGTH
from eventlog.sqlite.group import PARTITION, TIMESTAMP_LENGTH, Group


def chunks(groups: list[Group]) -> Iterator[pa.RecordBatch]:
    """Yield the records of the groups in chunks of ROWS_A_CHUNK or more where there are as many, each of one kind."""
    for _, alike in groupby(groups, key=_kind):
        gathered: list[Group] = []
        count = 0
        for group in alike:
            gathered.append(group)
            count += group.records
            if count >= ROWS_A_CHUNK:
                yield _chunk(gathered, count)
                gathered, count = [], 0
        if gathered:
            yield _chunk(gathered, count)


def _kind(group: Group) -> tuple[bytes, int, bytes | None, bool]:
    return group.origin, group.verified, group.rejection, bool(group.signatures)


def _chunk(groups: list[Group], count: int) -> pa.RecordBatch:
    origin, verified, rejection, _ = _kind(groups[0])
    *_, received_us, sizes, signatures, timestamps, bodies = (
        b"".join(column) if isinstance(column[0], bytes) else b"" for column in zip(*groups, strict=True)
    )
    offsets = [position for group in groups for position in range(group.first_position, group.last_position + 1)]
    return records(
        [
            pa.repeat(pa.scalar(PARTITION, pa.int32()), count),
            pa.array(offsets, pa.int64()),
            pa.Array.from_buffers(pa.int64(), count, [None, pa.py_buffer(received_us)]),
            pa.repeat(pa.scalar(origin.decode(), pa.string()), count),
            pa.repeat(pa.scalar(bool(verified)), count),
            pa.repeat(pa.scalar(None if rejection is None else rejection.decode(), pa.string()), count),
            packed(sizes, bodies),
            slots(SIGNATURE_LENGTH, count, signatures),
            slots(TIMESTAMP_LENGTH, count, timestamps),
        ]
    )
