"""`holdtime doctor --verify-log`: the whole log read again, every checksum checked, and every signature.

It changes nothing, and works beside a running `up`: then records that come meanwhile are not all seen.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from eventlog.batch import Positions
from eventlog.log import (
    DAMAGED,
    Log,
    LogExtent,
    LogUnavailableError,
    Record,
    records_of,
)
from eventlog.sqlite import check as sqlite_check
from eventlog.sqlite.header import UnusableLogError
from holdtime.config import settings
from holdtime.config.settings import ConfigurationError, Settings
from holdtime.doctor.checks import Check, Severity
from holdtime.doctor.doctor import Examination
from holdtime.service import event_log
from holdtime.service.requirements import public_keys
from ingest.signing.signature import Verifier

BATCH_RECORDS = 2_000


@dataclass(slots=True)
class Verified:
    """Counts of a log's records: in all, and of those that count as verified by the key that signed them.

    `by_key` counts by the place of the key, the newest 1. `unknown` were signed by none of the keys: one that is no
    longer configured, or nobody. `unsigned` came before the log kept signatures.
    """

    records: int = 0
    by_key: Counter[int] = field(default_factory=Counter)
    unknown: int = 0
    unsigned: int = 0
    unverified: int = 0
    damaged: int = 0

    def take(self, record: Record, verifier: Verifier) -> None:
        """Count a record."""
        self.records += 1
        if record.rejection == DAMAGED:
            self.damaged += 1
        elif not record.verified:
            self.unverified += 1
        elif record.signature_headers is None:
            self.unsigned += 1
        elif (index := verifier.matching_key(record.body, record.signature_headers)) is None:
            self.unknown += 1
        else:
            self.by_key[index + 1] += 1


def examine(config: Path, *, now: datetime, progress: Callable[[int, int], None]) -> Examination:
    """Verify the log, and its spool if it has one; `progress` gets how many records were read, and how many there are.

    Raises ConfigurationError for what is wrong with the settings.
    """
    configured = settings.load(config)
    try:
        return Examination(tuple(_checks(configured, progress)), (), now)
    except (OSError, ValueError) as error:
        raise ConfigurationError([str(error)]) from None


def _checks(configured: Settings, progress: Callable[[int, int], None]) -> Iterator[Check]:
    verifier = Verifier(public_keys(configured.environment.public_key))
    spool = configured.configuration.kafka.spool
    if not configured.environment.log_is_kafka:
        yield from _file("log", configured.environment.log_path, verifier, progress)
        return
    yield from _kafka(configured, verifier, progress)
    if spool is not None:
        yield from _file("spool", spool, verifier, progress)


def _file(name: str, path: Path, verifier: Verifier, progress: Callable[[int, int], None]) -> Iterator[Check]:
    if not path.exists():
        yield Check(name, Severity.NOTE, f"{path} is not there yet")
        return
    found, faults = Verified(), []
    try:
        for piece in sqlite_check.pieces(path):
            faults += [piece.fault] if piece.fault else []
            for record in piece.records:
                found.take(record, verifier)
            progress(piece.last_position, piece.end)
    except (UnusableLogError, LogUnavailableError) as error:
        faults.append(str(error))
    yield from _said(name, found)
    do = "`holdtime up` sets the file aside, and goes on with all that can still be read of it"
    yield from (Check(name, Severity.FAILED, fault, do) for fault in faults)


def _kafka(configured: Settings, verifier: Verifier, progress: Callable[[int, int], None]) -> Iterator[Check]:
    log = event_log.of(configured)
    found = Verified()
    try:
        _read(log, found, verifier, progress)
    except LogUnavailableError as error:
        yield Check(
            "log", Severity.FAILED, f"could not be read to its end: {error}", "see whether the brokers are there"
        )
    finally:
        asyncio.run(log.close())
    yield from _said("log", found)


def _read(log: Log, found: Verified, verifier: Verifier, progress: Callable[[int, int], None]) -> None:
    extent = LogExtent.of(log)
    positions: Positions = {}
    while len(batch := log.read(positions, BATCH_RECORDS)):
        for record in records_of(batch):
            found.take(record, verifier)
        positions.update(batch.reached())
        progress(found.records, extent.held)
        if not extent.lag(positions):
            return


def _said(name: str, found: Verified) -> Iterator[Check]:
    yield Check(name, Severity.OK, f"{found.records:,} records were read")
    for place, count in sorted(found.by_key.items()):
        yield Check("signatures", Severity.OK, f"{count:,} are key {place}'s")
    if found.unknown:
        yield Check(
            "signatures",
            Severity.FAILED,
            f"{found.unknown:,} records count as verified, and none of the keys signed them: unknown key, or forged",
            "add the keys of that time to TELNYX_PUBLIC_KEY and try again; what is left was changed in the log",
        )
    if found.unsigned:
        yield Check(
            "signatures", Severity.NOTE, f"{found.unsigned:,} verified records came before the log kept signatures"
        )
    if found.unverified:
        yield Check("signatures", Severity.NOTE, f"{found.unverified:,} records have none: replayed or reconciled")
    if found.damaged:
        yield Check(
            "damage",
            Severity.FAILED,
            f"{found.damaged:,} records were lost to damage that is repaired",
            "`holdtime reconcile --once --since` asks Telnyx for them",
        )
