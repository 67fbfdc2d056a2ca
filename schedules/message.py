"""What is sent: a report's headline numbers and all that it rests on as a text, the report itself as attachments."""

import mimetypes
from collections.abc import Sequence
from importlib.resources import files
from zoneinfo import ZoneInfo

from jinja2 import Environment, StrictUndefined

from reports import formats, humanize
from reports.formats import cells
from reports.tables.report import Report
from schedules.content import Attachment, Message

_ENDINGS = {"table": "txt"}
_ANY = "application/octet-stream"

_MAIL = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(
    files(__package__).joinpath("mail.html.j2").read_text(encoding="utf-8")
)

# Apprise takes only those kinds of files that Python knows, and which these are depends on the machine.
for _ending, _kind in (
    ("csv", "text/csv"),
    ("parquet", "application/vnd.apache.parquet"),
    ("svg", "image/svg+xml"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
):
    mimetypes.add_type(_kind, f".{_ending}")


def summary(
    report: Report,
    *,
    name: str,
    words: str,
    forms: Sequence[str],
    stem: str,
    lacking: str | None,
    remarks: Sequence[str],
    score: float | None,
) -> Message:
    """Return the message with a report: `name` is the schedule's, `words` the period's, `stem` the files'.

    `lacking` says what part of the period has not landed; None where all of it has. `remarks` are lines about the run.
    `score` is the share of the events that Telnyx must have sent which has landed; None where it had none to send.
    """
    zone = report.request.zone
    title = f"{name}: {report.title}, {words} ({_span(report, zone)})"
    if report.unheard:
        title += ", UNKNOWN QUEUE"
    if lacking is not None:
        title += ", NOT COMPLETE"
    complete = (
        f"NOT COMPLETE: {lacking}. These numbers may change."
        if lacking is not None
        else "Complete: all that was received before the end of the period has landed."
    )
    heading = f"{report.title}, {words} in {zone.key}: {_span(report, zone)}"
    numbers = [
        *_headline(report, zone),
        ("Period", "complete" if lacking is None else "NOT COMPLETE"),
        ("Completeness", _trusted(score, report.request.completeness_floor)),
    ]
    return _message(title, heading, numbers, [complete, *remarks, *report.notes], _attached(report, forms, stem))


def _trusted(score: float | None, floor: float) -> str:
    """Return the score in words, and whether it is below the floor."""
    if score is None:
        return f"{humanize.DASH} (nothing was due)"
    below = f", BELOW THE FLOOR of {humanize.percent(floor)}" if score < floor else ""
    return f"{humanize.percent(score)} of what must have been sent is known{below}"


def notice(subject: str, heading: str, lines: Sequence[str]) -> Message:
    """Return a message without a report: what went wrong, and what to do."""
    return _message(subject, heading, [], lines, ())


def _message(
    subject: str,
    heading: str,
    numbers: Sequence[tuple[str, str]],
    lines: Sequence[str],
    attachments: tuple[Attachment, ...],
) -> Message:
    widest = max((len(title) for title, _ in numbers), default=0)
    rows = [f"{title:<{widest}}  {value}" for title, value in numbers]
    text = "\n".join([heading, "", *rows, *([""] if rows else []), *lines]) + "\n"
    html = _MAIL.render(heading=heading, numbers=numbers, lines=lines)
    return Message(subject, text, html, attachments)


def _headline(report: Report, zone: ZoneInfo) -> list[tuple[str, str]]:
    """Return the report's most important numbers, over its whole period; none where no table has them."""
    row = report.summary()
    columns = [column for column in report.headline if column.name != "completeness"]  # every message has a line of it
    return [] if row is None else [(column.title, cells.text(row[column.name], column, zone)) for column in columns]


def _span(report: Report, zone: ZoneInfo) -> str:
    if report.from_ is None or report.to is None:
        return "no data"
    return f"{humanize.moment(report.from_, zone)} to {humanize.moment(report.to, zone)}"


def _attached(report: Report, forms: Sequence[str], stem: str) -> tuple[Attachment, ...]:
    attached = []
    for form in forms:
        content = formats.encoded(report, form)
        ending = _ENDINGS.get(form, form)
        kind = mimetypes.types_map.get(f".{ending}", _ANY)
        attached.append(Attachment(f"{stem}.{ending}", kind, content))
    return tuple(attached)
