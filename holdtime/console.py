"""What the commands share: options, the streams they write to, and how they say what went wrong."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from holdtime.settings import ConfigurationError

errors = Console(stderr=True, highlight=False)

ConfigOption = Annotated[
    Path, typer.Option("--config", help="Settings that are not in the environment.", envvar="HOLDTIME_CONFIG")
]
JsonOption = Annotated[bool, typer.Option("--json", help="For machines.")]


@contextmanager
def progress_bar() -> Iterator[Progress]:
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
def explained() -> Iterator[None]:
    """Turn what is the user's to mend into a text and exit code 2; everything else stays an error of ours."""
    from holdtime.faults import named

    try:
        yield
    except Exception as error:
        faults = named(error)
        if faults is None:
            raise
        for fault in faults:
            errors.print("[bold red]✗[/]", escape(fault), markup=True, soft_wrap=True)
        sys.exit(2)


@contextmanager
def open_input(file: str) -> Iterator[tuple[BufferedReader, int | None]]:
    """Open a file or standard input; gives its size too, where it has one."""
    if file == "-":
        yield sys.stdin.buffer, None  # type: ignore[misc]
        return
    path = Path(file)
    try:
        opened = path.open("rb")
    except OSError as error:
        raise ConfigurationError([f"{file} cannot be read: {error.strerror}"]) from None
    with opened:
        yield opened, path.stat().st_size


def fail(text: str) -> NoReturn:
    """Say what failed, which was nobody's wrong use, and exit with 1."""
    errors.print("[bold red]✗[/]", escape(text), markup=True, soft_wrap=True)
    raise typer.Exit(1)


def screen() -> Console:
    """Where tables go; a pipe or a file has room enough for all of their columns."""
    return Console(highlight=False, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 160)
