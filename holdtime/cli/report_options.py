"""The options that the commands about reports share."""

from pathlib import Path
from typing import Annotated

import typer

from holdtime.cli.console import path_of
from warehouse import paths

ReportName = Annotated[str, typer.Argument(help="Which report: `holdtime report list` lists them.")]
FromOption = Annotated[
    str | None,
    typer.Option(
        "--from", help="First day or instant, 2026-02-01 or with a time; or yesterday, last week, last 7 days."
    ),
]
ToOption = Annotated[str | None, typer.Option(help="The day or instant after the last.")]
ZoneOption = Annotated[
    str | None,
    typer.Option(help="IANA time zone, such as Europe/Athens.", show_default="that of the queues, else the file's"),
]
IntervalOption = Annotated[
    str | None, typer.Option(help="15m, 30m, 1h, 1d, 1w or 1mo.", show_default="the whole period")
]
QueueOption = Annotated[list[str] | None, typer.Option(help="Only this queue; give it again for more.")]
ByOption = Annotated[
    list[str] | None,
    typer.Option(help="Group the main table by: queue, hour, weekday, day, week, month and what the report has."),
]
HoursOption = Annotated[str | None, typer.Option(help="open or closed: in or out of the queues' business hours.")]
ExplainOption = Annotated[bool, typer.Option("--explain", help="Show formulas with the numbers put in.")]
AgentsOption = Annotated[int | None, typer.Option(help="staffing: how many agents are at work.")]
SectionOption = Annotated[str | None, typer.Option(help="The table that CSV and Parquet hold.")]
ThresholdOption = Annotated[float | None, typer.Option(help="Seconds within which a call should be answered.")]
ShortAbandonOption = Annotated[float | None, typer.Option(help="Seconds under which an abandonment is short.")]
TargetOption = Annotated[float | None, typer.Option(help="The wanted service level, as a fraction.")]
VariantOption = Annotated[str | None, typer.Option(help="The service level that is shown first.")]
FormatOption = Annotated[
    str | None, typer.Option("--format", help="table, csv, json, parquet, xlsx or html; png or svg: its charts.")
]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        help="Write here; the ending names the format. A folder for png and svg.",
        parser=path_of("--output"),
        metavar="PATH",
    ),
]
BomOption = Annotated[
    bool, typer.Option("--bom", help="CSV that Excel opens as UTF-8: it begins with a byte order mark.")
]
RawOption = Annotated[bool, typer.Option("--raw", help="CSV for machines: texts as they are, formulas included.")]
SourceOption = Annotated[
    Path | None,
    typer.Option(
        help="Another replica or warehouse to read.", parser=path_of("--source", paths.database), metavar="PATH"
    ),
]
