"""`holdtime reconcile`: ask Telnyx what the webhooks missed."""

import re
from datetime import timedelta
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from holdtime.cli.console import (
    ConfigOption,
    errors,
    progress_bar,
)
from holdtime.config import settings
from holdtime.config.settings import CONFIG_FILE, ConfigurationError
from holdtime.service import logs

app = typer.Typer()

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LONGEST = timedelta(days=3_650)


@app.command()
def reconcile(
    since: Annotated[
        str | None,
        typer.Option(help="How far back, such as 24h or 7d.", show_default="from where all is known to be complete"),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Once, and stop; otherwise again every hour.")] = False,
    config: ConfigOption = CONFIG_FILE,
) -> None:
    """Ask Telnyx's lists what the webhooks missed, put it into the log, and land it.

    Needs TELNYX_API_KEY. A log in a file, and its warehouse, it needs to itself: `holdtime up` does the same while it
    runs. Into a log on Kafka it only puts what it finds; `holdtime process` lands it, and the replica that it publishes
    must be readable here. What is known is not published again. Exit code 1 if a list could not be read to its end.
    Without --once it goes on, also after any time that ingest was down, until SIGTERM or Ctrl-C, and answers /livez,
    /readyz, /metrics and /status on HOLDTIME_HTTP_HOST and HOLDTIME_HTTP_PORT.
    """
    from holdtime.commands import reconcile as reconciling
    from reconciler.errors import UnauthorizedError

    logs.configure()
    with progress_bar() as progress:
        task = progress.add_task("asking Telnyx", total=None)
        try:
            loaded, length = settings.load(config), _length(since)
            if not once:
                progress.stop()
                reconciling.serve(loaded, since=length)
                return
            outcomes = reconciling.run(
                loaded,
                since=length,
                on_progress=lambda source, read: progress.update(task, description=source, completed=read),
            )
        except UnauthorizedError as error:
            raise ConfigurationError([str(error)]) from None
    table = Table("source", "read", "new", "requests", "")
    for each in outcomes:
        color = "yellow" if each.forbidden else "red"
        said = "read to its end" if each.fault is None else f"[{color}]{escape(each.fault)}[/]"
        table.add_row(each.source, f"{each.read:,}", f"{each.published:,}", f"{each.requests:,}", said)
    errors.print(table)
    failed = [each for each in outcomes if each.fault is not None and not each.forbidden]
    raise typer.Exit(1 if failed or all(each.forbidden for each in outcomes) else 0)


def _length(text: str | None) -> timedelta | None:
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,6})([mhdw])", text)
    if found is None or not int(found[1]):
        raise ConfigurationError([f"--since: expected a length such as 90m, 24h or 7d, found {text!r}"])
    length = timedelta(**{_UNITS[found[2]]: int(found[1])})
    if length > _LONGEST:
        raise ConfigurationError([f"--since: expected {_LONGEST.days}d at most, found {text!r}"])
    return length
