"""Making a message in a process of its own: drawing charts holds the interpreter, and `up` has webhooks to answer."""

import signal
from collections.abc import Callable
from datetime import datetime
from multiprocessing import get_context
from multiprocessing.connection import Connection

from holdtime.schedules import making
from holdtime.schedules.content import Message
from holdtime.schedules.schedule import Schedule
from holdtime.settings import Settings
from ingest.log import Extent
from reports.errors import ReportError

Make = Callable[[Settings, Schedule, datetime, datetime, Extent | None], Message]
"""`making.made`, or `made` here."""

_Asked = tuple[Settings, Schedule, datetime, datetime, Extent | None]
_context = get_context("spawn")


class ChildDiedError(Exception):
    """The process that made the message is gone, and nobody knows why: perhaps everything is being stopped."""


def made(settings: Settings, schedule: Schedule, due: datetime, now: datetime, end: Extent | None) -> Message:
    """Return what `making.made` does. Raises ReportError and ChildDiedError."""
    ours, theirs = _context.Pipe(duplex=False)
    child = _context.Process(target=_tell, args=(theirs, settings, schedule, due, now, end), daemon=True)
    child.start()
    theirs.close()
    try:
        found: Message | ReportError = ours.recv()
    except EOFError:
        child.join()
        raise ChildDiedError(f"the process that made the message ended with code {child.exitcode}") from None
    finally:
        ours.close()
    child.join()
    if isinstance(found, ReportError):
        raise found
    return found


def _tell(to: Connection, *asked: *_Asked) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of us, and is our parent's to act on
    try:
        to.send(making.made(*asked))
    except ReportError as error:
        to.send(error)
