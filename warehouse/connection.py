"""The one place that opens DuckDB: whatever a file or a name is, DuckDB looks for no extension and no network."""

import re
from pathlib import Path
from typing import Literal

import duckdb

from warehouse import descriptors
from warehouse.errors import DamagedError, WarehouseError, explained

NO_EXTENSIONS = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "allow_persistent_secrets": "false",
}
"""Given when a database is made, because DuckDB looks at a file's first bytes and at a name's scheme before any SET."""

_MAGIC_AT = 8
_MAGIC = b"DUCK"
_HEADERS = 3 * 4096
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|.*://")


def in_memory(**config: str | int) -> duckdb.DuckDBPyConnection:
    """Open an empty database in memory; `config` as DuckDB names its settings. Raises OSError without descriptors."""
    descriptors.require()
    return duckdb.connect(config={**NO_EXTENSIONS, **config})


def attach(
    db: duckdb.DuckDBPyConnection,
    path: Path,
    name: str,
    *options: str,
    must_exist: bool = False,
) -> None:
    """Attach a DuckDB file, and nothing else, under a name. Raises WarehouseError."""
    require_duckdb(path, must_exist=must_exist)
    with explained(path):
        descriptors.require()
        db.execute(f"attach {quoted(path)} as {name} ({', '.join(('type duckdb', *options))})")


def require_duckdb(path: Path, *, must_exist: bool = False) -> None:
    """Raise WarehouseError for a name that is no plain path, and for a file that is no DuckDB file.

    An empty file, or one of nothing but zeros, is what a power cut leaves: DamagedError.
    """
    if (fault := name_fault(str(path))) is not None:
        raise WarehouseError(fault)
    with explained(path):
        if not path.exists() and not must_exist:
            return
        with path.open("rb") as file:
            beginning = file.read(_HEADERS)
    kind = _kind(beginning)
    if kind == "blank":
        raise DamagedError(f"{path} is damaged: expected a DuckDB file, found nothing in it")
    if kind == "foreign":
        raise WarehouseError(
            f"{path} cannot be opened: expected a DuckDB file, or none yet, found a file of another kind; it was left "
            "as it is: name the right file in HOLDTIME_WAREHOUSE and HOLDTIME_REPLICA"
        )


def name_fault(text: str) -> str | None:
    """Say what is wrong with a name for a DuckDB file, or None: `md:`, `postgres:`, `s3://` are no files."""
    if _SCHEME.match(text) or not text or "\0" in text:
        return f"{text!r} is no path: expected that of a DuckDB file on this machine; begin with / for any other name"
    return None


def quoted(path: Path) -> str:
    """Return the path as SQL text."""
    return "'" + str(path).replace("'", "''") + "'"


def _kind(beginning: bytes) -> Literal["duckdb", "blank", "foreign"]:
    if not beginning.strip(b"\0"):
        return "blank"
    if beginning[_MAGIC_AT : _MAGIC_AT + len(_MAGIC)] == _MAGIC:
        return "duckdb"
    # A warehouse whose magic bytes are damaged still has its other two headers.
    from warehouse.blocks import has_headers  # noqa: PLC0415 - only for a file that is none of DuckDB's at first sight

    return "duckdb" if has_headers(beginning) else "foreign"
