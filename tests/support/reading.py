"""Whether a batch with hostile bodies in it landed as it must, judged by a plain reading of each body.

The reading is Python's own `json`, and stricter than it: where a body is no JSON to the letter, says a thing twice or
writes a time in an unusual way, nothing is expected of it but that it is kept, once, and harms nobody.
"""

import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from processors.facts import FACTS
from processors.landing.landing import Landing
from tests.support.builders import Warehouse, opened_warehouse
from tests.support.hostile import Hostile
from warehouse.database import open_writer

REASONS = {"not_utf8", "not_json", "no_event_id", "no_event_type"}
NAMES = ("call_control_id", "call_leg_id", "call_session_id", "connection_id", "conference_id", "queue")
WITH_A_REASON = {"call.dequeued", "conference.ended"}
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII)
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)

Row = dict[str, Any]


class AmbiguousError(Exception):
    """Two readers may understand this body differently."""


@dataclass
class Mixed:
    """What became of a batch: how much of it there was, and every law that it broke, in words."""

    bodies: int = 0
    events: int = 0
    duplicates: int = 0
    rejected: int = 0
    good: int = 0
    faults: list[str] = field(default_factory=list)


def expected(body: bytes) -> str | Row:
    """Why there is no event in a body, or the columns that are certain of the one there is. Raises AmbiguousError."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return "not_utf8"
    document = _document(text)
    event = _event(document)
    event_id, event_type = _text(event, "id"), _text(event, "event_type")
    if not event_id:
        return "no_event_id"
    if not event_type:
        return "no_event_type"
    payload = event.get("payload")
    found: Row = {"event_id": event_id, "event_type": event_type}
    if "." not in event_type:
        found["event_type"] = event_type.replace("_", ".")
    for name in (*NAMES, "reason") if found["event_type"] in WITH_A_REASON else NAMES:
        said = payload.get(name) if isinstance(payload, dict) else None
        if said is None or isinstance(said, str):
            found[name] = said
    return found | _dated(event, payload if isinstance(payload, dict) else {})


def _document(text: str) -> Any:
    """The document, with its numbers as texts. Raises AmbiguousError for what is no JSON to the letter."""

    def once(pairs: list[tuple[str, Any]]) -> Row:
        if len({name for name, _ in pairs}) < len(pairs):
            raise AmbiguousError("a field twice")
        return dict(pairs)

    def constant(name: str) -> Any:
        raise AmbiguousError(name)

    try:
        document = json.loads(
            text, object_pairs_hook=once, parse_int=_Number, parse_float=_Number, parse_constant=constant
        )
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise AmbiguousError("half a character") from None
    except RecursionError:
        raise AmbiguousError("too deep for Python") from None
    except json.JSONDecodeError:
        raise AmbiguousError("no JSON, or some looser kind of it") from None
    return document


class _Number(float):
    """A number that cannot be mistaken for a text, without Python's limits on how long it may be."""

    def __new__(cls, _: str) -> "_Number":
        return super().__new__(cls, 0)


def _event(document: Any) -> Row:
    """The event in its envelope; an empty one where there is something else."""
    if not isinstance(document, dict):
        return {}
    inner = document.get("data")
    if inner is None and "event_type" not in document:
        metadata = document.get("metadata")
        inner = metadata.get("event") if isinstance(metadata, dict) else None
        inner = document.get("webhook") if inner is None else inner
    event = document if inner is None else inner
    return event if isinstance(event, dict) else {}


def _text(event: Row, name: str) -> str | None:
    said = event.get(name)
    if said is not None and not isinstance(said, str):
        raise AmbiguousError(f"{name} of another type")
    return said


def _dated(event: Row, payload: Row) -> Row:
    """When it happened and who says so, as long as nobody before wrote something unusual."""
    for said, place in (
        (event.get("occurred_at"), "occurred_at"),
        (payload.get("occurred_at"), "payload.occurred_at"),
        (event.get("created_at"), "created_at"),
        (payload.get("recording_ended_at"), "payload.recording_ended_at"),
    ):
        if not isinstance(said, str) or not said:
            continue
        try:
            at = datetime.fromisoformat(said) if INSTANT.fullmatch(said) else None
        except ValueError:
            at = None
        if at is None:
            return {}
        if EARLIEST <= at < LATEST:
            return {"occurred_at": at, "occurred_at_source": place}
    return {"occurred_at_source": "received_at"}


