"""One sending to a real server, and what is known of it afterwards: sent, refused, or that nobody can say."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from apprise.plugins.discord import NotifyDiscord
from pydantic import SecretStr

from schedules import recipients
from schedules.content import Attachment, Message
from schedules.delivery import send, write
from schedules.outcome import SendOutcome, SendResult
from schedules.recipients import Recipient
from schedules.record import RunId, RunKind
from tests.support.post import (
    GONE,
    SILENT,
    a_free_port,
    a_mail_server,
    a_web_server,
)

RUN = RunId("daily", RunKind.CRON, datetime(2026, 3, 30, 4, tzinfo=UTC))
LATER = RunId("daily", RunKind.CRON, datetime(2026, 3, 31, 4, tzinfo=UTC))
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MESSAGE = Message(
    "daily: Service levels, März",
    "Offered  1,234\nGröße.\n",
    "<p>Offered: <b>1,234</b></p>",
    (Attachment("daily.csv", "text/csv", b"queue,offered\r\n"), Attachment("daily.xlsx", XLSX, bytes(range(256)))),
)  # fmt: skip


def those(*urls: str) -> list[Recipient]:
    found, faults = recipients.found([SecretStr(url) for url in urls], {}, where="recipients")
    assert faults == []
    return found


def test_a_mail_says_all_of_it_and_has_the_files() -> None:
    with a_mail_server() as server:
        assert send(those(server.url("ann@example.com"))[0], MESSAGE, RUN) == SendOutcome(SendResult.SENT)
    (mail,) = server.came
    assert server.to == [["ann@example.com"]]
    assert (mail["Subject"], mail["To"]) == (MESSAGE.subject, "ann@example.com")
    page, text = mail.get_body(("html",)), mail.get_body(("plain",))
    assert page is not None
    assert text is not None
    assert MESSAGE.html in page.get_content()
    assert "Offered: 1,234" in text.get_content()
    attached = [
        Attachment(each.get_filename() or "", each.get_content_type(), bytes(each.get_content()))
        if each.get_content_maintype() == "application"
        else Attachment(each.get_filename() or "", each.get_content_type(), each.get_content().encode())
        for each in mail.iter_attachments()
    ]
    assert attached == list(MESSAGE.attachments)


def test_the_same_run_to_the_same_address_has_the_same_message_id_and_no_other_has() -> None:
    with a_mail_server() as server:
        ann, bob = those(server.url("ann@example.com", "bob@example.com"))
        for recipient, run in ((ann, RUN), (ann, RUN), (bob, RUN), (ann, LATER)):
            send(recipient, MESSAGE, run)
    ids = [mail.get_all("Message-ID") for mail in server.came]
    assert all(len(each) == 1 for each in ids if each)
    first, again, another, later = (str(each[0]) for each in ids if each)
    assert first == again
    assert len({first, another, later}) == 3
    assert first.endswith("@example.com>")


def test_copies_go_with_the_first_address_only() -> None:
    with a_mail_server() as server:
        more = "&cc=boss@example.com&bcc=archive@example.com"
        for recipient in those(server.url("ann@example.com", "bob@example.com", more=more)):
            assert send(recipient, MESSAGE, RUN).result is SendResult.SENT
    assert [sorted(to) for to in server.to] == [
        ["ann@example.com", "archive@example.com", "boss@example.com"],
        ["bob@example.com"],
    ]


@pytest.mark.parametrize(
    ("answer", "result", "reason"),
    [
        ("451 not now", SendResult.REFUSED, "the mail server answered 451"),
        ("554 no", SendResult.REFUSED, "the mail server answered 554"),
        (GONE, SendResult.UNCLEAR, "closed the connection, and it may have been taken"),
        (SILENT, SendResult.UNCLEAR, "closed the connection, and it may have been taken"),
    ],
)
def test_what_a_mail_server_does_with_the_mail_says_what_is_known(answer: str, result: SendResult, reason: str) -> None:
    with a_mail_server(answer) as server:
        outcome = send(those(server.url("ann@example.com"))[0], MESSAGE, RUN)
    assert len(server.came) == 1
    assert outcome.result is result
    assert reason in outcome.reason


def test_an_address_that_is_refused_is_refused_and_a_copy_that_was_taken_leaves_a_doubt() -> None:
    with a_mail_server() as server:
        server.refused = {"ann@example.com": "550 who is that"}
        alone = send(those(server.url("ann@example.com"))[0], MESSAGE, RUN)
        copied = send(those(server.url("ann@example.com", more="&cc=boss@example.com"))[0], MESSAGE, RUN)
    assert alone == SendOutcome(SendResult.REFUSED, "the mail server answered 550")
    assert copied.result is SendResult.UNCLEAR
    assert server.to == [["boss@example.com"]]


def test_where_nothing_listens_nothing_was_sent() -> None:
    port = a_free_port()
    for url in (f"mailto://127.0.0.1:{port}/?from=a@example.com&to=b@example.com", f"json://127.0.0.1:{port}/"):
        assert send(those(url)[0], MESSAGE, RUN).result is SendResult.REFUSED


def test_a_webhook_gets_the_text_the_files_and_a_key_that_is_the_same_for_the_same_run() -> None:
    with a_web_server() as server:
        (hook,) = those(server.url())
        for run in (RUN, RUN, LATER):
            assert send(hook, MESSAGE, run) == SendOutcome(SendResult.SENT)
    assert (server.came[0]["title"], server.came[0]["message"]) == (MESSAGE.subject, MESSAGE.text.rstrip())
    assert [each["filename"] for each in server.came[0]["attachments"]] == ["daily.csv", "daily.xlsx"]
    first, again, later = (headers["Idempotency-Key"] for headers in server.headers)
    assert first == again != later


@pytest.mark.parametrize(
    ("answer", "result", "reason"),
    [
        (500, SendResult.REFUSED, "it answered with status 500"),
        (429, SendResult.REFUSED, "it answered with status 429"),
        (404, SendResult.REFUSED, "it answered with status 404"),
        (502, SendResult.UNCLEAR, "it answered with status 502, and it may have been taken"),
        (504, SendResult.UNCLEAR, "it answered with status 504, and it may have been taken"),
        (SILENT, SendResult.UNCLEAR, "no answer came in time, and it may have been taken"),
        (GONE, SendResult.UNCLEAR, "the connection broke before an answer came, and it may have been taken"),
    ],
)
def test_what_a_web_server_answers_says_what_is_known(answer: int | str, result: SendResult, reason: str) -> None:
    with a_web_server(answer) as server:
        outcome = send(those(server.url())[0], MESSAGE, RUN)
    assert len(server.came) == 1
    assert outcome.result is result
    assert outcome.reason.startswith(reason)


def test_a_service_that_posts_twice_and_fails_half_way_leaves_a_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    # The text is a post of its own for this service, and so are the files.
    with a_web_server(200, 500) as server:
        monkeypatch.setattr(NotifyDiscord, "notify_url", f"http://127.0.0.1:{server.port}/hook")
        outcome = send(those(f"discord://{'1' * 18}/{'t' * 64}")[0], MESSAGE, RUN)
    assert outcome.result is SendResult.UNCLEAR


def test_no_outcome_shows_anything_secret() -> None:
    secret = "hunter2-not-to-be-seen"
    with a_mail_server(f"554 {secret} ann@example.com") as mail, a_web_server(500, GONE) as web:
        (to,) = those(mail.url("ann@example.com", more=f"&smtp=127.0.0.1&reply={secret}@example.com"))
        (hook,) = those(web.url(f"hook/{secret}"))
        outcomes = [send(to, MESSAGE, RUN), send(hook, MESSAGE, RUN), send(hook, MESSAGE, RUN)]
    assert secret not in repr(outcomes)
    assert "ann" not in repr(outcomes)


def test_files_are_written_whole_for_their_owner_and_again_without_harm(tmp_path: Path) -> None:
    for _ in range(2):
        write(tmp_path / "out" / "deep", MESSAGE, "daily-2026-03-30T0700")
    found = {path.name: path for path in (tmp_path / "out" / "deep").iterdir()}
    assert set(found) == {"daily.csv", "daily.xlsx", "daily-2026-03-30T0700.summary.txt"}
    assert found["daily.xlsx"].read_bytes() == bytes(range(256))
    assert {path.stat().st_mode & 0o777 for path in found.values()} == {0o600}


def test_a_message_is_kept_as_it_is() -> None:
    assert Message.unpacked(MESSAGE.packed()) == MESSAGE
