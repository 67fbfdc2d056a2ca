"""A connection that fails at a chosen statement."""

from typing import Any, Self

import duckdb


class InterruptedLandingError(Exception):
    """What the tests make a statement fail with."""


class Fragile:
    """A connection of which the n-th statement, counted from now, fails before it does anything.

    The statements of connections made of it count as its own.
    """

    def __init__(self, db: duckdb.DuckDBPyConnection) -> None:
        """Work until told otherwise."""
        self._db = db
        self._made_of: Fragile | None = None
        self.left: int | None = None

    def cursor(self) -> "Fragile":
        """Another connection, as fragile as this one."""
        made = Fragile(self._db.cursor())
        made._made_of = self
        return made

    def __getattr__(self, name: str) -> Any:
        """Everything that is not a statement works."""
        return getattr(self._db, name)

    def execute(self, *arguments: Any) -> Any:
        """Do it, unless it is the one."""
        self._counted()
        return self._db.execute(*arguments)

    def begin(self) -> Self:
        """Do it, unless it is the one."""
        self._counted()
        self._db.begin()
        return self

    def _counted(self) -> None:
        (self._made_of or self)._count()

    def _count(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise InterruptedLandingError
