"""Small words for asking DuckDB."""

from typing import Any

import duckdb


def value(db: duckdb.DuckDBPyConnection, statement: str, parameters: Any = None) -> Any:
    """The first column of the first row, or None where there is no row.

    Fetches everything: DuckDB 2 keeps a connection busy until a result has been read to its end. For a statement that
    changes rows this is how many it changed.
    """
    rows = db.execute(statement, parameters).fetchall()
    return rows[0][0] if rows else None
