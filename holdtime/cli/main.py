"""The command line. Exit code 0; 1 when something failed; 2 for wrong use or a wrong configuration."""

import os
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from holdtime.cli import (
    history,
    reconcile,
    report,
    schedule,
)
from holdtime.cli.console import (
    ConfigOption,
    errors,
    path_of,
    progress_bar,
)
from holdtime.cli.group import CommandGroup
from holdtime.config import environment, settings
from holdtime.config.settings import CONFIG_FILE
from holdtime.service import logs

app = typer.Typer(
    name="holdtime",
    cls=CommandGroup,
    help="Call-center metrics that people can trust, from Telnyx call events.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,  # a local may be a secret
)
app.add_typer(report.app)
app.add_typer(history.app)
app.add_typer(schedule.app)
app.add_typer(reconcile.app)


def main() -> None:
    """The console script."""
    os.umask(0o077)  # whatever is written holds phone numbers, DuckDB's own side files too
    app()


@app.command()
def demo(
    folder: Annotated[
        Path | None,
        typer.Option(
            "--dir",
            help="Where to work and to leave the results.",
            show_default="a new folder",
            parser=path_of("--dir"),
            metavar="PATH",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Another center, another day.")] = 1,
) -> None:
    """Show the whole way in under a minute: a simulated center's signed webhooks, posted over HTTP, and the report.

    Needs no account and no network. Writes an event log, a warehouse, its replica and an HTML report.
    """
    from holdtime.commands import demo as shown

    raise typer.Exit(shown.run(folder, seed=seed, console=Console(highlight=False)))


@app.command()
def up(config: ConfigOption = CONFIG_FILE) -> None:
    """Take Telnyx's webhooks in and keep the warehouse and its replica up to date, all in one process.

    Needs TELNYX_PUBLIC_KEY. Listens on HOLDTIME_HTTP_HOST and HOLDTIME_HTTP_PORT (127.0.0.1:8080) for
    POST /webhooks/telnyx; answers /livez, /readyz, /metrics and /status. Sends the summaries that the schedules
    in holdtime.toml name. Stops cleanly on SIGTERM or Ctrl-C.
    """
    from holdtime.commands import up as served
    from holdtime.service import components

    logs.configure()
    served.run(settings.load(config, also=components.faults, sending=True))


@app.command()
def ingest(config: ConfigOption = CONFIG_FILE) -> None:
    """Take Telnyx's webhooks in, and nothing else: as many of these as you like, before a log on Kafka.

    Needs TELNYX_PUBLIC_KEY and HOLDTIME_LOG=kafka://host:port,... Answers 503 while the cluster cannot take a delivery,
    or, with a `spool` under `kafka` in holdtime.toml, keeps it on this machine until the cluster can.
    """
    from holdtime.commands import up as served
    from holdtime.service import components

    logs.configure()
    served.run(settings.load(config, also=components.faults), lands=False)


@app.command()
def process(config: ConfigOption = CONFIG_FILE) -> None:
    """Land what the log holds in the warehouse, and publish the replica; take no webhooks.

    Needs HOLDTIME_LOG=kafka://host:port,... A warehouse has one writer: a second process waits, answers /readyz with
    "standby", and takes over within seconds when the first one is gone. Serves /livez, /readyz, /metrics and /status.
    """
    from holdtime.commands import up as served
    from holdtime.service import components

    logs.configure()
    served.run(settings.load(config, also=partial(components.faults, ingests=False)), ingests=False)


@app.command()
def rebuild(config: ConfigOption = CONFIG_FILE) -> None:
    """Derive every fact anew from the warehouse's events, with the definitions that landing uses.

    Needs the warehouse to itself: stop `holdtime up` first. Nobody sees the new facts before all of them are there;
    stopped half-way, the next rebuild goes on where this one was, unless something landed meanwhile.
    """
    from holdtime.commands import rebuild as rebuilding

    with progress_bar() as progress:
        configured = settings.load(config)
        migrating = progress.add_task("bringing the warehouse up to date", total=None)
        deriving = progress.add_task("deriving facts", total=None)
        rebuilding.run(
            configured,
            on_migration=lambda done, total: progress.update(migrating, completed=done, total=total),
            on_progress=lambda done, total: progress.update(deriving, completed=done, total=total),
        )
    errors.print(f"the facts are derived anew, and {configured.environment.replica} is published", soft_wrap=True)


@app.command()
def simulate(
    url: Annotated[
        str | None,
        typer.Option(help="Where the webhooks go.", show_default="`up` on this machine, at HOLDTIME_HTTP_PORT or 8080"),
    ] = None,
    key_file: Annotated[
        Path,
        typer.Option(
            "--key",
            help="Ed25519 seed to sign with, 32 bytes; made if it is not there.",
            parser=path_of("--key"),
            metavar="PATH",
        ),
    ] = Path("data/simulator.key"),
    hours: Annotated[float, typer.Option(min=0.01, max=24 * 366, help="How much of the center's life.")] = 24,
    rate: Annotated[
        float | None,
        typer.Option(min=0.1, max=1_000_000, help="Webhooks a second.", show_default="as fast as they are taken"),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed, the same center and the same faults.")] = 1,
    start: Annotated[str | None, typer.Option(help="When the center's life begins.", show_default="HOURS ago")] = None,
    duplicates: Annotated[float, typer.Option(min=0, max=0.99, help="Share delivered again.")] = 0.02,
    delay: Annotated[float, typer.Option(min=0, max=86_400, help="Mean delay in seconds: disorder.")] = 0.5,
    drops: Annotated[float, typer.Option(min=0, max=1, help="Share that never comes.")] = 0.0,
    forged: Annotated[float, typer.Option(min=0, max=1, help="Share followed by a forgery.")] = 0.0,
    print_key: Annotated[bool, typer.Option("--public-key", help="Print the public key for `up` and stop.")] = False,
    allow_remote: Annotated[bool, typer.Option("--allow-remote", help="Post to another machine, on purpose.")] = False,
    api: Annotated[bool, typer.Option("--api", help="Then serve Telnyx's API for this world, until Ctrl-C.")] = False,
    api_port: Annotated[int, typer.Option(min=1, max=65_535, help="Where, on 127.0.0.1.")] = 8081,
) -> None:
    """Post a simulated center's signed webhooks to a URL, with Telnyx's retries, duplicates and disorder.

    export TELNYX_PUBLIC_KEY=$(holdtime simulate --public-key) gives `holdtime up` the key to believe it. With --api,
    TELNYX_BASE_URL=http://127.0.0.1:8081/v2 and TELNYX_API_KEY=KEY-simulated let `holdtime reconcile` ask it.
    """
    from holdtime.commands.simulate import Simulation

    url = url or f"http://127.0.0.1:{environment.read()[0].http_port or 8080}/webhooks/telnyx"
    with progress_bar() as progress:
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
            may_be_away=api,
        )
    errors.print(*posted.summary, sep="\n", soft_wrap=True)
    if api:
        from holdtime.commands import simulate_api

        errors.print(f"serving http://{simulate_api.HOST}:{api_port}/v2 for the key {simulate_api.API_KEY}")
        simulate_api.serve(
            posted.world,
            posted.lost,
            port=api_port,
            url=url,
            key=simulation.key,
            allow_remote=allow_remote,
            say=errors.print,
        )
    raise typer.Exit(0 if posted.complete else 1)
