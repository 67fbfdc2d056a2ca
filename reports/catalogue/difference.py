"""What differs between a report as of one position of the log and as of another, and which events made it so.

An event is **late** when it occurred before the newest event that was known at the first position: the figures of its
time had been reported without it. All other events only add to what was known. Where an event's time is later than its
receipt, the receipt counts: one wrong clock must not make all that follows late.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import polars as pl

from reports import humanize
from reports.catalogue.evidence import Evidence
from reports.catalogue.registry import evidence_of, run
from reports.formats import cells
from reports.measures.definitions import ValueKind
from reports.request.request import Request
from reports.source import Source
from reports.tables import notes
from reports.tables.report import (
    Column,
    Report,
    Section,
)
from reports.tables.visits import Period

MAX_IN_WORDS = 200
_KEYS = ("queue", "interval_start", "since")
_FOR_MACHINES = 8
_EVENT_COLUMNS = (
    Column("late", "Late", ValueKind.FLAG, 1),
    Column("event_type", "Event", ValueKind.TEXT, 1),
    Column("occurred_at", "Occurred", ValueKind.TIME, 1),
    Column("received_at", "Received", ValueKind.TIME, 3),
    Column("lateness_ms", "After", ValueKind.DURATION, 2, "received_at - occurred_at"),
    Column("position", "Position", ValueKind.TEXT, 2),
    Column("event_id", "Event id", ValueKind.TEXT, 3),
    Column("entity", "Leg or conference", ValueKind.TEXT, 4),
)

_EVENT_TYPES: Mapping[ValueKind, Any] = {
    ValueKind.FLAG: pl.Boolean,
    ValueKind.TEXT: pl.String,
    ValueKind.TIME: pl.Datetime("us", "UTC"),
    ValueKind.DURATION: pl.Int64,
}
_EVENT_SCHEMA = {column.name: _EVENT_TYPES[column.kind] for column in _EVENT_COLUMNS}


def difference(
    name: str, before: Source, after: Source, request: Request, event_types: Mapping[str, Collection[str]]
) -> Report:
    """Return which figures of a report differ, and the events between the two positions behind them.

    `before` and `after` are schemas of one database, each with the facts and `stored_events` as of its position;
    `event_types` says by table what its facts rest on. Raises RequestError.
    """
    evidence = evidence_of(name)
    earlier, later, asked = _both(name, before, after, request)
    figures = _figures(earlier, later)
    events, unexplained = _events(evidence, (before, after), later, figures, event_types[evidence.facts.table])
    shown = figures.filter(pl.col("priority") < _FOR_MACHINES).head(MAX_IN_WORDS)
    return replace(
        later,
        name="difference",
        title=f"What changed: {later.title[0].lower()}{later.title[1:]}",
        request=asked,
        sections=(
            _in_words(shown, figures, later),
            Section("figures", "Figures that differ", _figure_columns(later), figures, aside=True),
            Section("events", "Events behind them", _EVENT_COLUMNS, events),
        ),
        main="figures",
        headline=(),
        definition={
            "report": name,
            "before": earlier.basis.position,
            "after": later.basis.position,
            "late": "occurred before the newest event known at the first position",
        },
        notes=(
            f"Between log positions {earlier.basis.position} and {later.basis.position}, {_counted(figures, events)}",
            *_reservations(shown.height, figures.height, unexplained),
            *notes.foundations(later.basis, later.configuration, later.measure_definitions, asked.now),
        ),
        charts=(),
    )


def _both(name: str, before: Source, after: Source, request: Request) -> tuple[Report, Report, Request]:
    """Return the report as of both positions, over one period: all that either of them covers."""
    request = replace(request, now=after.as_of or request.now)
    earlier, later = run(name, before, request), run(name, after, request)
    starts = [each.from_ for each in (earlier, later) if each.from_ is not None]
    ends = [each.to for each in (earlier, later) if each.to is not None]
    if starts and ends and (earlier.from_, earlier.to) != (later.from_, later.to):
        common = replace(request, from_=min(starts), to=max(ends))
        earlier, later = run(name, before, common), run(name, after, common)
    return earlier, later, request


def _figures(earlier: Report, later: Report) -> pl.DataFrame:
    """Return a row for each figure that differs: keys, measure, title, kind, unit, priority, before, after."""
    frames = []
    for name in dict.fromkeys((later.sections[0].name, later.main)):
        frames.append(_differing(earlier.section(name), later.section(name)))
        totals = [replace(report.section(name), frame=_totals(report.section(name))) for report in (earlier, later)]
        frames.append(_differing(*totals))
    return pl.concat(frames)


def _totals(section: Section) -> pl.DataFrame:
    return section.frame.clear() if section.totals is None else section.totals


def _differing(earlier: Section, later: Section) -> pl.DataFrame:
    keys = [name for name in _KEYS if any(column.name == name for column in later.columns)]
    measures = {column.name: column for column in later.columns if column.formula is not None}
    values = pl.col(*measures).cast(pl.Float64)
    one, other = (
        # Where there are no keys there is one row.
        section.frame.select(pl.lit(0).alias("all"), *keys, values)
        for section in (earlier, later)
    )
    both = one.join(other, on=["all", *keys], how="full", nulls_equal=True, coalesce=True, suffix=" after")
    differs = pl.any_horizontal(pl.col(name).ne_missing(pl.col(f"{name} after")) for name in measures)
    changed = both.filter(differs).with_row_index("row")
    long = [
        changed.select(
            "row", pl.col(f"{name}{suffix}" for name in measures).name.map(lambda c: c.removesuffix(" after"))
        ).unpivot(index="row", variable_name="measure", value_name=value)
        for suffix, value in (("", "before"), (" after", "after"))
    ]
    described = pl.DataFrame(
        [(c.name, c.title, c.kind, c.unit, c.priority) for c in measures.values()],
        schema={"measure": pl.String, "title": pl.String, "kind": pl.String, "unit": pl.String, "priority": pl.Int64},
        orient="row",
    )
    given = [pl.lit(None, dtype=kind).alias(name) for name, kind in _KEY_TYPES.items() if name not in keys]
    return (
        long[0]
        .join(long[1], on=["row", "measure"])
        .filter(pl.col("before").ne_missing(pl.col("after")))
        .join(changed.select("row", *keys), on="row")
        .join(described, on="measure")
        .with_columns(*given)
        .sort(*keys, "priority", "measure", nulls_last=True)
        .select(*_KEY_TYPES, "measure", "title", "kind", "unit", "priority", "before", "after")
    )


_KEY_TYPES: Mapping[str, Any] = {
    "queue": pl.String,
    "interval_start": pl.Datetime("us", "UTC"),
    "since": pl.Datetime("us", "UTC"),
}


def _figure_columns(report: Report) -> tuple[Column, ...]:
    return (
        *_key_columns(report),
        Column("measure", "Measure", ValueKind.TEXT, 1),
        Column("before", "Before", ValueKind.NUMBER, 1),
        Column("after", "After", ValueKind.NUMBER, 1),
        Column("unit", "Unit", ValueKind.TEXT, 2),
    )


def _key_columns(report: Report) -> tuple[Column, ...]:
    columns = {column.name: column for column in (*report.sections[0].columns, *report.section(report.main).columns)}
    return tuple(columns[name] for name in _KEYS if name in columns)


def _in_words(figures: pl.DataFrame, every: pl.DataFrame, report: Report) -> Section:
    """Return figures as people read them, each in its own unit."""
    zone = report.request.zone
    rows = [
        {
            **{name: row[name] for name in _KEYS},
            "measure": row["title"],
            **{
                side: cells.text(_exact(row[side], row["kind"]), Column(side, side, ValueKind(row["kind"])), zone)
                for side in ("before", "after")
            },
        }
        for row in figures.iter_rows(named=True)
    ]
    texts = {"measure": pl.String, "before": pl.String, "after": pl.String}
    columns = (
        *_key_columns(report),
        Column("measure", "Measure", ValueKind.TEXT, 1),
        Column("before", "Before", ValueKind.TEXT, 1, figures=True),
        Column("after", "After", ValueKind.TEXT, 1, figures=True),
    )
    title = f"Figures that differ: {humanize.number(every.height)}"
    return Section("read", title, columns, pl.DataFrame(rows, schema={**_KEY_TYPES, **texts}))


def _exact(value: float | None, kind: str) -> float | int | None:
    return int(value) if value is not None and kind == ValueKind.COUNT and value.is_integer() else value


def _events(
    evidence: Evidence,
    sides: tuple[Source, Source],
    report: Report,
    figures: pl.DataFrame,
    event_types: Collection[str],
) -> tuple[pl.DataFrame, int]:
    """Return the events between the positions on which figures that differ rest.

    Also how many legs or conferences changed figures without one.
    """
    measures = set(figures["measure"])
    if not measures or report.from_ is None or report.to is None:
        return pl.DataFrame(schema=_EVENT_SCHEMA), 0
    before, after = sides
    changed = evidence.changed(before, after, report.request, Period(report.from_, report.to), measures)
    observed = {each for each in event_types if each.startswith("reconciler.")}
    db = after.db
    db.register("changed_facts", changed.to_arrow())
    rows = db.execute(
        f"""
        with fact as (
            select
                *,
                (
                    select min(epoch_us({evidence.facts.moment}))
                    from {evidence.facts.table} as later
                    where later.entity = changed_facts.entity
                    and epoch_us({evidence.facts.moment}) > changed_facts.at
                ) as next_us
            from changed_facts
        )
        select distinct
            occurred_at < (
                select max(least(occurred_at, received_at)) from {before.schema}.stored_events
            ) as late,
            event_type,
            epoch_us(occurred_at),
            epoch_us(received_at),
            epoch_us(received_at) // 1000 - epoch_us(occurred_at) // 1000,
            log_partition || ':' || event.log_offset,
            event_id,
            entity
        from {after.schema}.stored_events as event
        join fact using (entity)
        left join {before.schema}.log_positions as known using (log_partition)
        where event.log_offset > coalesce(known.log_offset, -1)
        and event_type in (select unnest($types::varchar[]))
        and ({evidence.rests})
        order by epoch_us(occurred_at), event_id
        """,
        {"types": sorted({*evidence.event_types(measures), *observed})},
    ).fetchall()
    db.unregister("changed_facts")
    events = pl.DataFrame(rows, schema=_EVENT_SCHEMA, orient="row").with_columns(pl.col("late").fill_null(value=False))
    return events, changed["entity"].n_unique() - events["entity"].n_unique()


def _counted(figures: pl.DataFrame, events: pl.DataFrame) -> str:
    return (
        f"{humanize.number(figures.height)} figures differ, by {humanize.number(events.height)} events, "
        f"{humanize.number(int(events['late'].sum()))} of them late: they occurred before the newest event that was "
        "known at the first position."
    )


def _reservations(shown: int, figures: int, unexplained: int) -> list[str]:
    said = []
    if figures > shown:
        said.append(
            f"The table shows {humanize.number(shown)} figures, those that people read first, and leaves out "
            f"{humanize.number(figures - shown)} more: --format csv has all."
        )
    if unexplained:
        said.append(
            f"{humanize.number(unexplained)} legs or conferences changed without an event of their own: time passed "
            "(who waits for too long becomes unknown), or bridges were heard on their connection for the first time."
        )
    return said
