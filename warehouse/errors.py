"""What keeps a warehouse from being opened, read or written, in words: the file, the reason, what to do."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

import duckdb

from warehouse import os_error


class WarehouseError(Exception):
    """The warehouse cannot be opened; the text says what was expected, what came and what to do."""


class LockedError(WarehouseError):
    """Another process has the warehouse open; the text names it. `by_holdtime` where that is a holdtime like this."""

    def __init__(self, text: str, *, by_holdtime: bool = True) -> None:
        super().__init__(text)
        self.by_holdtime = by_holdtime


class OutdatedError(WarehouseError):
    """An older holdtime made the warehouse; its events have to be read anew (`processors.replay.migration`)."""


class UnavailableError(WarehouseError):
    """The warehouse cannot be used now, and nothing is wrong with what it holds: later it may work."""


class DamagedError(WarehouseError):
    """The warehouse may not be as it was written: `warehouse.damage` says whether."""


class Trouble(StrEnum):
    """Why the warehouse cannot be used. Dashboards count these names."""

    DISK_FULL = "disk_full"
    READ_ONLY = "read_only"
    FORBIDDEN = "forbidden"
    IO_ERROR = "io_error"
    OUT_OF_MEMORY = "out_of_memory"
    HELD = "held"
    DAMAGED = "damaged"
    STUCK = "stuck"
    FAULT = "fault"


_ERRNOS = {
    errno.ENOSPC: Trouble.DISK_FULL,
    errno.EDQUOT: Trouble.DISK_FULL,
    errno.EFBIG: Trouble.DISK_FULL,
    errno.EROFS: Trouble.READ_ONLY,
    errno.EACCES: Trouble.FORBIDDEN,
    errno.EPERM: Trouble.FORBIDDEN,
    errno.EIO: Trouble.IO_ERROR,
    errno.ENOENT: Trouble.IO_ERROR,
    errno.ESTALE: Trouble.IO_ERROR,
    errno.EMFILE: Trouble.OUT_OF_MEMORY,
    errno.ENFILE: Trouble.OUT_OF_MEMORY,
    errno.ENOMEM: Trouble.OUT_OF_MEMORY,
}

_DO = {
    Trouble.DISK_FULL: "make room there",
    Trouble.READ_ONLY: "mount that file system for writing",
    Trouble.IO_ERROR: "look at the disk (dmesg) and at whether it is mounted",
    Trouble.OUT_OF_MEMORY: "give this process more memory or file descriptors",
}

_DAMAGE = (
    "Corrupt database file",
    "Corrupt WAL file",
    "while replaying WAL",
    "Could not read enough bytes",
    "not a valid DuckDB database file",
)
"""How DuckDB's words begin where a file is not as it was written. Suspicion only: `warehouse.damage` looks itself."""

_HOLDER = re.compile(r"held in (?P<program>.+?) \(PID (?P<pid>\d+)\)")


def trouble(error: BaseException) -> Trouble:
    """Say of which kind an error of DuckDB's, of the system's, or one of ours is."""
    if isinstance(error, LockedError):
        return Trouble.HELD
    if isinstance(error, DamagedError):
        return Trouble.DAMAGED
    if isinstance(error, OSError) and error.errno is not None:
        return _ERRNOS.get(error.errno, Trouble.IO_ERROR)
    if isinstance(error, (duckdb.Error, UnavailableError)):
        return _trouble_in(error)
    return Trouble.FAULT


def _trouble_in(error: duckdb.Error | UnavailableError) -> Trouble:
    text = str(error)
    for number, kind in _ERRNOS.items():
        if os.strerror(number) in text:
            return kind
    if isinstance(error, duckdb.OutOfMemoryException) or "Out of Memory" in text:
        return Trouble.OUT_OF_MEMORY
    if "Could not set lock" in text:
        return Trouble.HELD
    if any(words in text for words in _DAMAGE) or isinstance(error, (duckdb.InternalException, duckdb.FatalException)):
        return Trouble.DAMAGED
    return Trouble.IO_ERROR if isinstance(error, duckdb.IOException) else Trouble.FAULT


def ends_connection(error: BaseException) -> bool:
    """Say whether DuckDB takes nothing more after this error, before the file is opened anew."""
    return isinstance(error, duckdb.FatalException) or "has been invalidated" in str(error)


def described(error: BaseException, path: Path) -> str:
    """Return one line: the file, the reason, and what to do; `path` where the error names no file itself."""
    if isinstance(error, WarehouseError):
        return str(error)
    if isinstance(error, OSError):
        return os_error.line(error) if error.filename is not None else f"{path}: {os_error.reason(error)}"
    first = first_line(error)
    text = first if str(path) in first else f"{path}: {first}"
    kind = trouble(error)
    do = os_error.denied(path) if kind is Trouble.FORBIDDEN else _DO.get(kind)
    return f"{text}; {do}" if do else text


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what DuckDB says while the file is opened into a WarehouseError of the kind that fits."""
    try:
        yield
    except duckdb.ResourceInUseException as error:
        raise WarehouseError(f"{path} is open in this very process, to be written: {first_line(error)}") from None
    except (duckdb.Error, OSError) as error:
        kind = trouble(error)
        if kind is Trouble.HELD:
            raise locked(path, *_holder(str(error))) from None
        if kind is Trouble.DAMAGED:
            raise DamagedError(
                f"{path} is damaged: {first_line(error)}; `holdtime up` and `process` set it aside and make it anew "
                "from the replica and the log (docs/operations.md, A damaged file)"
            ) from None
        if kind is Trouble.FAULT:
            raise WarehouseError(f"{path} cannot be opened as a warehouse: {first_line(error)}") from None
        raise UnavailableError(f"{path} cannot be opened now: {described(error, path)}") from None


def locked(path: Path, pid: int | None, program: str = "") -> LockedError:
    """Return the error for a file that another process has open; `program` where the system does not say."""
    command = None if pid is None else _holdtime_command(pid)
    if pid is None or command is not None:
        process = "" if pid is None else f", process {pid} (`{command}`)"
        return LockedError(
            f"{path} is locked by the process that writes it{process}, and DuckDB lets nobody else in: "
            "read the replica instead (HOLDTIME_REPLICA), or stop the other holdtime first"
        )
    return LockedError(
        f"{path} is locked: held by process {pid} ({program or _program(pid)}); a dashboard or another program opened "
        "the warehouse: close it there, and let it read the replica instead (HOLDTIME_REPLICA), or stop the other "
        "process first",
        by_holdtime=False,
    )


def first_line(error: BaseException) -> str:
    """Return an error's first line: DuckDB appends advice and stacks."""
    return str(error).strip().partition("\n")[0]


def _holder(said: str) -> tuple[int | None, str]:
    """The process and the program that DuckDB names."""
    held = _HOLDER.search(said)
    return (int(held["pid"]), Path(held["program"]).name) if held else (None, "")


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "a program"


def _holdtime_command(pid: int) -> str | None:
    """Return which holdtime a process is, `holdtime up` say; None where it is none, or nobody can tell."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return None
    for place, word in enumerate(words):
        if Path(word).name == "holdtime" or (word == "holdtime" and words[place - 1] == "-m"):
            return " ".join(["holdtime", *words[place + 1 : place + 2]]).strip()
    return None
