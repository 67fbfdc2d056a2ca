"""What a report says about the definitions that held for its queues: a table, sentences, and numbers put in."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from reports import humanize
from reports.calendar.hours import WEEKDAYS, Opening
from reports.measures.definitions import Ratio, ValueKind
from reports.measures.measures import (
    ABANDONMENT,
    MEANS,
    VARIANTS,
)
from reports.request import scope
from reports.request.effective_policy import EffectivePolicy
from reports.request.request import Request
from reports.tables.report import Column, Section
from reports.tables.visit_tables import QUEUE, Tables

_COLUMNS = (
    QUEUE,
    Column("since", "From", ValueKind.TIME, 1),
    Column("until", "Until", ValueKind.TIME, 3),
    Column("threshold_secs", "Threshold (s)", ValueKind.NUMBER, 1),
    Column("short_abandon_secs", "Short abandon (s)", ValueKind.NUMBER, 2),
    Column("target", "Target", ValueKind.RATE, 1),
    Column("variant", "Variant", ValueKind.TEXT, 2),
    Column("business_hours", "Business hours", ValueKind.TEXT, 3),
    Column("holidays", "Holidays", ValueKind.TEXT, 4),
    Column("tz", "Time zone", ValueKind.TEXT, 4),
)
_TYPES: Mapping[ValueKind, Any] = {
    ValueKind.TEXT: pl.String,
    ValueKind.TIME: pl.Datetime("us", "UTC"),
    ValueKind.NUMBER: pl.Float64,
    ValueKind.RATE: pl.Float64,
}


def sections(tables: Tables) -> list[Section]:
    """Return the definitions that held, where queues have policies, and the formulas in numbers, if asked for."""
    return [
        *([section(tables.held)] if tables.has_policies else []),
        *([explained(tables)] if tables.request.explain else []),
    ]


def section(held: Sequence[EffectivePolicy]) -> Section:
    """Return the definitions that held, one row each; the queue is null for all queues without a policy."""
    rows = [
        {
            **{name: getattr(each, name) for name in ("queue", "since", "until", "target", "variant", "tz")},
            "threshold_secs": float(each.threshold_secs),
            "short_abandon_secs": float(each.short_abandon_secs),
            "business_hours": None if each.hours is None else hours_in_words(each.hours),
            "holidays": ", ".join(f"{day}" for day in each.holidays) or None,
        }
        for each in held
    ]
    schema = {column.name: _TYPES[column.kind] for column in _COLUMNS}
    return Section("definitions", "Definitions that held", _COLUMNS, pl.DataFrame(rows, schema=schema))


def hours_in_words(hours: Sequence[Opening]) -> str:
    """Return business hours as they are written down, one weekday after another: mon 09:00-17:00."""
    return ", ".join(f"{WEEKDAYS[each.weekday]} {_clock(each.from_)}-{_clock(each.to)}" for each in hours) or "closed"


def _clock(minutes: int) -> str:
    return f"{minutes // 60 % 24 if minutes != 24 * 60 else 24:02}:{minutes % 60:02}"


def notes(tables: Tables) -> list[str]:
    """Return which definition held for which queue when, in sentences; nothing where no queue has a policy."""
    if not tables.has_policies:
        return []
    said = [f"{_whose(each)}{_when(each, tables.request)}: {policy_in_words(each)}." for each in tables.held]
    if len(said) > 1:
        said.insert(0, "A visit is judged by the definition of its queue that held when it was enqueued:")
    return said


def policy_in_words(policy: EffectivePolicy) -> str:
    """Return a policy: within 20 s (short abandons: wait < 5 s), target 80 %, the variant answered_only."""
    within, short = humanize.seconds(policy.threshold_secs), humanize.seconds(policy.short_abandon_secs)
    goal = humanize.target(policy.target)
    return f"within {within} (short abandons: wait < {short}), target {goal}, the variant {policy.variant}"


def _whose(policy: EffectivePolicy) -> str:
    return "Queues of which nothing is agreed" if policy.queue is None else f"Queue {humanize.name(policy.queue)}"


def _when(policy: EffectivePolicy, request: Request) -> str:
    since, until = (humanize.moment(at, request.zone) for at in (policy.since, policy.until))
    return (f" from {since}" if policy.since else "") + (f" until {until}" if policy.until else "")


def explained(tables: Tables) -> Section:
    """Return the rates of each queue and of all as formulas with the numbers put in."""
    frame = tables.table(["queue"])
    keys = [column for column in tables.keys(["queue"]) if column.name == "since"]
    rows = [
        {**{key.name: row[key.name] for key in (QUEUE, *keys)}, "of": row["variant"] if keys else None, "row": row}
        for row in frame.iter_rows(named=True)
    ]
    total = tables.table([]).row(0, named=True)
    rows.append(
        {"queue": scope.whole(tables.request), **dict.fromkeys(key.name for key in keys), "of": None, "row": total}
    )
    formulas = [
        {
            **{key.name: row[key.name] for key in (QUEUE, *keys)},
            "measure": ratio.name,
            "formula": ratio.formula,
            "worked": ratio.worked(row["row"]),
            "value": _value(row["row"][ratio.name], ratio),
            "shown": "service level"
            if ratio.name == f"service_level_{row['of'] or tables.effective_request.variant}"
            else None,
        }
        for row in rows
        for ratio in (*VARIANTS.values(), *ABANDONMENT, *MEANS)
    ]
    columns = (
        QUEUE,
        *keys,
        Column("measure", "Measure", ValueKind.TEXT, 1),
        Column("formula", "Formula", ValueKind.TEXT, 3),
        Column("worked", "In numbers", ValueKind.TEXT, 1),
        Column("value", "Value", ValueKind.TEXT, 1),
        Column("shown", "Shown as", ValueKind.TEXT, 4),
    )
    schema = {column.name: _TYPES[column.kind] for column in columns}
    return Section("explained", "Formulas with the numbers put in", columns, pl.DataFrame(formulas, schema=schema))


def _value(value: float | None, ratio: Ratio) -> str:
    return humanize.percent(value) if ratio.kind is ValueKind.RATE else humanize.duration(value)
