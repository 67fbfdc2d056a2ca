"""The faults of a configuration, a line each, without anything secret."""

from pydantic import ValidationError

_SHORT = 5
"""No secret has so few characters, and every port has."""


class ConfigurationError(Exception):
    """The configuration cannot be used. `faults` says of each fault what was expected, what came and what to do."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def fault_lines(error: ValidationError, *, where: str) -> list[str]:
    """One line a fault; a secret's value is never in it."""
    lines = []
    for fault in error.errors(include_url=False, include_context=False):
        name = ".".join(_shown(str(part)) for part in fault["loc"])
        if fault["type"] == "extra_forbidden":
            lines.append(f"{where}{name} is not a setting: take it out, or see docs/operations.md for those there are")
            continue
        text = fault["msg"].removeprefix("Value error, ")
        found = "" if "found" in text or _is_secret(fault["loc"]) else _found(fault["input"])
        if not where and len(str(fault["input"])) > _SHORT:
            found = ""  # it may be a secret that was set under the wrong name
        lines.append(f"{where}{name}: {text[0].lower()}{text[1:]}{found}")
    return lines


def _is_secret(place: tuple[int | str, ...]) -> bool:
    return any("KEY" in str(part) or part in {"recipients", "on_failure", "sasl"} for part in place)


def _found(value: object) -> str:
    # Tables and arrays are left out: there may be a secret somewhere in them.
    return f", found {_shown(repr(value))}" if isinstance(value, str | int | float) else ""


def _shown(text: str) -> str:
    """The text without what precedes an `@`, which may be a password, and not longer than a line."""
    safe = f"...{text[text.rindex('@') :]}" if "@" in text else text
    return safe if len(safe) <= 80 else f"{safe[:80]}..."
