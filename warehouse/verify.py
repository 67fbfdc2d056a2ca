"""Reading a DuckDB file whole, in a process of its own: where DuckDB crashes over a damaged file, nothing else ends.

`verify` starts the process; `python -m warehouse.verify PATH [--deep]` is that process.
"""

import argparse
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

import duckdb

from warehouse.connection import attach, in_memory
from warehouse.errors import DamagedError, LockedError, Trouble, WarehouseError, first_line, trouble

MEMORY = "512MB"

_CRASHES = {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL}
"""Signals that end a process for what it read; others come from outside."""


class State(StrEnum):
    """Whether a file can be read."""

    SOUND = "sound"
    NOT_OPENED = "not_opened"
    NOT_READ = "not_read"
    HELD = "held"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What reading a file came to, and why: `unknown` where the machine stood in the way, not the file.

    `held` where another process has the file, and `by_holdtime` where that is a holdtime.
    """

    state: State
    reason: str = ""
    by_holdtime: bool = False

    @property
    def damaged(self) -> bool:
        return self.state in {State.NOT_OPENED, State.NOT_READ}


def verify(path: Path, *, deep: bool, told: Callable[[str], None] = lambda _: None) -> Verdict:
    """Open the file, and with `deep` read every column of every table, in a child process; nothing is written.

    The write-ahead log beside the file is read as well. `told` hears each column's name before it is read. Takes a
    second, and with `deep` about as long as a query over everything.
    """
    command = [sys.executable, "-m", "warehouse.verify", *(["--deep"] if deep else []), "--", str(path.absolute())]
    verdict = None
    last = ""
    nothing = subprocess.DEVNULL
    with subprocess.Popen(command, stdin=nothing, stdout=subprocess.PIPE, stderr=nothing) as child:  # noqa: S603 - ours
        for line in child.stdout or ():
            said = json.loads(line)
            if "state" in said:
                verdict = Verdict(State(said["state"]), said["reason"], said["by_holdtime"])
            else:
                last = said["reading"]
                told(last)
        code = child.wait()
    if verdict is not None:
        return verdict
    if -code in _CRASHES:
        at = f"reading {last}" if last else "opening it"
        state = State.NOT_READ if last else State.NOT_OPENED
        return Verdict(state, f"DuckDB ended with {signal.Signals(-code).name} while {at}")
    return Verdict(State.UNKNOWN, f"the process that reads it ended with {code}")


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m warehouse.verify", description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--deep", action="store_true")
    arguments = parser.parse_args()
    verdict = Verdict(State.SOUND)
    for step in _steps(arguments.path, deep=arguments.deep):
        if isinstance(step, Verdict):
            verdict = step
        else:
            print(json.dumps({"reading": step}), flush=True)  # noqa: T201 - the parent reads it
    print(json.dumps(asdict(verdict)), flush=True)  # noqa: T201


def _steps(path: Path, *, deep: bool) -> Iterator[str | Verdict]:
    """The names of the columns, each before it is read; at last why not all could be, if so."""
    with in_memory(memory_limit=MEMORY, temp_directory="") as db:
        try:
            attach(db, path, "examined", "read_only", must_exist=True)
            db.execute("use examined")
            columns = db.execute(
                "select table_name, column_name from duckdb_columns() "
                "where database_name = 'examined' and table_name in (select table_name from duckdb_tables() "
                "where database_name = 'examined') order by all"
            ).fetchall()
        except (WarehouseError, duckdb.Error) as error:
            yield _verdict(error, State.NOT_OPENED, "")
            return
        for table, column in columns if deep else ():
            yield f"{table}.{column}"
            try:
                # hash reads every value; count would be content with how many there are
                db.execute(f'select bit_xor(hash("{column}")) from "{table}"').fetchall()
            except duckdb.Error as error:
                yield _verdict(error, State.NOT_READ, f"{table}.{column}: ")
                return


def _verdict(error: WarehouseError | duckdb.Error, state: State, where: str) -> Verdict:
    if isinstance(error, LockedError):
        return Verdict(State.HELD, str(error), error.by_holdtime)
    blamed = isinstance(error, DamagedError) or trouble(error) in {Trouble.DAMAGED, Trouble.FAULT}
    return Verdict(state if blamed else State.UNKNOWN, where + first_line(error))


if __name__ == "__main__":
    _main()
