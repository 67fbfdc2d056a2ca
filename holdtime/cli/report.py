"""The commands about reports: one, the list of them, and what changed in one. `holdtime.cli.main` has the others."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from holdtime.cli.console import ConfigOption
from holdtime.cli.report_options import (
    AgentsOption,
    BomOption,
    ByOption,
    ExplainOption,
    FormatOption,
    FromOption,
    HoursOption,
    IntervalOption,
    OutputOption,
    QueueOption,
    RawOption,
    ReportName,
    SectionOption,
    ShortAbandonOption,
    SourceOption,
    TargetOption,
    ThresholdOption,
    ToOption,
    VariantOption,
    ZoneOption,
)
from holdtime.config import settings
from holdtime.config.settings import CONFIG_FILE

app = typer.Typer()


@app.command()
def report(
    name: ReportName,
    from_: FromOption = None,
    to: ToOption = None,
    tz: ZoneOption = None,
    interval: IntervalOption = None,
    queue: QueueOption = None,
    threshold: ThresholdOption = None,
    short_abandon: ShortAbandonOption = None,
    target: TargetOption = None,
    variant: VariantOption = None,
    by: ByOption = None,
    hours: HoursOption = None,
    explain: ExplainOption = False,
    agents: AgentsOption = None,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", help="As known at this log position, 12345 or 0:12345,1:678: the same again later."),
    ] = None,
    form: FormatOption = None,
    output: OutputOption = None,
    section: SectionOption = None,
    raw: RawOption = False,
    bom: BomOption = False,
    source: SourceOption = None,
    config: ConfigOption = CONFIG_FILE,
) -> None:
    """Print or write one report, from the replica that `holdtime up` publishes.

    `holdtime report list` lists the reports; `holdtime report diff` says what changed in one since a log position.
    """
    from holdtime.commands.destination import Destination
    from holdtime.commands.report import write_report
    from reports.request.options import ReportOptions

    write_report(
        name,
        ReportOptions(
            from_=from_,
            to=to,
            tz=tz,
            interval=interval,
            queues=tuple(queue or ()),
            threshold_secs=threshold,
            short_abandon_secs=short_abandon,
            target=target,
            variant=variant,
            by=tuple(by or ()),
            hours=hours,
            explain=explain,
            agents=agents,
        ),
        Destination.of(form, output, raw=raw, bom=bom),
        settings=settings.load(config),
        source=source,
        as_of=as_of,
        section=section,
        now=datetime.now(UTC),
    )


@app.command("report list")
def report_list() -> None:
    """List the reports there are, and what each is about."""
    from reports.catalogue.registry import REPORTS

    for spec in REPORTS.values():
        typer.echo(f"{spec.name:<14}{spec.summary}")


@app.command("report diff")
def report_diff(
    first: Annotated[str, typer.Argument(metavar="A", help="A log position, 12345 or 0:12345,1:678.")],
    last: Annotated[
        str | None, typer.Argument(metavar="B", help="A later one.", show_default="the last that landed")
    ] = None,
    name: ReportName = "sla",
    from_: FromOption = None,
    to: ToOption = None,
    tz: ZoneOption = None,
    interval: IntervalOption = None,
    queue: QueueOption = None,
    threshold: ThresholdOption = None,
    short_abandon: ShortAbandonOption = None,
    target: TargetOption = None,
    variant: VariantOption = None,
    events: Annotated[bool, typer.Option("--events", help="CSV of the events, not of the figures.")] = False,
    form: FormatOption = None,
    output: OutputOption = None,
    raw: RawOption = False,
    bom: BomOption = False,
    source: SourceOption = None,
    config: ConfigOption = CONFIG_FILE,
) -> None:
    """Say which figures differ between a report as of one log position and of another, and which events did it.

    Late events, those that occurred before the newest that was known at A, are marked.
    """
    from holdtime.commands.destination import Destination
    from holdtime.commands.report import write_difference
    from reports.request.options import ReportOptions

    write_difference(
        name,
        first,
        last,
        ReportOptions(
            from_=from_,
            to=to,
            tz=tz,
            interval=interval,
            queues=tuple(queue or ()),
            threshold_secs=threshold,
            short_abandon_secs=short_abandon,
            target=target,
            variant=variant,
        ),
        Destination.of(form, output, raw=raw, bom=bom),
        settings=settings.load(config),
        source=source,
        events=events,
        now=datetime.now(UTC),
    )
