"""What must be so of the keys and files that the settings name, before any of them is opened or made."""

import os
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path

import duckdb
from nacl.signing import VerifyKey

from eventlog.sqlite.file import UnusableLogError
from holdtime.config.settings import Settings
from holdtime.faults import named
from ingest.signing.signature import UnusableKeyError, parse_keys
from warehouse.connection import name_fault
from warehouse.errors import WarehouseError

EXPECTED = (UnusableKeyError, UnusableLogError, WarehouseError, OSError, ValueError, duckdb.Error, sqlite3.Error)
"""What can be wrong with a configuration, as against with holdtime."""

_REPLICA = "HOLDTIME_REPLICA"
_LIVE = "HOLDTIME_LIVE"
_PUBLISHED = (_REPLICA, _LIVE)
_DUCKDB_FILES = ("HOLDTIME_WAREHOUSE", *_PUBLISHED)


def fault_lines(error: Exception) -> list[str]:
    """Return an expected error as lines for people."""
    return named(error) or [str(error)]


def public_keys(text: str) -> tuple[VerifyKey, ...]:
    """Return the keys that TELNYX_PUBLIC_KEY holds. Raises UnusableKeyError."""
    try:
        return parse_keys(text)
    except UnusableKeyError as error:
        raise UnusableKeyError(f"TELNYX_PUBLIC_KEY: {error}") from None


def of_files(settings: Settings) -> list[Callable[[], None]]:
    """Return the checks of the files that the settings name; each raises OSError or ValueError."""
    return _checks([*_log_files(settings), *_warehouse_files(settings)], settings.environment.gateway)


def of_warehouse(settings: Settings) -> list[Callable[[], None]]:
    """Return the checks of the warehouse and its replica alone."""
    return _checks(_warehouse_files(settings), settings.environment.gateway)


def require_apart(*paths: Path) -> None:
    """Raise ValueError when two of the paths are one file: each would destroy the other."""
    files = [path.resolve() for path in paths]
    if len(set(files)) < len(files):
        raise ValueError(
            "HOLDTIME_LOG, HOLDTIME_WAREHOUSE, HOLDTIME_REPLICA and HOLDTIME_LIVE must be different files: "
            "two are the same"
        )


def _log_files(settings: Settings) -> list[tuple[str, Path]]:
    """Return the name of the setting and the path of the log, or of its spool."""
    environment, spool = settings.environment, settings.configuration.kafka.spool
    if environment.log_is_kafka:
        return [("[kafka] spool", spool)] if spool else []
    try:
        return [("HOLDTIME_LOG", environment.log_path)]
    except ValueError:
        return []  # said where the log is opened


def _warehouse_files(settings: Settings) -> list[tuple[str, Path]]:
    environment = settings.environment
    live = [] if environment.live is None else [(_LIVE, environment.live)]
    return [("HOLDTIME_WAREHOUSE", environment.warehouse), (_REPLICA, environment.replica), *live]


def _checks(files: list[tuple[str, Path]], gateway: Path) -> list[Callable[[], None]]:
    usable = [partial(_require_usable, name, path) for name, path in files]
    others = [path for name, path in files if name != _LIVE]
    return [*usable, partial(require_apart, *others, gateway)]


def _require_usable(name: str, path: Path) -> None:
    if name in _DUCKDB_FILES and (fault := name_fault(str(path))) is not None:
        raise ValueError(f"{name}: {fault}")
    if path.is_dir():
        raise OSError(f"{name}: {path} is a folder, expected a file or a path for a new one")
    folder = path.absolute().parent
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise OSError(f"{name}: cannot write in {folder}: make it writable for this user, or name another place")
    if name in _PUBLISHED:  # these are replaced and never written
        if path.exists() and not os.access(path, os.R_OK):
            raise OSError(f"{name}: {path} is not readable for this user: change its mode or owner")
        return
    if path.exists() and not os.access(path, os.R_OK | os.W_OK):
        raise OSError(f"{name}: {path} is not readable and writable for this user: change its mode or owner")
