"""What the commands share: options, the streams they write to, and how they say what went wrong."""

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
    """Return what reads the path that an option of that name gives. It raises ConfigurationError."""

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
    """Show how far a command is, on a terminal: where nobody watches, its last line says all."""
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
    """Turn what is the user's to mend into a line each and exit code 2; everything else stays an error of ours.

    What reads standard output may go away before its end, as `head` does: that is code 1, and not worth a word.
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
    """Say what failed, which was nobody's wrong use, and exit with 1."""
    _say(text)
    raise typer.Exit(1)


def screen() -> Console:
    """Where tables go; a pipe or a file has room enough for all of their columns."""
    return Console(highlight=False, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 160)