def landed_among(hostile: Sequence[Hostile], good: Sequence[bytes], folder: Path, *, seed: int, batch: int) -> Mixed:
    """Land hostile and good bodies, shuffled, `batch` at a time, in a warehouse in `folder`; say what broke which law.

    The laws: nothing is raised; each record is an event, a duplicate or rejected; bytes are kept as they came; what is
    certain of an event is in its row; the good events and their facts are those that they are alone; and all facts are
    those of the same events in another order, and those of a rebuild after the file was closed and opened again.
    """
    rng = random.Random(f"{seed}/mixed")
    bodies = [(each.body, each.name) for each in hostile] + [(body, "good") for body in good]
    rng.shuffle(bodies)
    mixed = Mixed(bodies=len(hostile), good=len(good))
    file = folder / f"mixed-{seed}.duckdb"
    db = open_writer(file)
    warehouse = Warehouse(db, Landing(db))
    for start in range(0, len(bodies), batch):
        part = [body for body, _ in bodies[start : start + batch]]
        try:
            landed = warehouse.land_bodies(part)
        except Exception as error:  # noqa: BLE001 - whatever is raised is what is looked for
            mixed.faults.append(f"records {start} to {start + len(part)}: {type(error).__name__}: {error}"[:500])
            break
        mixed.events += landed.events
        mixed.duplicates += landed.duplicates
        mixed.rejected += landed.rejected
        if landed.records != len(part) or landed.events + landed.duplicates + landed.rejected != len(part):
            mixed.faults.append(f"records {start} to {start + len(part)}: {landed} does not add up")
    else:
        mixed.faults += _kept(warehouse, bodies)
        mixed.faults += _unaffected(warehouse, good)
        facts = _facts(warehouse)
        with opened_warehouse() as backwards:
            backwards.land_bodies([row["body"].encode() for row in warehouse.dicts("events")[::-1]])
            mixed.faults += [f"{name} depends on the order" for name in facts if backwards.rows(name) != facts[name]]
        db.close()
        db = open_writer(file)
        warehouse = Warehouse(db, Landing(db))
        warehouse.rebuild()
        mixed.faults += [
            f"{name} is not what a rebuild makes of it" for name in facts if warehouse.rows(name) != facts[name]
        ]
    db.close()
    file.unlink()
    return mixed


def _kept(warehouse: Warehouse, bodies: Sequence[tuple[bytes, str]]) -> Iterator[str]:
    """The records, numbered from 1, that are not where they belong."""
    events = {row["log_offset"]: row for row in warehouse.dicts("events")}
    rejected = {row["log_offset"]: row for row in warehouse.dicts("rejected")}
    if events.keys() & rejected.keys():
        yield f"both events and rejected: {sorted(events.keys() & rejected.keys())[:5]}"
    known = {row["event_id"] for row in events.values()}
    # An id that two legs share, as made-up ones may, stands for two events: contents are rivals within one life only.
    told = Counter((row["event_id"], row["entity"], row["occurred_at"].date()) for row in events.values())
    if told.total() != len(told):
        yield f"an event id is there twice: {told.most_common(1)}"
    for offset, (body, name) in enumerate(bodies, 1):
        event, refused = events.get(offset), rejected.get(offset)
        said = event["body"].encode() if event else refused["body"] if refused else body
        if said != body:
            yield f"record {offset} ({name}): other bytes were kept than came: {body[:300]!r}"
        elif fault := _misread(body, event, refused, known):
            yield f"record {offset} ({name}): {fault}: {body[:300]!r}"


def _misread(body: bytes, event: Row | None, refused: Row | None, known: set[str]) -> str | None:
    """What is wrong with the place where a body ended up."""
    if refused and refused["reason"] not in REASONS:
        return f"rejected for an unknown reason, {refused['reason']}"
    if event and not EARLIEST <= event["occurred_at"] < LATEST:
        return f"an instant out of bounds, {event['occurred_at']}"
    try:
        certain = expected(body)
    except AmbiguousError:
        return None
    found: str | Row = refused["reason"] if refused else event or "neither an event nor rejected"
    if isinstance(certain, str) or isinstance(found, str):
        is_duplicate = not refused and not event and not isinstance(certain, str) and certain["event_id"] in known
        return None if found == certain or is_duplicate else f"expected {certain}, found {found}"
    wrong = {name: found[name] for name, value in certain.items() if found[name] != value}
    return f"expected { ({name: certain[name] for name in wrong}) }, found {wrong}" if wrong else None


def _unaffected(warehouse: Warehouse, good: Sequence[bytes]) -> Iterator[str]:
    """The tables in which the good events are not what they are alone."""
    with opened_warehouse() as alone:
        alone.land_bodies(good)
        entities = {row["entity"] for row in alone.dicts("events")}
        for table in ("events", *(fact.table for fact in FACTS)):
            wanted = _comparable(alone.dicts(table))
            found = _comparable(row for row in warehouse.dicts(table) if row["entity"] in entities)
            if wanted != found:
                here = [row for row in found if row not in wanted][:2]
                there = [row for row in wanted if row not in found][:2]
                yield f"good {table}: {here} among others, {there} alone"


def _comparable(rows: Iterable[Row]) -> list[str]:
    return sorted(repr({name: value for name, value in row.items() if name != "log_offset"}) for row in rows)


def _facts(warehouse: Warehouse) -> dict[str, list[tuple[Any, ...]]]:
    return {fact.table: warehouse.rows(fact.table) for fact in FACTS}
