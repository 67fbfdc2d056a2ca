"""The errors that a user can mend, and the lines that say so."""

import sqlite3
from pathlib import Path

import duckdb

from eventlog.log import LogUnavailableError
from eventlog.sqlite.file import UnusableLogError
from holdtime.config.settings import ConfigurationError
from processors.replay.as_of import UnreachedError
from reconciler.errors import ReconcilerError
from reports.errors import RequestError, SourceError
from schedules.ledger import LedgerError
from schedules.lock import TakenError
from warehouse import os_error
from warehouse.errors import Trouble, WarehouseError, described, trouble

_WORDED = (
    LedgerError,
    LogUnavailableError,
    ReconcilerError,
    RequestError,
    SourceError,
    TakenError,
    UnreachedError,
    UnusableLogError,
    WarehouseError,
)

_OF_LIBRARIES: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    (
        (MemoryError, duckdb.OutOfMemoryException),
        "there is too little memory{}: free some, or ask for less at a time (a shorter period)",
    ),
    ((duckdb.Error,), "the warehouse or its replica cannot be used{}: `holdtime doctor` checks them"),
    ((sqlite3.Error,), "HOLDTIME_LOG or HOLDTIME_SCHEDULES cannot be used{}: `holdtime doctor` checks them"),
)


def named(error: BaseException) -> list[str] | None:
    """The faults of a wrong use, a configuration or a machine, a line each; None for an error of holdtime's own."""
    if isinstance(error, ConfigurationError):
        return error.faults
    if isinstance(error, _WORDED):
        return [str(error)]
    if isinstance(error, OSError):
        return [os_error.line(error)]
    if isinstance(error, duckdb.Error) and trouble(error) not in {Trouble.FAULT, Trouble.OUT_OF_MEMORY}:
        return [described(error, Path("the warehouse"))]
    found = next((words.format(_said(error)) for kinds, words in _OF_LIBRARIES if isinstance(error, kinds)), "")
    return [found] if found else None


def _said(error: BaseException) -> str:
    """The first line of a library's own text."""
    first = str(error).strip().partition("\n")[0]
    return f" ({first})" if first else ""
