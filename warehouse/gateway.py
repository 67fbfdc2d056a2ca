"""The gateway: a file of views over the replica, which a dashboard opens once and keeps open.

An open file is the same file for as long as it is open, however often another takes its name. So a program that keeps
the replica open sees old figures for good. The gateway holds no row: each view reads the replica by its name, anew for
every query. It is written once for each start of a process. DuckDB 1.5 and later read it (`read_duckdb`).
"""

import os
from dataclasses import dataclass
from pathlib import Path

import duckdb

from warehouse.catalog import comments, identifier
from warehouse.connection import attach, in_memory, quoted
from warehouse.database import STORAGE_VERSION
from warehouse.errors import explained
from warehouse.wal import beside

_RELATIONS = """
select table_name, null from duckdb_tables() where database_name = 'replica' and not internal
union all
select view_name, sql from duckdb_views() where database_name = 'replica' and not internal
"""


@dataclass(frozen=True, slots=True)
class Gateway:
    """The file, and the path of the replica as its views have it; a relative one is relative to a reader's folder."""

    path: Path
    replica: Path

    def write(self, *, mode: int, group: int | None) -> None:
        """Put the file where readers look for it, in one step. Raises OSError, WarehouseError."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.path.with_name(f".{self.path.name}.unfinished")
        try:
            with explained(self.path):
                unfinished.unlink(missing_ok=True)
                _fill(unfinished, self.replica)
                if group is not None:
                    os.chown(unfinished, -1, group)
                unfinished.chmod(mode)
                beside(self.path).unlink(missing_ok=True)
                unfinished.replace(self.path)
        finally:
            unfinished.unlink(missing_ok=True)
            beside(unfinished).unlink(missing_ok=True)


def _fill(path: Path, replica: Path) -> None:
    with in_memory() as db:
        attach(db, replica, "replica", "read_only", must_exist=True)
        relations: list[tuple[str, str | None]] = db.execute(_RELATIONS).fetchall()
        attach(db, path, "gateway", f"storage_version '{STORAGE_VERSION}'")
        db.execute("use gateway")
        db.begin()
        for name, _ in (each for each in relations if each[1] is None):
            source = f"read_duckdb({quoted(replica)}, table_name = '{name}')"
            db.execute(f"create view {identifier(name)} as from {source}")
        db.commit()
        _make_views(db, [sql for _, sql in relations if sql is not None])
        db.begin()
        for comment in comments(db):
            db.execute(comment)
        db.commit()
        db.execute("checkpoint gateway")


def _make_views(db: duckdb.DuckDBPyConnection, views: list[str]) -> None:
    """Make the replica's own views, each after those that it reads. Raises the error of one that cannot be made."""
    waiting = views
    while waiting:
        failed: dict[str, duckdb.Error] = {}
        for view in waiting:
            try:
                db.execute(view)
            except duckdb.CatalogException as error:
                failed[view] = error
        if len(failed) == len(waiting):
            raise next(iter(failed.values()))
        waiting = list(failed)
