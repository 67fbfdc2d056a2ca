"""Small words for asking DuckDB."""

from typing import Any

import duckdb


def value(db: duckdb.DuckDBPyConnection, statement: str, parameters: Any = None) -> Any:
    """The first column of the first row, or None where there is no row.

    Fetches everything: DuckDB 2 keeps a connection busy until a result has been read to its end. For a statement that
    changes rows this is how many it changed.
    """
    rows = run(db, statement, parameters).fetchall()
    return rows[0][0] if rows else None


def run(db: duckdb.DuckDBPyConnection, statement: str, parameters: Any = None) -> duckdb.DuckDBPyConnection:
    """Execute a statement that is executed again and again, and is one of few: it is parsed only once.

    To parse a statement takes DuckDB as long as to plan it.
    """
    if statement not in _parsed:
        _parsed[statement] = db.extract_statements(statement)
    *first, last = _parsed[statement]
    for each in first:
        db.execute(each)
    return db.execute(last, parameters)


_parsed: dict[str, list[duckdb.Statement]] = {}
