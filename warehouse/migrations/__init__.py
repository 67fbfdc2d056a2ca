"""How a warehouse that an older holdtime made becomes one of this holdtime's schema.

Every version of the schema has a line in `MIGRATIONS`. Where SQL can say what changes, it is a file of this folder, run
on the warehouse as it is, in one transaction. Where what is stored must be read anew from the events' bodies, it is
`REREAD`: a new warehouse is made beside the old one, and takes its place (`processors/replay/migration.py`).
"""

from collections.abc import Mapping
from importlib.resources import files

import duckdb

REREAD = None

MIGRATIONS: Mapping[int, str | None] = {
    2: REREAD,
    3: REREAD,
    4: REREAD,
}
"""How each version is reached from the one before it: by a file's statements, or by reading all events anew."""


def statements(found: int, expected: int, migrations: Mapping[int, str | None] = MIGRATIONS) -> dict[int, str] | None:
    """What to run for each version after `found` up to `expected`, in order; None where events must be read anew.

    Reading anew leads to the present schema at once, whatever lies between.
    """
    steps: dict[int, str] = {}
    for version in range(found + 1, expected + 1):
        name = migrations[version]
        if name is REREAD:
            return None
        steps[version] = files(__package__).joinpath(name).read_text()
    return steps


def apply(db: duckdb.DuckDBPyConnection, steps: Mapping[int, str]) -> None:
    """Run the statements of each version in one transaction, and a checkpoint after each."""
    for version, sql in steps.items():
        db.begin()
        try:
            db.execute(sql)
            db.execute("update warehouse set schema_version = ?", [version])
        except duckdb.Error:
            db.rollback()
            raise
        db.commit()
        db.execute("checkpoint")
