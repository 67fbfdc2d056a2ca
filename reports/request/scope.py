"""What a report is about, in words: which queues, and which hours of them; for its title, its totals and its tiles."""

from reports import humanize
from reports.calendar.hours import Hours
from reports.request.request import Request

MAX_NAMED = 3
"""So many queues are named in a title; the notes name all."""

_MAX_NAME = 64
_HOURS = {Hours.OPEN: "in business hours", Hours.CLOSED: "outside of business hours"}


def titled(title: str, request: Request) -> str:
    """Return a title with what it leaves out: `Service levels, queue support, in business hours`."""
    parts = [title]
    if request.queues:
        parts.append(_named(request, "queue"))
    if request.hours is not None:
        parts.append(_HOURS[request.hours])
    return ", ".join(parts)


def whole(request: Request) -> str:
    """Return what a row of all visits together is called: `All queues`, or `Queue support`."""
    return _named(request, "Queue") if request.queues else "All queues"


def of(request: Request) -> str:
    """Return the queues within a sentence: `all queues`, or `the queue support`."""
    return f"the {_named(request, 'queue')}" if request.queues else "all queues"


def _named(request: Request, noun: str) -> str:
    queues = dict.fromkeys(request.queues)
    names = [humanize.plain(humanize.cut(queue, _MAX_NAME)) for queue in list(queues)[:MAX_NAMED]]
    more = len(queues) - len(names)
    return f"{noun}{'s' if len(queues) > 1 else ''} {', '.join(names)}{f' and {more:,} more' if more else ''}"
