"""Parquet of a report's main table, or of any other, typed: instants with the report's time zone, durations in ms.

The file's metadata says under `holdtime` what JSON says around the rows, and each column's metadata its title, kind,
unit and formula. Texts are as they came: no program runs what is in a Parquet file.
"""

import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from reports.formats import json as json_format
from reports.measures.definitions import ValueKind
from reports.tables.report import Column, Report

_TYPES = {
    ValueKind.COUNT: pa.int64(),
    ValueKind.DURATION: pa.int64(),
    ValueKind.RATE: pa.float64(),
    ValueKind.NUMBER: pa.float64(),
    ValueKind.TEXT: pa.string(),
    ValueKind.FLAG: pa.bool_(),
}


def render(report: Report, *, section: str | None = None) -> bytes:
    """Return one section (the report's main one unless named) as a file. Raises KeyError for another section."""
    chosen = report.section(section or report.main)
    table = chosen.frame.select(column.name for column in chosen.columns).to_arrow()
    fields = [
        pa.field(column.name, _type(column, table.schema.field(column.name).type, report), metadata=_about(column))
        for column in chosen.columns
    ]
    about = {**json_format.foundations(report), "section": chosen.name}
    schema = pa.schema(fields, metadata={"holdtime": json.dumps(about, allow_nan=False)})
    written = io.BytesIO()
    pq.write_table(table.cast(schema), written, compression="zstd")
    return written.getvalue()


def _type(column: Column, found: Any, report: Report) -> Any:
    if column.kind in {ValueKind.TIME, ValueKind.DATE}:
        return pa.timestamp("us", report.request.tz)
    if column.kind in {ValueKind.COUNT, ValueKind.DURATION} and pa.types.is_floating(found):
        return pa.float64()  # a mean
    return _TYPES[column.kind]


def _about(column: Column) -> dict[str, str]:
    said = {"title": column.title, "kind": column.kind, "unit": column.unit, "formula": column.formula}
    return {name: value for name, value in said.items() if value}
