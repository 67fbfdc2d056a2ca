"""The command line. Exit code 0; 1 when something failed; 2 for wrong use or a wrong configuration."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from holdtime import logs, settings
from holdtime.settings import CONFIG_FILE, ConfigurationError
from holdtime.simulate import Simulation

app = typer.Typer(
    name="holdtime",
    help="Call-center metrics that people can trust, from Telnyx call events.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,  # a local may be a secret
)
errors = Console(stderr=True, highlight=False)

ConfigOption = Annotated[
    Path, typer.Option("--config", help="Settings that are not in the environment.", envvar="HOLDTIME_CONFIG")
]


def main() -> None:
    """The console script."""
    os.umask(0o077)  # whatever is written holds phone numbers, DuckDB's own side files too
    app()


@app.command()
def demo(
    folder: Annotated[
        Path | None, typer.Option("--dir", help="Where to work and to leave the results [default: a new folder].")
    ] = None,
    seed: Annotated[int, typer.Option(help="Another center, another day.")] = 1,
) -> None:
    """Show the whole way in under a minute: a simulated center's signed webhooks, posted over HTTP, and the report.

    Needs no account and no network. Writes an event log, a warehouse, its replica and an HTML report.
    """
    from holdtime import demo as shown

    with _explained():
        raise typer.Exit(shown.run(folder, seed=seed, console=Console(highlight=False)))


@app.command()
def up(config: ConfigOption = CONFIG_FILE) -> None:
    """Take Telnyx's webhooks in and keep the warehouse and its replica up to date, all in one process.

    Needs TELNYX_PUBLIC_KEY. Listens on HOLDTIME_HTTP_HOST and HOLDTIME_HTTP_PORT (127.0.0.1:8080) for
    POST /webhooks/telnyx; answers /livez, /readyz, /metrics and /status. Stops cleanly on SIGTERM or Ctrl-C.
    """
    from holdtime import up as served

    logs.configure()
    with _explained():
        served.run(settings.load(config, also=served.key_faults))


@app.command()
def report(
    name: Annotated[str, typer.Argument(help="sla or conferences.")],
    from_: Annotated[
        str | None, typer.Option("--from", help="First day or instant, 2026-02-01 or with a time.")
    ] = None,
    to: Annotated[str | None, typer.Option(help="The day or instant after the last.")] = None,
    tz: Annotated[str | None, typer.Option(help="IANA time zone, such as Europe/Athens.")] = None,
    interval: Annotated[
        str | None, typer.Option(help="15m, 30m, 1h, 1d, 1w or 1mo [default: the whole period].")
    ] = None,
    queue: Annotated[list[str] | None, typer.Option(help="Only this queue; give it again for more.")] = None,
    threshold: Annotated[float | None, typer.Option(help="Seconds within which a call should be answered.")] = None,
    short_abandon: Annotated[float | None, typer.Option(help="Seconds under which an abandonment is short.")] = None,
    target: Annotated[float | None, typer.Option(help="The wanted service level, as a fraction.")] = None,
    variant: Annotated[str | None, typer.Option(help="The service level that is shown first.")] = None,
    form: Annotated[str | None, typer.Option("--format", help="table, csv, json or html.")] = None,
    output: Annotated[Path | None, typer.Option(help="Write here; the ending names the format.")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="CSV for machines: texts as they are, formulas included.")] = False,
    source: Annotated[Path | None, typer.Option(help="Another replica or warehouse to read.")] = None,
    config: ConfigOption = CONFIG_FILE,
) -> None:
    """Print or write one report, from the replica that `holdtime up` publishes."""
    from holdtime.reporting import write_report

    with _explained():
        write_report(
            name,
            settings=settings.load(config),
            source=source,
            asked={
                "from_": from_,
                "to": to,
                "tz": tz,
                "interval": interval,
                "queues": tuple(queue or ()),
                "threshold_secs": threshold,
                "short_abandon_secs": short_abandon,
                "target": target,
                "variant": variant,
            },
            form=form,
            output=output,
            raw=raw,
            now=datetime.now(UTC),
        )


@app.command()
def rebuild(config: ConfigOption = CONFIG_FILE) -> None:
    """Derive every fact anew from the warehouse's events, with the definitions that landing uses.

    Needs the warehouse to itself: stop `holdtime up` first. Nobody sees the new facts before all of them are there;
    stopped half-way, the next rebuild goes on where this one was, unless something landed meanwhile.
    """
    from holdtime.parts import require_apart
    from processors import rebuild as rebuilding
    from processors.migration import open_current
    from warehouse.replica import publish

    with _explained(), _progress() as progress:
        configured = settings.load(config)
        paths = configured.environment
        if not paths.warehouse.exists():
            raise ConfigurationError([f"HOLDTIME_WAREHOUSE: {paths.warehouse} does not exist: nothing to rebuild"])
        try:
            require_apart(paths.warehouse, paths.replica)
        except ValueError as error:
            raise ConfigurationError([str(error)]) from None
        task = progress.add_task("bringing the warehouse up to date", total=None)
        db = open_current(
            paths.warehouse,
            told=lambda done, total: progress.update(task, completed=done, total=total),
            memory_limit=rebuilding.MEMORY_LIMIT,
            bulk=True,
        )
        progress.update(task, description="deriving facts", completed=0, total=None)
        longest_wait = timedelta(hours=configured.configuration.longest_wait_hours)
        for done, total in rebuilding.rebuild(db, longest_wait=longest_wait):
            progress.update(task, completed=done, total=total)
        publish(db, paths.warehouse, paths.replica)
        db.close()


@app.command()
def simulate(
    url: Annotated[str, typer.Option(help="Where the webhooks go.")] = "http://127.0.0.1:8080/webhooks/telnyx",
    key_file: Annotated[
        Path, typer.Option("--key", help="Ed25519 seed to sign with, 32 bytes; made if it is not there.")
    ] = Path("data/simulator.key"),
    hours: Annotated[float, typer.Option(min=0.01, max=24 * 366, help="How much of the center's life.")] = 24,
    rate: Annotated[float | None, typer.Option(min=0.1, help="Webhooks a second [default: as fast as taken].")] = None,
    seed: Annotated[int, typer.Option(help="The same seed, the same center and the same faults.")] = 1,
    start: Annotated[str | None, typer.Option(help="When the center's life begins [default: HOURS ago].")] = None,
    duplicates: Annotated[float, typer.Option(min=0, max=0.99, help="Share delivered again.")] = 0.02,
    delay: Annotated[float, typer.Option(min=0, help="Mean delay in seconds: disorder.")] = 0.5,
    drops: Annotated[float, typer.Option(min=0, max=1, help="Share that never comes.")] = 0.0,
    forged: Annotated[float, typer.Option(min=0, max=1, help="Share followed by a forgery.")] = 0.0,
    print_key: Annotated[bool, typer.Option("--public-key", help="Print the public key for `up` and stop.")] = False,
    allow_remote: Annotated[bool, typer.Option("--allow-remote", help="Post to another machine, on purpose.")] = False,
) -> None:
    """Post a simulated center's signed webhooks to a URL, with Telnyx's retries, duplicates and disorder.

    export TELNYX_PUBLIC_KEY=$(holdtime simulate --public-key) gives `holdtime up` the key to believe it.
    """
    with _explained(), _progress() as progress:
        simulation = Simulation.prepare(key_file)
        if print_key:
            progress.stop()
            typer.echo(simulation.public_key)
            return
        posted = simulation.post(
            url=url,
            hours=hours,
            rate=rate,
            seed=seed,
            start=start,
            faults={"duplicates": duplicates, "delay_s": delay, "drops": drops, "forged": forged},
            allow_remote=allow_remote,
            progress=progress,
            now=datetime.now(UTC),
        )
    errors.print(posted.summary)
    raise typer.Exit(0 if posted.complete else 1)


@contextmanager
def _progress() -> Iterator[Progress]:
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=errors,
    ) as progress:
        yield progress


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what is the user's to mend into a text and exit code 2; everything else stays an error of ours."""
    from holdtime.faults import named

    try:
        yield
    except Exception as error:
        faults = named(error)
        if faults is None:
            raise
        for fault in faults:
            errors.print("[bold red]✗[/]", fault, markup=True, soft_wrap=True)
        sys.exit(2)
