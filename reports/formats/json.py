"""JSON of a whole report, for programs. Names here only ever get company; `format` counts up if that must break.

    {"format": 1, "report": "sla", "title": ..., "generated_at": ...,
     "period": {"from": ..., "to": ..., "tz": ..., "interval": null or "30m", "queues": []},
     "definition": {"service_level_variant": ..., "threshold_secs": 20, ...},
     "configuration": [{"name": "tz", "value": "UTC", "origin": "option", "holdtime.toml", "default" or "warehouse"}],
     "definitions": {"facts": ["0a1b..."], "measures": "2c3d..."},
     "basis": {"events": 0, "landed_at": ..., "published_at": ..., "positions": [{"partition": 0, "offset": 41}],
               "as_of": null, or when the last record up to those positions was received},
     "notes": [...], "main": "queues",
     "sections": [{"name": ..., "title": ..., "totals": null or {...}, "rows": [{"queue": ..., "offered": 3, ...}],
                   "columns": [{"name": ..., "title": ..., "kind": ..., "unit": ..., "formula": ...}]}]}

A report as of a position is generated_at its `as_of`, and has neither landed_at nor published_at: its text depends on
nothing that came later. Rates are fractions, durations milliseconds, times ISO 8601 with the offset of the report's
zone; null means that there is nothing to say. Names longer than 256 characters are
cut. Everything but ASCII is escaped, so that no reader's screen meets a control character.
"""

import json
from datetime import datetime
from typing import Any

from reports import humanize
from reports.formats import cells
from reports.tables.report import (
    Column,
    Report,
    Section,
)


def render(report: Report) -> str:
    """Return the report as JSON text that ends with a line feed."""
    return json.dumps(_document(report), ensure_ascii=True, allow_nan=False, indent=1) + "\n"


def _document(report: Report) -> dict[str, Any]:
    return {
        **foundations(report),
        "main": report.main,
        "sections": [_section(each, report) for each in report.sections],
    }


def foundations(report: Report) -> dict[str, Any]:
    """Return all that a report says around its tables."""
    request, basis = report.request, report.basis

    def time(at: datetime | None) -> str | float | None:
        return cells.raw(at, request.zone)

    return {
        "format": 1,
        "report": report.name,
        "title": report.title,
        "generated_at": time(request.now),
        "period": {
            "from": time(report.from_),
            "to": time(report.to),
            "tz": request.tz,
            "interval": request.interval,
            "queues": humanize.cut_all(request.queues),
        },
        "definition": dict(report.definition),
        "configuration": [
            {"name": s.name, "value": humanize.cut_all(s.value), "origin": s.origin} for s in report.configuration
        ],
        "definitions": {"facts": list(basis.fact_definitions), "measures": report.measure_definitions},
        "basis": {
            "events": basis.events,
            "landed_at": time(basis.landed_at),
            "published_at": time(basis.published_at),
            "positions": [{"partition": partition, "offset": offset} for partition, offset in basis.positions],
            "as_of": time(basis.as_of),
        },
        "notes": list(report.notes),
    }


def _section(section: Section, report: Report) -> dict[str, Any]:
    def row(values: Any) -> dict[str, Any]:
        return {column.name: cells.cut(values[column.name], report.request.zone) for column in section.columns}

    totals = section.total_row()
    return {
        "name": section.name,
        "title": section.title,
        "columns": [_column(column) for column in section.columns],
        "totals": None if totals is None else row(totals),
        "rows": [row(values) for values in section.rows()],
    }


def _column(column: Column) -> dict[str, Any]:
    return {
        "name": column.name,
        "title": column.title,
        "kind": column.kind,
        "unit": column.unit,
        "formula": column.formula,
    }
