"""`holdtime replay`: archived bodies, appended to the log and landed like everything else."""

import asyncio
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, islice

import duckdb
from prometheus_client import CollectorRegistry

from eventlog.log import (
    LogUnavailableError,
    Origin,
    Record,
)
from eventlog.sqlite.writer import Bounds
from holdtime.config.settings import ConfigurationError, Settings
from holdtime.service import store
from holdtime.service.store import Needs
from ingest.archives import archive, bodies
from ingest.archives.errors import ArchiveError
from ingest.webhook import unix_us
from processors.app import Processor
from processors.landing.landed import Landed
from processors.metrics import ProcessorMetrics
from reports import humanize
from warehouse import os_error
from warehouse.errors import UnavailableError

CHUNK_BODIES = 20_000
CHUNK_BYTES = 32 << 20
MAX_FAULTS = 10
"""More than these are counted: a zip may hold thousands of files that are no text."""

INTERRUPTED = (LogUnavailableError, duckdb.OperationalError, duckdb.FatalException, UnavailableError, OSError)
"""Errors of a disk that is full or fails."""

_NEEDS = Needs(
    bounds=Bounds(waiting_records=CHUNK_BODIES, waiting_bytes=CHUNK_BYTES + bodies.BODY_BYTES, group_records=2_000)
)


@dataclass(frozen=True, slots=True)
class Replayed:
    """How the bodies read so far ended, and how many bytes of the file that are (0 where that cannot be said)."""

    new: int = 0
    known: int = 0
    rejected: int = 0
    bytes_read: int = 0

    @property
    def bodies(self) -> int:
        return self.new + self.known + self.rejected

    @property
    def has_no_event(self) -> bool:
        return bool(self.rejected) and self.rejected == self.bodies

    def __str__(self) -> str:
        return f"{self.new:,} new events, {self.known:,} known already, {self.rejected:,} rejected"

    def plus(self, landed: Landed, bytes_read: int) -> "Replayed":
        """The same after another batch."""
        return Replayed(
            self.new + landed.events, self.known + landed.duplicates, self.rejected + landed.rejected, bytes_read
        )


def replay(
    settings: Settings, source: io.BufferedReader, *, name: str, progress: Callable[[Replayed], None]
) -> Replayed:
    """Append every body of an archive to the log as an unverified record, and land all of it.

    `name` is for errors, `progress` is called after every chunk. Raises ConfigurationError where another process has
    log or warehouse, the archive cannot be read to its end, or none of its bodies is an event. The bodies before a
    fault have landed, and land only once however often they are replayed.
    """
    return asyncio.run(_Replay(source, name, progress).run(settings))


class _Replay:
    """One archive on its way to the warehouse, and the faults in it."""

    def __init__(self, source: io.BufferedReader, name: str, progress: Callable[[Replayed], None]) -> None:
        self._source = source
        self._name = name
        self._progress = progress
        self._replayed = Replayed()
        self._faults: list[str] = []

    async def run(self, settings: Settings) -> Replayed:
        chunks = self._chunks()
        # A file that is no archive is refused before log and warehouse are made; a pipe may keep us waiting.
        first = list(islice(chunks, 1)) if self._source.seekable() else []
        if not first:
            self._complain()
        async with store.opened(settings, _NEEDS) as opened:
            processor = Processor(
                reader=opened.log,
                landing=opened.warehouse.landing,
                publisher=opened.warehouse.publisher,
                metrics=ProcessorMetrics(CollectorRegistry()),
            )
            while processor.land_next():
                pass  # records that were in the log before: the count leaves them out
            for chunk in chain(first, chunks):
                now_us = unix_us()
                records = (Record(body, now_us, Origin.REPLAY, verified=False) for body in chunk)
                await asyncio.gather(*(opened.log.append(record) for record in records))
                while landed := processor.land_next():
                    self._replayed = self._replayed.plus(landed, self._position())
                    self._progress(self._replayed)
                if self._replayed.has_no_event:
                    break
            opened.warehouse.publisher.publish()
        if self._replayed.has_no_event:
            self._faults.append(
                f"{self._name}: expected webhook bodies as JSON, one a line, or whole answers of Telnyx's lists; none "
                "of the bodies that it begins with is an event: `holdtime rejected list` shows them"
            )
        self._complain()
        return self._replayed

    def _chunks(self) -> Iterator[list[bytes]]:
        """Yield the bodies, some megabytes at a time; text that cannot be read becomes a fault."""
        chunk: list[bytes] = []
        size = 0
        for body in self._bodies():
            chunk.append(body)
            size += len(body)
            if len(chunk) >= CHUNK_BODIES or size >= CHUNK_BYTES:
                yield chunk
                chunk, size = [], 0
        if chunk:
            yield chunk

    def _bodies(self) -> Iterator[bytes]:
        try:
            for member, found in archive.texts(self._source):
                try:
                    yield from found
                except ArchiveError as error:
                    place = [self._name, *([humanize.cut(member)] if member else [])]
                    if found.line > 1:
                        place.append(f"line {found.line:,}")
                    self._faults.append(f"{', '.join(place)}: {error}")
        except ArchiveError as error:
            self._faults.append(f"{self._name}: {error}")
        except OSError as error:
            self._faults.append(f"{self._name}: cannot be read: {os_error.line(error)}")

    def _complain(self) -> None:
        """Raise ConfigurationError with the faults, if there are any."""
        if not self._faults:
            return
        shown, more = self._faults[:MAX_FAULTS], len(self._faults) - MAX_FAULTS
        if more > 0:
            shown.append(f"{self._name}: {more:,} more files in it could not be read")
        shown[-1] += f"; what was read: {self._replayed}" if self._replayed.bodies else "; nothing was replayed"
        raise ConfigurationError(shown)

    def _position(self) -> int:
        return self._source.tell() if self._source.seekable() else 0
