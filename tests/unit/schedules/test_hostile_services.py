"""Services that are hostile to who sends to them: every kind that speaks HTTP, on real sockets, and real processes."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from apprise.manager_plugins import NotificationManager
from pydantic import SecretStr

from schedules import (
    delivery,
    http_probe,
    recipients,
    sender,
)
from schedules.content import Message
from schedules.outcome import SendOutcome, SendResult
from schedules.recipients import Recipient
from schedules.record import RunId, RunKind
from tests.support.answers import (
    Answer,
    a_server,
    answering,
    bombing,
    endless,
    trickling,
)
from tests.support.post import a_mail_server

RUN = RunId("daily", RunKind.CRON, datetime(2026, 3, 30, 4, tzinfo=UTC))
MESSAGE = Message("daily", "Offered  1,234\n", "<p>Offered</p>")
_HEX = "a1b2c3d4" * 4
SHAPES = (
    *("x/", "user:pass@x/", "tokentokentoken@x/", "x/abcdefghijklmnop", "x/aaaaaaaaaaaaaaaaaaaa/bbbbbbbbbbbbbbbbbbbb"),
    *("user:pass@x/@user/#chan/15551234567", f"{_HEX}/", f"{_HEX}/15551234567", f"{'1' * 18}/{_HEX}{_HEX}"),
    *(f"{_HEX}@{_HEX[:24]}/15551234567/15551234568", f"{_HEX[:30]}@{_HEX[:30]}", f"user:pass@{_HEX}/15551234567"),
    *(f"{_HEX[:9]}/{_HEX[:9]}/{_HEX[:9]}/{_HEX[:9]}", f"AC{_HEX}:{_HEX}@15551234567/15551234568"),
    *(f"x/?to=15551234567&from=15551234567&token={_HEX}&key={_HEX}", f"user:{_HEX}@example.com/room/15551234567"),
    f"123456789:{'a' * 35}/12345",
)
"""Addresses, some of which nearly every service takes."""

NOT_HTTP = {"amqp", "aprs", "dbus", "email", "glib", "gnome", "growl", "irc", "mqtt", "nostr", "rsyslog", "smpp"}
NOT_HTTP |= {"syslog", "xmpp", "blink1", "macosx", "windows"}


def a_recipient(url: str) -> Recipient | None:
    found, faults = recipients.found([SecretStr(url)], {}, where="recipients")
    return None if faults else found[0]


def of_each_kind() -> Iterator[tuple[type[Any], Recipient]]:
    """A recipient of each kind of service that speaks HTTP, where one of `SHAPES` is an address of it."""
    plugins: dict[type[Any], str] = {}
    manager = NotificationManager()  # type: ignore[no-untyped-call]
    for schema in manager.schemas():  # type: ignore[no-untyped-call]
        plugins.setdefault(manager[schema], schema)
    for plugin, schema in plugins.items():
        if plugin.__module__.split(".")[2] not in NOT_HTTP:
            urls = (f"{schema}://{shape}{'&' if '?' in shape else '?'}redirect=yes" for shape in SHAPES)
            if recipient := next((found for url in urls if (found := a_recipient(url))), None):
                yield plugin, recipient


@pytest.fixture
def all_hosts_are(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Lead every request, whatever its host, to one port of this machine, over plain HTTP."""
    send = requests.Session.send

    def lead(port: int) -> None:
        def led(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> requests.Response:
            parts = urlsplit(request.url or "")
            if parts.netloc != f"127.0.0.1:{port}":
                request.url = parts._replace(scheme="http", netloc=f"127.0.0.1:{port}").geturl()
            return send(session, request, **options)

        monkeypatch.setattr(requests.Session, "send", led)

    return lead


@pytest.mark.parametrize(
    ("answer", "says"),
    [(None, "a redirect (302), which is not followed"), (bombing(200, 64 << 20), "status 200 and more than 1 MiB")],
    ids=["redirect", "bomb"],
)
def test_no_service_of_any_kind_follows_a_redirect_or_takes_a_bomb(
    answer: Answer | None, says: str, all_hosts_are: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    reached = 0
    with a_server(answering(200, b"{}")) as (other, stolen):
        redirect = answering(302, Location=f"http://127.0.0.1:{other}/elsewhere")
        with a_server(answer or redirect) as (port, asked):
            all_hosts_are(port)
            for plugin, recipient in of_each_kind():
                monkeypatch.setattr(plugin, "request_rate_per_sec", 0)
                before = len(asked)
                outcome = delivery.send(recipient, MESSAGE, RUN)
                if len(asked) > before:
                    reached += 1
                    assert outcome.result is not SendResult.SENT, plugin
                    assert says in outcome.reason, plugin
        assert not stolen
    assert reached > 80


FUNCTIONS: dict[str, Callable[[str], object]] = {
    **{name: getattr(requests, name) for name in ("get", "post", "put", "patch", "delete", "head", "options")},
    "asked to follow": lambda url: requests.post(url, data=b"x", allow_redirects=True, timeout=5),
    "of a session": lambda url: requests.Session().post(url, data=b"x", allow_redirects=True, timeout=5),
    "of a class of its own": lambda url: type("Own", (requests.Session,), {})().get(url, timeout=5),
    "sent by hand": lambda url: requests.Session().send(requests.Request("PUT", url).prepare(), allow_redirects=True),
    "streamed": lambda url: list(requests.get(url, stream=True, timeout=5).iter_content()),
}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("ask", FUNCTIONS.values(), ids=FUNCTIONS)
def test_no_way_to_use_requests_follows_a_redirect(ask: Callable[[str], object], status: int) -> None:
    with a_server(answering(200)) as (other, stolen):
        server = a_server(answering(status, Location=f"http://127.0.0.1:{other}/"))
        with server as (port, _), http_probe.watched() as exchanges:
            ask(f"http://127.0.0.1:{port}/")
        assert [each.redirected for each in exchanges] == [True]
        assert not stolen
    send = requests.Session.send
    with http_probe.watched():
        assert requests.Session.send is not send
    assert requests.Session.send is send, "whoever else uses requests is not watched"


def test_an_answer_of_up_to_a_mebibyte_is_what_it_was() -> None:
    body = os.urandom(http_probe.MAX_ANSWER_BYTES)
    with a_server(answering(200, body, Content_Type="text/plain")) as (port, _), http_probe.watched():
        assert requests.post(f"http://127.0.0.1:{port}/", timeout=5).content == body
    with a_server(answering(200, body + b"x")) as (port, _), http_probe.watched() as exchanges:
        with pytest.raises(http_probe.AnswerTooLargeError):
            requests.post(f"http://127.0.0.1:{port}/", timeout=5)
        assert not exchanges[0].refused


def test_a_redirected_hook_is_refused_and_its_token_stays_here() -> None:
    with a_server(answering(200)) as (other, stolen):
        with a_server(answering(307, Location=f"http://localhost:{other}/")) as (port, asked):
            url = f"json://user:CANARY@127.0.0.1:{port}/x?+X-Token=CANARY&redirect=yes"
            recipient = a_recipient(url)
            assert recipient is not None
            outcome = sender.send(recipient, MESSAGE, RUN)
        ((_, headers),) = asked
    assert headers["X-Token"] == "CANARY"
    assert not stolen
    assert outcome.result is SendResult.REFUSED
    assert outcome.reason.startswith("it answered with a redirect (307), which is not followed")
    assert "CANARY" not in repr(outcome)


def test_one_that_trickles_is_ended_and_leaves_a_doubt() -> None:
    let_go = threading.Event()
    with a_server(trickling(let_go)) as (port, asked):
        recipient = a_recipient(f"json://127.0.0.1:{port}/")
        assert recipient is not None
        outcome = sender.send(recipient, MESSAGE, RUN, deadline_s=3)
        let_go.set()
    assert len(asked) == 1
    assert outcome == SendOutcome(SendResult.UNCLEAR, "no whole answer came within 3 s, and it may have been taken")


GROWTH = """
import json, resource, sys
from datetime import UTC, datetime
from pydantic import SecretStr
from schedules import recipients, sender
from schedules.content import Message
from schedules.record import RunKind, RunId

if __name__ == "__main__":
    run, said = RunId("daily", RunKind.CRON, datetime(2026, 3, 30, tzinfo=UTC)), []
    for url in sys.argv[1:]:
        (to,), _ = recipients.found([SecretStr(url)], {}, where="recipients")
        outcome = sender.send(to, Message("a", "b", "c"), run, deadline_s=30)
        said.append([outcome.result, outcome.reason, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024])
    print(json.dumps(said))
"""


def test_neither_a_bomb_nor_an_endless_answer_takes_memory() -> None:
    with (
        a_server(answering(200, b"{}")) as (good, _),
        a_server(bombing(200, 128 << 20)) as (bomb, _),
        a_server(endless) as (end, _),
    ):
        urls = [f"json://127.0.0.1:{port}/" for port in (good, bomb, end)]
        ended = subprocess.run([sys.executable, "-c", GROWTH, *urls], capture_output=True, text=True, check=True)
    good_, *others = json.loads(ended.stdout)
    assert good_[0] == "sent"
    for result, reason, peak_mb in others:
        assert (result, reason[:56]) == ("unclear", "it answered with status 200 and more than 1 MiB, and it ")
        assert peak_mb < good_[2] + 48


def test_a_mail_server_whose_greeting_never_ends_takes_no_more_than_the_process_may_have() -> None:
    def greet(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            while True:
                connection.sendall((b"220-" + b"x" * 8_000 + b"\r\n") * 100)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=greet, args=(listener,), daemon=True).start()
        recipient = a_recipient(f"mailto://127.0.0.1:{listener.getsockname()[1]}/?from=a@example.com&to=b@example.com")
        assert recipient is not None
        outcome = sender.send(recipient, MESSAGE, RUN)
    assert outcome.reason == "the process that sends it ended with code 1, and it may have been taken"


def test_the_process_that_sends_has_all_that_it_needs_and_says_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    with a_mail_server("250 taken", "451 not now") as server:
        recipient = a_recipient(server.url("ann@example.com"))
        assert recipient is not None
        assert sender.send(recipient, MESSAGE, RUN) == SendOutcome(SendResult.SENT)
        assert sender.send(recipient, MESSAGE, RUN) == SendOutcome(SendResult.REFUSED, "the mail server answered 451")
    assert [mail["Subject"] for mail in server.came] == ["daily", "daily"]
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert (
        sender.send(recipient, MESSAGE, RUN).reason == "no process could be started for it: No such file or directory"
    )
