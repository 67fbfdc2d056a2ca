"""Options, streams and errors of all commands."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from holdtime.cli import streams
from holdtime.config.settings import ConfigurationError
from reports import humanize
from warehouse import os_error, paths

errors = Console(stderr=True, highlight=False)


def path_of(name: str, read: Callable[[object], Path] = paths.expanded) -> Callable[[object], Path]:
    """Return the parser of an option that names a path. The parser raises ConfigurationError."""

    def path(text: object) -> Path:
        try:
            return read(text)
        except ValueError as error:
            raise ConfigurationError([f"{name}: {error}"]) from None

    return path


ConfigOption = Annotated[
    Path,
    typer.Option(
        "--config",
        help="Settings that are not in the environment.",
        envvar="HOLDTIME_CONFIG",
        parser=path_of("--config or HOLDTIME_CONFIG"),
        metavar="PATH",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="For machines.")]


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Show the progress of a command on a terminal; elsewhere its last line has to do."""
    with Progress(
        SpinnerColumn("line"),  # a terminal may know no other characters than those of ASCII
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=errors,
        disable=not errors.is_terminal,
    ) as progress:
        yield progress


@contextmanager
def explained() -> Iterator[None]:
    """Say each fault that the user can mend in a line, and exit with 2; any other error is raised.

    Where the reader of standard output goes away before its end, as `head` does, exit with 1 and say nothing.
    """
    try:
        yield
    except BrokenPipeError:
        streams.abandon()
        sys.exit(1)
    except typer.TyperException as error:
        _say_usage(error)
        streams.abandon()
        sys.exit(getattr(error, "exit_code", 2))
    except Exception as error:
        from holdtime.faults import named

        faults = named(error)
        if faults is None:
            raise
        # An error of standard output names no path of its own.
        about = "standard output: " if streams.abandon() and getattr(error, "filename", None) is None else ""
        for fault in faults:
            _say(about + fault)
        streams.abandon()
        sys.exit(2)


def _say_usage(error: typer.TyperException) -> None:
    """Say in a line what is wrong with the arguments; where there were none, the help has been shown already."""
    if text := " ".join(error.format_message().split()):
        context: typer.Context | None = getattr(error, "ctx", None)
        command = "holdtime" if context is None else context.command_path
        _say(f"{text.rstrip('.')}: `{command} --help` shows what there is")


def _say(fault: str) -> None:
    """Write one line to standard error; where that is closed or full, the exit code has to do."""
    with suppress(OSError):
        errors.print(Text.assemble(("✗", "bold red"), " ", humanize.plain(fault)), soft_wrap=True)


@contextmanager
def open_input(file: str) -> Iterator[tuple[BufferedReader, int | None]]:
    """Open a file or standard input; gives its size too, where it has one."""
    if file == "-":
        yield sys.stdin.buffer, None  # type: ignore[misc]
        return
    try:
        opened = path_of("FILE")(file).open("rb")
    except OSError as error:
        raise ConfigurationError([f"{file} cannot be read: {os_error.reason(error)}"]) from None
    with opened:
        yield opened, os.fstat(opened.fileno()).st_size


def fail(text: str) -> NoReturn:
    """Say what failed, where the command was used rightly, and exit with 1."""
    _say(text)
    raise typer.Exit(1)


def screen() -> Console:
    """Return the console for tables; in a pipe or a file it is wide enough for all of their columns."""
    return Console(highlight=False, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 160)
