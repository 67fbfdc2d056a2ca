"""`holdtime schedule`: the summaries that send themselves. `holdtime.cli.main` has the other commands."""

import signal
import threading
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from holdtime.cli.console import (
    ConfigOption,
    JsonOption,
    errors,
    screen,
)
from holdtime.config import settings
from holdtime.config.settings import CONFIG_FILE, ConfigurationError
from holdtime.service import logs

if TYPE_CHECKING:
    from schedules.context import Context
    from schedules.freshness import LogEnd

app = typer.Typer()


@app.command()
def schedule(
    name: Annotated[str | None, typer.Argument(help="Only this schedule, for --now, --preview and --status.")] = None,
    now: Annotated[bool, typer.Option("--now", help="Send NAME now, complete or not, and stop.")] = False,
    preview: Annotated[
        bool, typer.Option("--preview", help="Show the next runs and what would be sent, and send nothing.")
    ] = False,
    status: Annotated[bool, typer.Option("--status", help="Show what was sent to whom, and what was not.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = CONFIG_FILE,
) -> None:
    """Send the summaries that the schedules in holdtime.toml name, when they are due, until it is stopped.

    `holdtime up` does the same beside everything else; of the two, one at a time. A run that was missed is made up for
    once. It waits until its period has landed in the replica, or says that it has not. What is refused is sent again
    for a while; what may have arrived is not, so that nothing arrives twice.

    --now and --status exit with 1 where something was not sent. docs/schedules.md has examples.
    """
    if now + preview + status > 1 or (now and name is None):
        raise typer.BadParameter("expected one of --now NAME, --preview [NAME] and --status [NAME]")
    if name is not None and not (now or preview or status):
        raise typer.BadParameter(f"expected --now {name}, --preview {name} or --status {name}; all are run together")
    from holdtime.config.schedules import context_of
    from holdtime.service import event_log

    configured = settings.load(config, sending=not status)
    context, log_end = _picked(context_of(configured), name), event_log.end_of(configured)
    if now:
        raise typer.Exit(_send(context, log_end))
    if preview:
        _preview(context, log_end)
    elif status:
        raise typer.Exit(_status(context, as_json=as_json))
    else:
        _run(context, log_end)


def _picked(context: "Context", name: str | None) -> "Context":
    """The context with the schedule of that name alone, or with all. Raises ConfigurationError where there is none."""
    if not context.schedules:
        raise ConfigurationError(
            ["holdtime.toml has no [[schedule]]: expected at least one; docs/schedules.md has examples"]
        )
    if name is None:
        return context
    found = tuple(each for each in context.schedules if each.name == name)
    if not found:
        names = ", ".join(each.name for each in context.schedules)
        raise ConfigurationError([f"schedule {name!r}: expected one of {names}"])
    return replace(context, schedules=found)


def _run(context: "Context", log_end: "LogEnd") -> None:
    from holdtime.service.steady_clock import SteadyClock
    from schedules import runner

    logs.configure()
    stop = threading.Event()
    for kind in (signal.SIGTERM, signal.SIGINT):
        signal.signal(kind, lambda *_: stop.set())
    runner.run(context, stop, log_end=log_end, clock=SteadyClock())


def _send(context: "Context", log_end: "LogEnd") -> int:
    from schedules import render, run
    from schedules.dispatch import Dispatcher
    from schedules.ledger import Ledger
    from schedules.lock import locked
    from schedules.record import RunId, RunKind

    logs.configure(quiet=True)
    (chosen,) = context.schedules
    at = datetime.now(UTC)
    asked = RunId(chosen.name, RunKind.NOW, at)
    with locked(context.ledger, RunKind.NOW), closing(Ledger(context.ledger)) as ledger:
        ledger.recover((RunKind.NOW,), run.CRASHED, at)
        ledger.begin(asked, at)
        run.RunPerformer(Dispatcher(context, ledger), log_end).perform(chosen, asked, wait=False)
        done = ledger.run(asked)
        errors.print(render.outcome(done, ledger.deliveries(asked)))
    return 0 if done is not None and done.state == "done" else 1


def _preview(context: "Context", log_end: "LogEnd") -> None:
    from schedules import render

    for part in render.preview(context, log_end, datetime.now(UTC)):
        screen().print(part, soft_wrap=True)


def _status(context: "Context", *, as_json: bool) -> int:
    from schedules import render
    from schedules.status import statuses

    found = statuses(context, datetime.now(UTC))
    if as_json:
        typer.echo(render.status_as_json(found))
    else:
        screen().print(render.status(found))
    return 1 if any(trouble for each in found for trouble in each.troubles()) else 0
