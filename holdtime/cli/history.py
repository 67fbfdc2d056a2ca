"""The commands that look into history, mend it, and say what is open. `holdtime.cli.main` has the others."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from holdtime.cli.console import (
    ConfigOption,
    JsonOption,
    errors,
    fail,
    open_input,
    progress_bar,
    screen,
)
from holdtime.config import settings
from holdtime.config.settings import CONFIG_FILE
from holdtime.service import logs

app = typer.Typer()
rejected_app = typer.Typer(help="What was kept although it is no event.", no_args_is_help=True)
app.add_typer(rejected_app, name="rejected")

ReasonOption = Annotated[str | None, typer.Option(help="Only this reason, such as stale or not_json.")]


@app.command()
def call(
    session_id: Annotated[str, typer.Argument(help="A call_session_id; or the id of a leg or of a conference.")],
    tz: Annotated[str | None, typer.Option(help="IANA time zone, such as Europe/Athens.")] = None,
    as_json: JsonOption = False,
    config: ConfigOption = CONFIG_FILE,
) -> None:
    """Show one call as a timeline: every event and fact, the gaps between them, and where each came from."""
    from holdtime.commands import call as shown
    from reports.calendar import intervals
    from reports.source import opened

    configured = settings.load(config)
    zone = intervals.zone(tz or configured.configuration.timezone)
    with opened(configured.environment.replica) as source:
        timeline = shown.find(source.db, session_id)
    if timeline is None:
        fail(
            f"nobody has heard of {session_id!r}: expected the id of a session, a leg or a conference in "
            f"{configured.environment.replica}; a call of the last seconds may not be in it yet"
        )
    elif as_json:
        typer.echo(shown.as_json(timeline))
    else:
        screen().print(shown.renderable(timeline, zone))


@app.command()
def replay(
    file: Annotated[str, typer.Argument(help="JSON, also as gzip, bzip2, xz, Zstandard or zip; - for standard input.")],
    config: ConfigOption = CONFIG_FILE,
) -> None:
    """Land archived webhooks: bodies, one a line or in an array, or whole answers of call_events or webhook_deliveries.

    They count as unverified. What is known already changes nothing, so a file can be replayed again. Needs the log and
    the warehouse to itself: stop `holdtime up` first.
    """
    from holdtime.commands import replay as replaying

    with progress_bar() as progress, open_input(file) as (source, size):
        task = progress.add_task("replaying bytes", total=size)

        def advance(so_far: replaying.Replayed) -> None:
            progress.update(task, completed=so_far.bytes_read, description=f"replaying, {so_far.bodies:,} bodies")

        try:
            replayed = replaying.replay(settings.load(config), source, name=file, progress=advance)
        except replaying.INTERRUPTED as error:
            fail(f"stopped by {error}: what has landed is safe; mend that, then replay the file again")
    errors.print(
        f"{replayed.bodies:,} bodies: {replayed}" + (" (see `holdtime rejected list`)" if replayed.rejected else ""),
        soft_wrap=True,
    )


@app.command()
def doctor(
    most: Annotated[
        int, typer.Option(min=0, max=1_000_000, help="How many of the oldest open items of a kind to show.")
    ] = 5,
    deep: Annotated[bool, typer.Option("--deep", help="Read every value of the warehouse and the replica.")] = False,
    as_json: JsonOption = False,
    verify_log: Annotated[
        bool, typer.Option("--verify-log", help="Read the whole log again: every checksum, every signature.")
    ] = False,
    config: ConfigOption = CONFIG_FILE,
) -> None:
    """Check keys, log, warehouse, replica, lag and clock, list what is open, and say what to do; changes nothing.

    Works while `holdtime up` runs, and before it ever did. Exits with 1 where a check failed.
    """
    from holdtime.doctor import doctor as examining
    from holdtime.doctor import findings

    if verify_log:
        from holdtime.doctor import verify_log as verifying

        with progress_bar() as progress:
            task = progress.add_task("verifying records", total=None)
            found = verifying.examine(
                config,
                now=datetime.now(UTC),
                progress=lambda done, total: progress.update(task, completed=done, total=total),
            )
    else:
        with errors.status("examining", spinner="line") as status:
            found = examining.examine(
                config,
                now=datetime.now(UTC),
                most=most,
                deep=deep,
                on_progress=lambda column: status.update(f"reading {column}"),
            )
    if as_json:
        typer.echo(findings.as_json(found))
    else:
        screen().print(findings.renderable(found))
    raise typer.Exit(1 if found.failed else 0)


@rejected_app.command("list")
def rejected_list(
    reason: ReasonOption = None,
    most: Annotated[int, typer.Option(min=0, max=1_000_000, help="How many of the newest to show.")] = 20,
    bodies: Annotated[bool, typer.Option("--bodies", help="Whole bodies: they may hold personal data.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = CONFIG_FILE,
) -> None:
    """Show what was rejected, by reason, and the newest records; of their bodies only a beginning without digits."""
    from holdtime.commands import rejected
    from reports.calendar import intervals
    from reports.source import opened

    configured = settings.load(config)
    zone = intervals.zone(configured.configuration.timezone)
    with opened(configured.environment.replica) as source:
        found = rejected.reasons(source.db, reason)
        rows = rejected.newest(source.db, reason, most=most, bodies=bodies)
    if as_json:
        typer.echo(rejected.as_json(found, rows, bodies=bodies))
    else:
        screen().print(rejected.renderable(found, rows, zone, bodies=bodies))


@rejected_app.command("replay")
def rejected_replay(reason: ReasonOption = None, config: ConfigOption = CONFIG_FILE) -> None:
    """Land what was rejected again, with the bytes, time and origin that it came with; what still cannot stays.

    For after a fix, and for `stale`: authentic deliveries that came by a wrong clock. Needs the warehouse to itself:
    stop `holdtime up` first.
    """
    from holdtime.commands import rejected

    logs.configure(quiet=True)
    with progress_bar() as progress:
        task = progress.add_task("landing again", total=None)
        events = known = left = 0
        for landed, total in rejected.replay(settings.load(config), reason):
            events, known, left = landed.events, landed.duplicates, landed.rejected
            progress.update(task, completed=landed.records, total=total)
    errors.print(f"{events:,} are events now, {known:,} were known already, {left:,} stay rejected")
