"""Log lines: names with fields, on standard error, coloured for people and JSON for machines."""

import logging
import sys

import structlog

from reports import humanize

MAX_TEXT = 2_000
"""Characters of one text in a log line: reasons come from libraries, which may put all of a body into them."""


def configure(*, quiet: bool = False) -> None:
    """Send structlog and the standard library's logging (uvicorn's warnings) through one pair of processors."""
    level = logging.WARNING if quiet else logging.INFO
    people = sys.stderr.isatty()
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_logger_name,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _cut,
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if people else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info if not people else _spelt_out,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for chatty in ("uvicorn", "httpx", "httpcore", "telnyx"):  # a line a request, with all that is in its address
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _cut(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return {name: humanize.cut(each, MAX_TEXT) if isinstance(each, str) else each for name, each in event.items()}


def _spelt_out(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Let no text drive the terminal; JSON does so by itself."""
    return {name: humanize.plain(each) if isinstance(each, str) else each for name, each in event.items()}
