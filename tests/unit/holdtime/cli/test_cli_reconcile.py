"""`holdtime reconcile` as a command: what it needs, what it says, and how it ends."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from simulator.api import Account, Manners
from tests.support.answers import a_server, answering
from tests.support.served import (
    KEY,
    now_us,
    telnyx,
)
from tests.support.worlds import a_recent_world


def an_account() -> Account:
    """Telnyx's for a minute of calls some hours ago."""
    begin = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=4)
    return Account.of(a_recent_world(begin, timedelta(minutes=1)), now=now_us)


def run(folder: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    """The exit code, and everything that was said."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("TELNYX_", "HOLDTIME_"))}
    ended = subprocess.run(
        [sys.executable, "-m", "holdtime", "reconcile", *arguments],
        env={**clean, **environment, "COLUMNS": "200"},
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
    )
    return ended.returncode, ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("arguments", "environment", "named"),
    [(["--once"], {}, "TELNYX_API_KEY is empty"), (["--since", "yesterday"], {"TELNYX_API_KEY": "K"}, "such as 90m")],
)
def test_wrong_use_is_named(tmp_path: Path, arguments: list[str], environment: dict[str, str], named: str) -> None:
    code, words = run(tmp_path, *arguments, **environment)
    assert (code, named in words) == (2, True), words
    assert not list(tmp_path.iterdir())


def test_it_says_of_each_list_what_was_read_and_a_forbidden_one_is_no_failure(tmp_path: Path) -> None:
    with telnyx(an_account(), Manners(forbidden=frozenset({"recordings"}))) as url:
        code, words = run(tmp_path, "--once", TELNYX_API_KEY=KEY, TELNYX_BASE_URL=url)
    assert code == 0, words
    assert "read to its end" in words
    assert "may not use it (403)" in words
    assert KEY not in words


def test_a_hostile_server_gets_no_key_to_another_host_and_none_onto_the_screen(tmp_path: Path) -> None:
    canary = "KEY-canary-0123456789"
    title = f"\x1b[31m\u202e{canary}" + "t" * 5000
    refused = answering(422, json.dumps({"errors": [{"title": title}]}).encode())
    with a_server(answering(200, b'{"data":[]}')) as (other, stolen):
        redirect = answering(307, Location=f"http://127.0.0.1:{other}/v2")
        for answer, said in ((redirect, "a redirect (307), which is not followed"), (refused, "refused with 422")):
            with a_server(answer) as (port, _):
                url = f"http://127.0.0.1:{port}/v2"
                code, words = run(tmp_path, "--once", TELNYX_API_KEY=canary, TELNYX_BASE_URL=url)
            assert code == 1, words
            assert said in words
            assert canary not in words
            assert not {"\x1b", "\u202e"} & set(words)
    assert not stolen


def test_a_key_that_is_not_accepted_stops_even_one_that_goes_on_with_a_clear_error(tmp_path: Path) -> None:
    with telnyx(an_account()) as url:
        code, words = run(tmp_path, TELNYX_API_KEY="another key", TELNYX_BASE_URL=url, HOLDTIME_HTTP_PORT="0")
    assert code == 2
    assert "does not accept TELNYX_API_KEY (401)" in words
    assert "another key" not in words
    assert "Traceback" not in words
