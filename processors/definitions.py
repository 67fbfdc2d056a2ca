"""Which definitions the facts in a warehouse follow from, as a digest that any change of them changes."""

from functools import cache
from hashlib import sha256
from importlib.resources import files

import duckdb

DIGITS = 12

_MODULES = (
    "contradictions.py",
    "derivation.py",
    "history.py",
    "identity.py",
    "lives.py",
    "origins.py",
    "twins.py",
    "facts/__init__.py",
)
"""What decides, beside the SQL, which events a fact is derived from."""


@cache
def digest() -> str:
    """Twelve hexadecimal digits over all that makes facts out of bodies. Equal digests, equal facts."""
    package = files(__package__)
    folders = {"": package, "facts/": package.joinpath("facts")}
    statements = [
        folder + each.name
        for folder, place in folders.items()
        for each in place.iterdir()
        if each.name.endswith(".sql")
    ]
    taken = sha256()
    for name in sorted((*statements, *_MODULES)):
        taken.update(name.encode() + b"\0" + package.joinpath(name).read_bytes() + b"\0")
    return taken.hexdigest()[:DIGITS]


def note(db: duckdb.DuckDBPyConnection) -> None:
    """Note that facts are derived by these definitions from now on; what was derived before keeps its note, too."""
    db.execute(
        "insert into fact_definitions select $digest where $digest not in (select digest from fact_definitions)",
        {"digest": digest()},
    )


def note_only(db: duckdb.DuckDBPyConnection) -> None:
    """Note that every fact follows from these definitions."""
    db.execute("delete from fact_definitions")
    note(db)
