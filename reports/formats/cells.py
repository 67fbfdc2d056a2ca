"""One value of a table as text: for people by its kind, for machines as it is."""

from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from reports import humanize
from reports.measures.definitions import ValueKind
from reports.tables.report import Column, Report

NEARLY = 0.05
_SCORES = frozenset({"completeness", "score"})
"""How far the other figures of a row can be trusted."""


class Grade(StrEnum):
    """How a service level stands to its target, or a score to the floor."""

    MET = "met"
    NEARLY = "nearly"
    MISSED = "missed"


def grade(level: float, target: float) -> Grade:
    """Return how a service level stands to its target: missed when it is more than 5 points below."""
    if level >= target:
        return Grade.MET
    return Grade.NEARLY if level >= target - NEARLY else Grade.MISSED


def marked(row: Mapping[str, Any], column: Column, report: Report) -> Grade | None:
    """Return how a value stands to what is wanted of it: a service level to its target, a score to the floor."""
    value = row[column.name]
    if value is None or column.kind is not ValueKind.RATE:
        return None
    if column.name in _SCORES:
        return Grade.MISSED if value < report.request.completeness_floor else None
    return grade(value, target(row, report)) if column.name.startswith("service_level") else None


def shown(row: Mapping[str, Any], column: Column, report: Report) -> str:
    """Return a value of a row as people read it; a score below the floor has a mark that needs no colour."""
    said = text(row[column.name], column, report.request.zone)
    return f"{said} !" if column.name in _SCORES and marked(row, column, report) else said


def target(row: Mapping[str, Any], report: Report) -> float:
    """Return the target of a row: that of its definition where it has one."""
    own = row.get("target")
    return report.request.target if own is None else float(own)


def text(value: Any, column: Column, tz: ZoneInfo) -> str:
    """Return a value as people read it; text from outside is cut, and loses what is invisible."""
    if value is None:
        return humanize.DASH
    if column.kind is ValueKind.TIME:
        return humanize.moment(value, tz)
    if column.kind is ValueKind.DATE:
        return humanize.day(value, tz)
    return _WORDS[column.kind](value)


_WORDS: dict[ValueKind, Callable[[Any], str]] = {
    ValueKind.COUNT: humanize.number,
    ValueKind.RATE: humanize.percent,
    ValueKind.DURATION: humanize.duration,
    ValueKind.FLAG: lambda value: "yes" if value else "no",
    ValueKind.NUMBER: humanize.quantity,
    ValueKind.TEXT: lambda value: humanize.name(str(value)) or '""',
}


def cut(value: Any, tz: ZoneInfo) -> str | int | float | None:
    """Return a value as machines read it, but for texts that are cut where they are long."""
    said = raw(value, tz)
    return humanize.cut(said) if isinstance(said, str) else said


def raw(value: Any, tz: ZoneInfo) -> str | int | float | None:
    """Return a value as machines read it: numbers as they are, instants as ISO 8601 with the offset of the zone."""
    if isinstance(value, datetime):
        return value.astimezone(tz).isoformat()
    if value is None or isinstance(value, str | int | float):
        return value
    return str(value)
