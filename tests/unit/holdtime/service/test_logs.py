"""Log lines: whatever a library or a server puts into one, it is short and drives no terminal."""

import io
import json
import logging
import sys
import unicodedata
from collections.abc import Iterator

import pytest
import structlog

from holdtime.service import logs
from tests.support.hostile import TEXTS

ESCAPES = "\x1b]0;title\x07\x1b[31mred\x9b2J\r\x00\u202egnp.exe"


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def written(monkeypatch: pytest.MonkeyPatch, to: io.StringIO, text: str) -> str:
    monkeypatch.setattr(sys, "stderr", to)
    logs.configure()
    structlog.get_logger("test").warning("source_not_read", reason=text, others=[text])
    logging.getLogger("aiokafka").error("Authentication failed: %s", text)
    return to.getvalue()


def test_no_text_drives_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for text in (ESCAPES, *TEXTS):
        shown = written(monkeypatch, _Terminal(), text)
        for code in ("\x1b[0m", "\x1b[1m", "\x1b[2m", *(f"\x1b[{n}m" for n in range(30, 38))):
            shown = shown.replace(code, "")
        assert not [char for char in shown if char != "\n" and unicodedata.category(char) in {"Cc", "Cf", "Cs"}]


def test_lines_for_machines_are_json_in_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = written(monkeypatch, io.StringIO(), ESCAPES).splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["source_not_read", f"Authentication failed: {ESCAPES}"]
    assert all(line.isascii() and line.isprintable() for line in lines)


@pytest.mark.parametrize("to", [io.StringIO(), _Terminal()])
def test_a_long_text_is_cut(monkeypatch: pytest.MonkeyPatch, to: io.StringIO) -> None:
    monkeypatch.setattr(sys, "stderr", to)
    logs.configure()
    structlog.get_logger("test").warning("not_landed", reason="x" * (1 << 20))
    logging.getLogger("aiokafka").error("%s", "y" * (1 << 20))
    assert len(to.getvalue()) < 2 * logs.MAX_TEXT + 500
    assert to.getvalue().count("1,048,576 characters") == 2
