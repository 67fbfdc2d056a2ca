"""The steps of landing, in order: each takes and gives relations of the connection, which `relations` declares."""

from datetime import datetime, timedelta

import duckdb

from eventlog.batch import Positions
from processors.entities import conflicts, history, open_entities, twins
from processors.events import rejected
from processors.events.reading import Summary
from processors.facts import derivation
from processors.facts.derivation import Derived, Evaluation
from processors.landing import duplicates, evaluation, positions, reopening, replacing, speculation, storing
from processors.landing.duplicates import New
from processors.landing.landed import Landed
from processors.landing.prepared import Read, Speculation
from processors.outbox.outbox import Outbox


def land(
    db: duckdb.DuckDBPyConnection,
    summary: Summary,
    read: Read | None,
    *,
    reached: Positions,
    now: datetime,
    longest_wait: timedelta,
    outbox: Outbox | None,
    reprocess: bool = False,
) -> Landed:
    """Land the batch that is `fresh` and `delivered`, within a transaction that the caller has opened.

    Order: positions, records that are no event, duplicates, the entities that the rest touches, their facts, the
    outbox, and last the events themselves: lookups find in the warehouse what landed before, and in `fresh` the batch.

    Repetition: all of it is one transaction with the positions that it reached. A process that dies at any step has
    changed nothing, and the next one lands the same batch from the same position. A batch that landed before changes
    nothing: its events are duplicates.

    Loss: none. A record becomes an event, or a row of `rejected` with its bytes, or it is a duplicate of an event that
    is stored. With `reprocess`, the records come out of `rejected`, and those that are still no event stay there.
    """
    before = evaluation.last(db)
    evaluated = Evaluation(evaluation.evaluation_time(db, now), longest_wait)
    positions.advance(db, reached, now)
    evaluation.note(db, evaluated.at)
    reopening.begin(db)
    unreadable = _set_aside(db, summary, now, reprocess=reprocess)
    new = duplicates.drop(db, summary, now)
    reopening.add(db, before, evaluated)
    facts, contradictions = _derive(
        db,
        new,
        evaluated,
        now,
        alone=summary.alone,
        speculated=None if read is None else read.speculation,
        outbox=outbox,
    )
    events = storing.append(db, summary, now, from_table=read is not None)
    return Landed(
        records=summary.records,
        events=events,
        duplicates=summary.records - unreadable - events,
        rejected=unreadable,
        contradictions=new.contradictions + contradictions,
        facts=facts,
    )


def _set_aside(db: duckdb.DuckDBPyConnection, summary: Summary, now: datetime, *, reprocess: bool) -> int:
    """Leave in `fresh` the records that are events; returns how many are none."""
    if reprocess:
        return rejected.release(db)
    return rejected.keep(db, now) if summary.rejected else 0


def _derive(
    db: duckdb.DuckDBPyConnection,
    new: New,
    evaluated: Evaluation,
    now: datetime,
    *,
    alone: bool,
    speculated: Speculation | None,
    outbox: Outbox | None,
) -> tuple[dict[str, int], int]:
    """Derive the facts of all episodes that `fresh` and `reopened` touch; returns rows written, and contradictions.

    Of the entities whose speculation holds (`foreseen`), the facts are stored as they are; the others are derived.
    """
    open_before = history.look_up(db, new.ranges, evaluated.at)
    if open_before is None:
        return {}, 0
    if speculated is not None:
        speculation.accept(db, speculated.facts)
    lasting = history.find_touched(db, "fresh", alone=alone, besides="" if speculated is None else "foreseen")
    derived = derivation.derive(db, evaluated)
    facts = replacing.replace(db, derived, outbox)
    if lasting or any(start < open_before for start, _ in derived.ranges):
        open_entities.note(db, open_before, now)
    contradictions = _name_versions(db, derived, now)
    if speculated is not None:
        for table in speculated.facts:
            facts[table] = facts.get(table, 0) + speculation.store(db, table, outbox)
        speculation.name_open(db, open_before, now)
    return facts, contradictions


def _name_versions(db: duckdb.DuckDBPyConnection, derived: Derived, now: datetime) -> int:
    """Name the events in hand that do not count; returns how many are versions of another."""
    contradictions = conflicts.remember(db, derived.ranges, now) if derived.disputed else 0
    if derived.twinned:
        twins.remember(db, derived.ranges, now)
    return contradictions
