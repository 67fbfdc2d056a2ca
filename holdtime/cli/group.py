"""The group of all commands: it explains their errors."""

import sys
from typing import Any

from typer.core import TyperGroup

from holdtime.cli import streams
from holdtime.cli.console import explained
from holdtime.config.settings import ConfigurationError


class CommandGroup(TyperGroup):
    """Explains the errors of all commands, and takes `report diff` for one name."""

    def main(self, *arguments: Any, **named: Any) -> Any:
        """Run a command: a fault that its user can mend ends it with a line on standard error and exit code 2."""
        with explained():
            try:
                code = super().main(*arguments, **{**named, "prog_name": "holdtime", "standalone_mode": False})
            finally:
                streams.finish()
        sys.exit(code if isinstance(code, int) else 0)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        for place, text in enumerate(args, start=1):
            if any("\ud800" <= char <= "\udfff" or char == "\0" for char in text):
                raise ConfigurationError([f"argument {place}: expected text in UTF-8, found {text!a}"])
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        two = " ".join(args[:2])
        if (command := self.get_command(ctx, two)) is not None:
            return two, command, args[2:]
        return super().resolve_command(ctx, args)
