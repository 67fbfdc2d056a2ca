"""The lock of a ledger: one process at a time sends from it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schedules.record import RunKind


class TakenError(Exception):
    """Another process runs the schedules. The text says which one, and what to do."""


@contextmanager
def locked(ledger: Path, kind: RunKind) -> Iterator[None]:
    """Hold the right to send what is of a kind, from this ledger, alone. Raises TakenError.

    The kernel gives it back when the process dies, however it dies.
    """
    ledger.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(ledger.with_name(f"{ledger.name}.{kind}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 20).decode(errors="replace").strip() or "unknown"
            raise TakenError(
                f"process {holder} sends from {ledger} already: let it, or stop it first (`holdtime up` runs the "
                "schedules too)"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
