"""Facts as they were known at a position of the log, derived from the events that had landed by then."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from processors.replay import as_of
from reports.errors import RequestError
from reports.source import Source
from warehouse.scratch import SCRATCH, SOURCE, opened_scratch

_POSITION = re.compile(r"\d+|\d+:\d+(,\d+:\d+)*", re.ASCII)


@contextmanager
def known_at(replica: Path, position: str) -> Iterator[Source]:
    """Yield the facts as of a position, in a scratch database that is gone afterwards.

    Raises RequestError for a text that is no position, and UnreachedError for one that has not landed.
    """
    with opened_scratch(replica) as db:
        yield _source(db, positions_of(position, _landed(db)), "known")


@contextmanager
def known_between(replica: Path, first: str, last: str | None) -> Iterator[tuple[Source, Source]]:
    """Yield the facts as of two positions; without a second one, as of the last that landed.

    Raises RequestError and UnreachedError as `known_at`.
    """
    with opened_scratch(replica) as db:
        landed = _landed(db)
        start = positions_of(first, landed)
        end = landed if last is None else positions_of(last, landed)
        as_of.require_reached(start, landed)
        as_of.require_reached(end, landed)
        if any(offset > end.get(partition, -1) for partition, offset in start.items()):
            raise RequestError(
                f"position {first} is not before {last or 'the last that landed'}: expected the earlier of two "
                "positions first"
            )
        yield _source(db, start, "before"), _source(db, end, "after")


def _landed(db: duckdb.DuckDBPyConnection) -> dict[int, int]:
    return dict(db.execute(f"select log_partition, log_offset from {SOURCE}.log_positions").fetchall())


def _source(db: duckdb.DuckDBPyConnection, positions: dict[int, int], schema: str) -> Source:
    """Derive the facts as of a position in a new schema, and return a connection of its own to read them."""
    schema = f"{SCRATCH}.{schema}"
    db.execute(f"create schema {schema}")
    db.execute(f"use {schema}")
    clock = as_of.derive(db, positions)
    reader = db.cursor()
    reader.execute(f"use {schema}")
    return Source(reader, as_of=clock, schema=schema)


def positions_of(text: str, landed: dict[int, int]) -> dict[int, int]:
    """Return the offset of each partition that a text names: 12345 where there is one partition, or 0:12345,1:678."""
    if not _POSITION.fullmatch(text) or any(len(digits) > 18 for digits in re.findall(r"\d+", text)):
        raise RequestError(
            f"position {text!r} is not one of a log: expected an offset such as 12345, or 0:12345,1:678 for several "
            "partitions; every report says which position it rests on"
        )
    if ":" not in text and len(landed) > 1:
        raise RequestError(
            f"position {text} does not say of which partition: the log has {len(landed)}; expected something like "
            + ",".join(f"{partition}:{text}" for partition in sorted(landed))
        )
    pairs = [(next(iter(landed), 0), int(text))] if ":" not in text else [_pair(pair) for pair in text.split(",")]
    if len(dict(pairs)) < len(pairs):
        raise RequestError(f"position {text} names a partition twice: expected each once")
    return dict(pairs)


def _pair(text: str) -> tuple[int, int]:
    partition, offset = text.split(":")
    return int(partition), int(offset)
