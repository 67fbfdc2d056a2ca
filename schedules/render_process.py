"""Composing a message in another process: drawing charts holds the interpreter, and `up` has webhooks to answer."""

import signal
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection

from reports.errors import ReportError
from schedules import compose
from schedules.compose import MessageRequest
from schedules.content import Message

Compose = Callable[[MessageRequest], Message]
"""`compose.message_of`, or `message_of` here."""

_context = get_context("spawn")


class ChildDiedError(Exception):
    """The process that composes the message is gone, perhaps because everything is being stopped."""


def message_of(wanted: MessageRequest) -> Message:
    """Return what `compose.message_of` does. Raises ReportError and ChildDiedError."""
    ours, theirs = _context.Pipe(duplex=False)
    child = _context.Process(target=_answer, args=(theirs, wanted), daemon=True)
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


def _answer(to: Connection, wanted: MessageRequest) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of us, and is our parent's to act on
    try:
        to.send(compose.message_of(wanted))
    except ReportError as error:
        to.send(error)
