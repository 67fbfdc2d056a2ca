"""Calls of the command line as nobody would make them: any command, any option, any value, in any environment.

`calls()` draws them from the tree of commands itself, so that a new option is tried without a word here. A call runs in
a process forked from one that has imported everything, in a folder made anew for each. None of them serves, sends,
posts or reaches a network: commands that would are given what keeps them from it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import typer
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from holdtime.cli.main import app
from tests.support.call_values import (
    GOOD,
    LOGS,
    NOT_LOCAL,
    NUMBERS,
    OF_NAME,
    PATHS,
    SECRET,
    SETTINGS,
    TEXTS,
    TOMLS,
)


@dataclass(frozen=True)
class Call:
    """What is given to a process: arguments, environment, the bytes of `holdtime.toml`, and its terminal's encoding."""

    arguments: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    toml: bytes | None = None
    encoding: str = "utf-8"


def commands() -> dict[tuple[str, ...], list[Any]]:
    """Return the parameters of every command, by its words."""
    found: dict[tuple[str, ...], list[Any]] = {}

    def look(command: Any, words: tuple[str, ...]) -> None:
        below = getattr(command, "commands", None)
        if below is None:
            found[words] = [each for each in command.params if each.name != "help"]
            return
        for name, each in below.items():
            look(each, (*words, *name.split()))

    look(typer.main.get_command(app), ())
    return found


def calls() -> SearchStrategy[Call]:
    """Calls of all commands, in equal shares; the seldom ones are of no command."""
    of_commands = [_calls(words, parameters) for words, parameters in commands().items()]
    strange = st.lists(st.sampled_from(TEXTS), max_size=3).map(lambda texts: Call(tuple(texts)))
    return st.one_of(*of_commands, strange)


def _value(parameter: Any) -> SearchStrategy[str]:
    """Values of an option or argument: more often than not one that is right."""
    strange = _strange(parameter)
    good = st.sampled_from(GOOD[parameter.name]) if parameter.name in GOOD else strange
    return st.one_of(good, good, good, strange)


def _strange(parameter: Any) -> SearchStrategy[str]:
    kind = str(parameter.type_descriptor.annotation)
    if parameter.name in OF_NAME:
        usual: Sequence[str] = OF_NAME[parameter.name]
    elif "Path" in kind or parameter.name == "file":
        return st.sampled_from(PATHS)
    elif "int" in kind or "float" in kind:
        usual = NUMBERS
    else:
        usual = TEXTS
    any_text = st.text(st.characters(exclude_characters="\0"), max_size=30)
    return st.one_of(st.sampled_from(usual), st.sampled_from(TEXTS), any_text)


@st.composite
def _calls(draw: Any, words: tuple[str, ...], parameters: list[Any]) -> Call:
    given: list[str] = []
    for parameter in parameters:
        if parameter.param_type_name == "argument":
            if parameter.required or draw(st.booleans()):
                given.append(draw(_value(parameter)))
        elif draw(st.integers(0, max(3, len(parameters) // 3))) == 0:
            for _ in range(draw(st.sampled_from((1, 1, 1, 2)))):
                given.append(draw(st.sampled_from(parameter.opts)))
                if not parameter.is_flag:
                    given.append(draw(_value(parameter)))
    environment = draw(_environment())
    kept, forced = _kept_from_the_world(words, given, draw(st.integers(0, 3)))
    toml = draw(st.sampled_from(TOMLS)) if draw(st.integers(0, 2)) == 0 else None
    encoding = draw(st.sampled_from(("utf-8", "utf-8", "ascii", "iso-8859-1")))
    return Call((*words, *kept), {**environment, **forced}, toml, encoding)


@st.composite
def _environment(draw: Any) -> dict[str, str]:
    found = {
        "HOLDTIME_HTTP_HOST": "127.0.0.1",
        "HOLDTIME_HTTP_PORT": "9",
        "TELNYX_BASE_URL": "http://127.0.0.1:9/v2",
        "TELNYX_API_KEY": "",
    }
    if draw(st.integers(0, 2)):
        return found
    for name in draw(st.sets(st.sampled_from(SETTINGS), max_size=2)):
        found[name] = draw(st.sampled_from(PATHS))
    for name, values in (
        ("HOLDTIME_LOG", LOGS),
        ("HOLDTIME_HTTP_PORT", ("9", "-1", "x", "99999", SECRET, "\udcff")),
        ("TELNYX_PUBLIC_KEY", ("", "x", "A" * 44, SECRET, "\udcff", "é")),
        ("COLUMNS", ("0", "1", "2", "-5", "x", "500")),
        ("HOME", ("", "relative", "/nonexistent")),
        ("TZ", ("Mars", "", "UTC0")),
    ):
        if draw(st.integers(0, 4)) == 0:
            found[name] = draw(st.sampled_from(values))
    return found


def _kept_from_the_world(words: tuple[str, ...], given: list[str], choice: int) -> tuple[list[str], dict[str, str]]:
    """Return arguments and variables with which a command fails before it serves, sends or posts."""
    match words[0]:
        case "up" | "ingest" | "process":
            return given, {"HOLDTIME_HTTP_HOST": NOT_LOCAL}
        case "schedule":
            mode = (["--preview"], ["--status"], ["--now"], [])[choice]
            others = [each for each in given if each not in {"--now", "--preview", "--status"}]
            return [*mode, *others], {} if mode else {"HOLDTIME_SCHEDULES": "data"}
        case "demo":
            return [*given, "--dir", "held"], {}
        case "simulate":
            last = (["--public-key"], ["--start", "9999-12-31"], ["--url", "ftp://x"], ["--hours", "nan"])[choice]
            return [*(each for each in given if each != "--allow-remote"), *last], {}
    return given, {}


def words_of(call: Call) -> Iterator[str]:
    """A call as a shell would take it, for a failure's text."""
    yield from (f"{name}={text!a}" for name, text in sorted(call.environment.items()))
    yield "holdtime"
    yield from (ascii(text) for text in call.arguments)
    if call.toml is not None:
        yield f"# holdtime.toml: {call.toml[:200]!r}, {call.encoding}"
