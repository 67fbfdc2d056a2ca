"""A batch of log records in columns: a log reads them so, and the processors take them so."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from eventlog.signature_headers import SignatureHeaders

Positions = dict[int, int]
"""The offset of the last record that was read or landed, by partition; a partition without one begins at its start."""

ROWS_A_CHUNK = 2048
"""The least that a chunk has, where there are as many: DuckDB reads chunk by chunk, and each chunk costs time."""

_INSTANT = pa.timestamp("us", tz="UTC")
_SCHEMA = pa.schema(
    {
        "log_partition": pa.int32(),
        "log_offset": pa.int64(),
        "received_at": _INSTANT,
        "origin": pa.string(),
        "verified": pa.bool_(),
        "rejection": pa.string(),
        "text": pa.string(),
        "body": pa.binary(),
        "signature": pa.binary(),
        "timestamp": pa.binary(),
    }
)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Batch:
    """Records with their positions, in log order within each partition.

    `table` has a row a record: log_partition, log_offset (greater than every earlier one of its partition),
    received_at, origin, verified, rejection (why it is kept and not landed, mostly null), body (the bytes as they
    came), text (the body where it is UTF-8, else null; the two share their bytes), and signature and timestamp as the
    log holds them (`signature_headers` reads them).
    """

    table: pa.Table

    @classmethod
    def of(
        cls,
        *,
        partitions: Sequence[int],
        offsets: Sequence[int],
        received_us: Sequence[int],
        origins: Sequence[str],
        verified: Sequence[bool],
        rejections: Sequence[str | None],
        bodies: Sequence[bytes],
    ) -> Self:
        """Return the batch with those columns, all of one length; `received_us` in Unix microseconds. No signatures."""
        none = (None,) * len(offsets)
        columns = (partitions, offsets, received_us, origins, verified, rejections, bodies, none, none)
        return cls.joined(
            [
                records(
                    [
                        pa.array(column[start : start + ROWS_A_CHUNK], kind)
                        for column, kind in zip(columns, _PLAIN, strict=True)
                    ]
                )
                for start in range(0, len(offsets), ROWS_A_CHUNK)
            ]
        )

    @classmethod
    def joined(cls, chunks: Sequence[pa.RecordBatch]) -> Self:
        """Return the batch of those chunks, made by `records`, one after the other."""
        return cls(pa.Table.from_batches(chunks, _SCHEMA))

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def part(self, start: int, stop: int | None = None) -> "Batch":
        """Return the records from `start` up to `stop`."""
        stop = len(self) if stop is None else min(stop, len(self))
        return Batch(self.table.slice(start, stop - start))

    def after(self, positions: Positions) -> "Batch":
        """Return the records after those positions; nearly always those are all, and this batch is returned."""
        partition, offset = self.table.column("log_partition"), self.table.column("log_offset")
        for known, last in positions.items():
            before = pc.and_(pc.equal(partition, known), pc.less_equal(offset, last))
            if pc.any(before).as_py():
                return Batch(self.table.filter(pc.invert(before))).after(positions)
        return self

    def rejected(self, reason: str) -> "Batch":
        """Return the same records, to be kept and not landed."""
        index = _SCHEMA.get_field_index("rejection")
        reasons = pa.array([reason] * len(self), pa.string())
        return Batch(self.table.set_column(index, _SCHEMA.field(index), reasons))

    def reached(self) -> Positions:
        """Return the last offset of each partition that has records here."""
        last = self.table.group_by("log_partition").aggregate([("log_offset", "max")]).to_pylist()
        return {row["log_partition"]: row["log_offset_max"] for row in last}

    @property
    def partitions(self) -> list[int]:
        return self._values("log_partition")

    @property
    def offsets(self) -> list[int]:
        return self._values("log_offset")

    @property
    def received_us(self) -> list[int]:
        found: list[int] = self.table.column("received_at").cast(pa.int64()).to_pylist()
        return found

    @property
    def origins(self) -> list[str]:
        return self._values("origin")

    @property
    def verified(self) -> list[bool]:
        return self._values("verified")

    @property
    def rejections(self) -> list[str | None]:
        return self._values("rejection")

    @property
    def bodies(self) -> list[bytes]:
        return self._values("body")

    @property
    def signature_headers(self) -> list[SignatureHeaders | None]:
        """The headers that vouch for each record; None where a record has none."""
        pairs = zip(self._values("signature"), self._values("timestamp"), strict=True)
        return [
            None if signature is None or timestamp is None else SignatureHeaders.parse_stored(signature, timestamp)
            for signature, timestamp in pairs
        ]

    def _values(self, name: str) -> list[Any]:
        values: list[Any] = self.table.column(name).to_pylist()
        return values


_PLAIN = (pa.int32(), pa.int64(), pa.int64(), pa.string(), pa.bool_(), pa.string(), pa.binary(), *(pa.binary(),) * 2)


def records(columns: Sequence[pa.Array]) -> pa.RecordBatch:
    """Return a chunk of a batch: the columns of `Batch.of`, as arrays, and those of the signatures."""
    partitions, offsets, received_us, origins, verified, rejections, bodies, *signatures = columns
    return pa.record_batch(
        [
            partitions,
            offsets,
            received_us.cast(_INSTANT),
            origins,
            verified,
            rejections,
            _texts(bodies),
            bodies,
            *signatures,
        ],
        schema=_SCHEMA,
    )


def packed(sizes: bytes, bodies: bytes) -> pa.Array:
    """Return, without copying them, the bodies that lie one after the other in `bodies`; `sizes` are int32 each.

    Arrow does not check the sizes: the caller has made sure that none is negative and that their sum is right.
    """
    lengths = pa.Array.from_buffers(pa.int32(), len(sizes) // 4, [None, pa.py_buffer(sizes)])
    ends = pc.cumulative_sum_checked(lengths)
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), ends])
    return pa.Array.from_buffers(pa.binary(), len(lengths), [None, offsets.buffers()[1], pa.py_buffer(bodies)])


def slots(size: int, count: int, values: bytes) -> pa.Array:
    """Return, without copying them, `count` values of `size` bytes each; nulls where there are no values."""
    if not values:
        return pa.nulls(count, pa.binary())
    return pa.Array.from_buffers(pa.binary(size), count, [None, pa.py_buffer(values)]).cast(pa.binary())


def _texts(bodies: pa.Array) -> pa.Array:
    try:
        return bodies.cast(pa.string())
    except pa.ArrowInvalid:
        return pa.array([_text(body) for body in bodies.to_pylist()], pa.string())


def _text(body: bytes) -> str | None:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


EMPTY_BATCH = Batch.joined([])
