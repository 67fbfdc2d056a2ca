"""File descriptors: DuckDB ends the whole process where it opens a database and finds none left."""

import os

_ENOUGH = 8
"""More than DuckDB has open at one moment while it opens a database."""


def require() -> None:
    """Raise OSError when fewer descriptors are left than opening a database takes."""
    held: list[int] = []
    try:
        for _ in range(_ENOUGH):
            held.append(os.open(os.devnull, os.O_RDONLY))  # noqa: PERF401 - those opened so far must be closed
    finally:
        for descriptor in held:
            os.close(descriptor)
