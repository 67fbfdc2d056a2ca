"""`holdtime demo`: the whole way, from a simulated center's webhooks to a report, in a folder of its own."""

import tempfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from holdtime.commands.server import Server
from holdtime.commands.simulate import Simulation, untaken
from holdtime.config.settings import ConfigurationError
from reports import formats
from reports.calendar.intervals import Interval
from reports.catalogue import registry
from reports.formats import output
from reports.request.request import Request
from reports.source import Source, opened
from reports.tables.report import Report
from simulator import (
    Faults,
    Posted,
    World,
    deliver,
)
from simulator import demo as demo_world

FAULTS = Faults(delay_s=0.5, duplicates=0.05, forged=0.01)


def run(folder: Path | None, *, seed: int, console: Console) -> int:
    """Run the demo, leaving everything it made in `folder`; returns 1 if the warehouse differs from what happened."""
    folder = (folder or Path(tempfile.mkdtemp(prefix="holdtime-demo-"))).absolute()
    if (folder / "log.sqlite").exists() or (folder / "warehouse.duckdb").exists():
        raise ConfigurationError([f"--dir: {folder} holds another run's files: expected a new or an empty folder"])
    folder.mkdir(parents=True, exist_ok=True)
    simulation = Simulation.prepare(folder / "simulator.key")
    with _progress(console) as progress:
        task = progress.add_task("simulating a day of a call center", total=1)
        world = demo_world(seed=seed, until=datetime.now(UTC))
        deliveries = deliver(world.events, FAULTS, seed=seed)
        progress.update(task, completed=1)
        task = progress.add_task("starting the server", total=1)
        with Server.started(folder, public_key=simulation.public_key) as server:
            progress.update(task, completed=1)
            progress.add_task("posting signed webhooks over HTTP", total=len(deliveries))
            posted = simulation.send(deliveries, url=server.webhook_url, progress=progress)
            task = progress.add_task("landing events and facts", total=server.status()["log_end"])
            server.wait_until_landed(lambda landed: progress.update(task, completed=landed))
        with opened(folder / "replica.duckdb") as source:
            task = progress.add_task("reporting", total=1)
            page = folder / "report.html"
            output.write({page: formats.render(_report(source, world, Interval.HOUR), "html").encode()})
            report = _report(source, world, None)
            differences = _differences(source, world)
            progress.update(task, completed=1)
    console.print()
    console.file.write(formats.render(report, "table", width=console.width, color=console.is_terminal))
    _conclude(console, folder, world, posted, differences)
    return 1 if differences or posted.given_up else 0


def _progress(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(finished_text="[green]✓[/]"),
        TextColumn("{task.description:<34}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )


def _report(source: Source, world: World, interval: Interval | None) -> Report:
    return registry.run("sla", source, Request(now=datetime.now(UTC), tz=world.plan.time_zone, interval=interval))


def _differences(source: Source, world: World) -> list[str]:
    """The differences between the warehouse and what happened in the simulated center."""
    visits = world.truth.queue_visits
    expected = Counter((visit.queue, visit.outcome) for visit in visits)
    rows = source.db.execute("select queue, outcome, count(*) from queue_visits group by all").fetchall()
    found = Counter({(queue, outcome): count for queue, outcome, count in rows})
    different = [
        f"{queue}, {outcome}: {found[queue, outcome]} in the warehouse, {expected[queue, outcome]} happened"
        for queue, outcome in sorted(expected.keys() | found.keys())
        if found[queue, outcome] != expected[queue, outcome]
    ]
    ((waited,),) = source.db.execute("select coalesce(sum(wait_ms), 0)::bigint from queue_visits").fetchall()
    if waited != (really := sum(visit.wait_ms for visit in visits)):
        different.append(f"time waited: {waited} ms in the warehouse, {really} ms happened")
    return different


def _conclude(console: Console, folder: Path, world: World, posted: Posted, differences: list[str]) -> None:
    if differences:
        console.print("\n[bold red]The warehouse differs from what happened:[/]", *differences, sep="\n  ")
    else:
        console.print(
            f"\n[green]✓[/] All {len(world.truth.queue_visits):,} visits are in the warehouse as they happened, "
            "to the millisecond.",
        )
    if posted.given_up:
        console.print(*untaken(posted), sep="\n", soft_wrap=True)
    console.print(
        f"[green]✓[/] {posted.accepted:,} webhooks taken, late and repeated ones among them; "
        f"{posted.forged[401]:,} of {posted.forged.total():,} forged ones refused.\n"
    )
    for name, what in (
        ("report.html", "the report as a page: open it in a browser"),
        ("replica.duckdb", "facts and events: open it with any DuckDB client"),
        ("live.duckdb", "views over the replica: for a dashboard that stays open"),
        ("warehouse.duckdb", "the same, as the server writes it"),
        ("log.sqlite", "every delivery, byte for byte"),
        ("server.log", "what the server had to say"),
    ):
        # A line of its own each, whatever its length: it is there to be copied.
        console.print(f"[bold]{folder / name}[/]  [dim]{what}[/]", soft_wrap=True)
