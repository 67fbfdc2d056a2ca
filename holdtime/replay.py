"""`holdtime replay`: archived bodies, a line each, appended to the log and landed like everything else."""

import asyncio
import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import duckdb
from prometheus_client import CollectorRegistry

from holdtime.parts import opened_store
from holdtime.settings import ConfigurationError, Settings
from ingest.log import LogUnavailableError, Origin, Record
from ingest.sqlite_writer import Bounds
from ingest.webhook import unix_us
from processors.app import Processor
from processors.landing import Landed
from processors.metrics import ProcessorMetrics
from warehouse import os_error
from warehouse.errors import UnavailableError

CHUNK_LINES = 20_000
CHUNK_BYTES = 32 << 20
LINE_BYTES = 16 << 20
"""A longer line is no event that Telnyx ever sent: a body has 1 MiB at most, and an item of a list little more."""

INTERRUPTED = (LogUnavailableError, duckdb.OperationalError, duckdb.FatalException, UnavailableError, OSError)
"""What a disk raises that is full or fails."""

_GZIP = b"\x1f\x8b"
_BOUNDS = Bounds(waiting_records=CHUNK_LINES, waiting_bytes=CHUNK_BYTES + LINE_BYTES, group_records=2_000)


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of the lines so far, and how far into the file they reach (0 where that cannot be said)."""

    new: int = 0
    known: int = 0
    rejected: int = 0
    bytes_read: int = 0

    @property
    def lines(self) -> int:
        return self.new + self.known + self.rejected

    def plus(self, landed: Landed, bytes_read: int) -> "Replayed":
        """The same after another batch."""
        return Replayed(
            self.new + landed.events, self.known + landed.duplicates, self.rejected + landed.rejected, bytes_read
        )


def replay(
    settings: Settings, source: io.BufferedReader, *, name: str, progress: Callable[[Replayed], None]
) -> Replayed:
    """Append every line of `source`, which may be gzipped, to the log as an unverified record, and land all of it.

    `name` is for errors, `progress` is told after every chunk. Raises ConfigurationError where log or warehouse cannot
    be had alone or the file is damaged; what was read until then has landed, and replaying again does not repeat it.
    """
    return asyncio.run(_replay(settings, source, name, progress))


async def _replay(
    settings: Settings, source: io.BufferedReader, name: str, progress: Callable[[Replayed], None]
) -> Replayed:
    async with opened_store(settings, _BOUNDS) as store:
        processor = Processor(
            reader=store.log,
            landing=store.landing,
            publisher=store.publisher,
            metrics=ProcessorMetrics(CollectorRegistry()),
        )
        while processor.land_next():
            pass  # what was in the log already: it is not ours to count
        replayed, fault = Replayed(), None
        try:
            for lines, bytes_read in _chunks(source, name):
                now_us = unix_us()
                records = (Record(line, now_us, Origin.REPLAY, verified=False) for line in lines)
                await asyncio.gather(*(store.log.append(record) for record in records))
                while landed := processor.land_next():
                    replayed = replayed.plus(landed, bytes_read)
                    progress(replayed)
        except ConfigurationError as error:
            fault = error
        store.publisher.publish()
        if fault is not None:
            raise fault
    return replayed


def _chunks(source: io.BufferedReader, name: str) -> Iterator[tuple[list[bytes], int]]:
    """The lines that are not blank, without their ends, some megabytes at a time, and how far the file has been read.

    Raises ConfigurationError, after what came before has been given, where the rest cannot be read.
    """
    chunk: list[bytes] = []
    size = number = 0
    fault = None
    try:
        packed = source.peek(2)[:2] == _GZIP
        reader = io.BufferedReader(gzip.GzipFile(fileobj=source)) if packed else source
        while line := reader.readline(LINE_BYTES + 1):
            number += 1
            if len(line) > LINE_BYTES:
                fault = f"line {number}: expected one body a line, found a line of more than {LINE_BYTES:,} bytes"
                break
            body = line.rstrip(b"\r\n")
            if body and not body.isspace():
                chunk.append(body)
                size += len(body)
            if len(chunk) >= CHUNK_LINES or size >= CHUNK_BYTES:
                yield chunk, _position(source)
                chunk, size = [], 0
    except (EOFError, OSError, zlib.error) as error:
        fault = f"line {number + 1}: cannot be read: {os_error.line(error) if isinstance(error, OSError) else error}"
    yield chunk, _position(source)
    if fault:
        raise ConfigurationError([f"{name}, {fault}; the lines before it were replayed"])


def _position(source: io.BufferedReader) -> int:
    return source.tell() if source.seekable() else 0
