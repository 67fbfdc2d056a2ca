"""Which definitions the facts in a warehouse follow from, as a digest that any change of a rule changes.

A rule is a statement that the database runs between the bytes of a delivery and a fact, with its parameters. The types
of event on which facts rest are rules, too. Comments, line breaks and the place of a statement in the source are not.
"""

import re
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from hashlib import sha256
from typing import Any, Self, cast

import duckdb

from processors.entities import history, identity
from processors.events import columns, reading
from processors.facts import EVENT_TYPES, FACTS, derivation
from processors.facts.derivation import Evaluation, Found
from warehouse.instants import EPOCH

DIGITS = 12

SAME: dict[str, str] = {}
"""Older digests, which covered the bytes of source files, each with the digest of the same rules."""

_WORD = re.compile(r"--[^\n]*|(?P<word>'(?:[^']|'')*'|[^\s'-]+|-)|\s+")


@cache
def digest() -> str:
    """Twelve hexadecimal digits over all that makes facts out of bodies. Equal digests, equal facts."""
    taken = sha256()
    for rule in dict.fromkeys(map(words, rules())):
        taken.update(rule.encode() + b"\0")
    return taken.hexdigest()[:DIGITS]


def rules() -> Iterator[str]:
    """All rules, in an order of their own."""
    yield reading.STATEMENT
    for fact in FACTS:
        yield f"{fact.table} {sorted(fact.event_types)}"
    # With events of the reconciler's own and without, facts follow by other statements; their parameters are the same.
    for types in (EVENT_TYPES, frozenset(each for each in EVENT_TYPES if not each.startswith("reconciler."))):
        recorder = Recorder()
        db = cast("duckdb.DuckDBPyConnection", recorder)  # all that the rules need of one
        columns.prepare(db, EVENT_TYPES)
        identity.resolve(db, [(EPOCH, EPOCH)], alone=True, tables=[fact.table for fact in FACTS])
        history.find_touched(db, "fresh", alone=True)
        found = Found(types, only_webhooks=False, quarters=[], disputed=True, half_named=True, twinned=True)
        derivation.resolve(db, found)
        for fact in FACTS:
            query = fact.query(observed=found.observed)
            yield f"{query} {sorted(Evaluation(EPOCH, timedelta(0)).parameters_of(query))}"
        yield from recorder.statements


class Recorder:
    """A connection that runs nothing: it keeps what it is given, and every number that it is asked for is 1."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def extract_statements(self, statements: str) -> list[duckdb.Statement]:
        """As the connection of DuckDB does."""
        return duckdb.extract_statements(statements)

    def execute(self, statement: duckdb.Statement, parameters: Any = None) -> Self:
        """Keep the statement, with its parameters."""
        self.statements.append(f"{statement.query} {parameters}")
        return self

    def fetchall(self) -> list[tuple[int, int]]:
        """One row."""
        return [(1, 1)]


def words(rule: str) -> str:
    """A statement without its comments, with one space between any two words."""
    return " ".join(found["word"] for found in _WORD.finditer(rule) if found["word"])


def note(db: duckdb.DuckDBPyConnection) -> None:
    """Note that facts are derived by these definitions from now on; what was derived before keeps its note, too."""
    for other, same in SAME.items():
        db.execute("update fact_definitions set digest = ? where digest = ?", [same, other])
    db.execute(
        "insert into fact_definitions select $digest where $digest not in (select digest from fact_definitions)",
        {"digest": digest()},
    )


def note_only(db: duckdb.DuckDBPyConnection) -> None:
    """Note that every fact follows from these definitions."""
    db.execute("delete from fact_definitions")
    note(db)
