"""Sending one message to one recipient, once, and whether it arrived, as far as can be known."""

import contextlib
import smtplib
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_string
from enum import StrEnum
from hashlib import blake2b
from pathlib import Path

from apprise import AppriseAttachment, NotifyFormat
from apprise.attachment.memory import AttachMemory
from apprise.plugins import NotifyBase
from apprise.plugins.email.base import NotifyEmail
from apprise.plugins.email.smtp import AppriseSMTPController

from reports.formats import output
from schedules import http_probe
from schedules.content import Message
from schedules.http_probe import HttpExchange
from schedules.recipients import Recipient
from schedules.record import RunId

TIMEOUT_S = 30.0
"""How long to wait for an answer where the URL does not say (`rto`): a time-out leaves a doubt, so not too short."""


class SendResult(StrEnum):
    """The message arrived; it was refused, and can be sent again; or nobody can know."""

    SENT = "sent"
    REFUSED = "refused"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class SendOutcome:
    """A result and why, in words without anything secret or personal."""

    result: SendResult
    reason: str = ""


def send(recipient: Recipient, message: Message, run: RunId) -> SendOutcome:
    """Send the message in one attempt. The same run and recipient have the same Message-ID and Idempotency-Key."""
    service = recipient.service()
    if "rto=" not in recipient.url.get_secret_value():
        service.socket_read_timeout = TIMEOUT_S
    identity = _identity(run, recipient)
    with http_probe.watched() as exchanges:
        if isinstance(service, NotifyEmail):
            return _mail(service, message, identity)
        return _notify(service, message, identity, exchanges)


def write(folder: Path, message: Message, stem: str) -> None:
    """Put the message's text and files into a folder, whole or not at all. Raises OSError."""
    files = {each.name: each.content for each in message.attachments}
    files[f"{stem}.summary.txt"] = message.text.encode()
    output.write({folder / name: content for name, content in files.items()}, mode=0o600)


def _identity(run: RunId, recipient: Recipient) -> str:
    text = f"{run.schedule}\0{run.kind}\0{run.due.isoformat()}\0{recipient.key}"
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _notify(service: NotifyBase, message: Message, identity: str, exchanges: list[HttpExchange]) -> SendOutcome:
    headers = getattr(service, "headers", None)
    if isinstance(headers, dict):
        headers.setdefault("Idempotency-Key", identity)
    try:
        taken = service.notify(
            body=message.text,
            title=message.subject,
            body_format=NotifyFormat.TEXT,
            attach=_attachments(message) if message.attachments else None,
        )
    except Exception as error:  # noqa: BLE001 - what a service raises is a result like another, and is handed on
        taken = False
        raised = f"; {type(error).__name__} was raised"
    else:
        raised = ""
    if taken and not any(each.redirected for each in exchanges):
        return SendOutcome(SendResult.SENT)
    weighty = [each for each in exchanges if each.changes] or exchanges
    if not weighty:
        return SendOutcome(SendResult.UNCLEAR, f"the service did not send it, or did not say that it had{raised}")
    if all(each.refused for each in weighty):
        return SendOutcome(SendResult.REFUSED, weighty[-1].found + raised)
    unclear = next((each.found for each in weighty if not each.refused), "")
    return SendOutcome(SendResult.UNCLEAR, f"{unclear}, and it may have been taken, in part or whole{raised}")


def _attachments(message: Message) -> AppriseAttachment:
    attachments = AppriseAttachment()
    for each in message.attachments:
        memory = AttachMemory(content=each.content, name=each.name, mimetype=each.kind)  # type: ignore[no-untyped-call]
        attachments.add(memory)
    return attachments


class _RefusedError(Exception):
    """The mail server said no, or could not be reached."""


class _UnclearError(Exception):
    """The connection was lost while the mail server had the mail, or parts of it."""


class _Connection(AppriseSMTPController):
    """Apprise's connection to a mail server, but one that says what went wrong."""

    def sendmail(self, from_addr: str, to_addrs: list[str], message: str) -> bool:
        socket = self._socket
        if socket is None:
            raise _RefusedError("there is no connection to the mail server")
        try:
            refused = socket.sendmail(from_addr, to_addrs, message)
        except smtplib.SMTPServerDisconnected:
            raise _UnclearError("the mail server closed the connection") from None
        except smtplib.SMTPResponseException as error:
            raise _RefusedError(f"the mail server answered {error.smtp_code}") from None
        except smtplib.SMTPRecipientsRefused as error:
            codes = sorted({str(code) for code, _ in error.recipients.values()})
            raise _RefusedError(f"the mail server answered {', '.join(codes)}") from None
        except (smtplib.SMTPException, ValueError) as error:
            raise _RefusedError(f"the mail could not be sent: {type(error).__name__}") from None
        except OSError:
            raise _UnclearError("the connection to the mail server broke, or was silent for too long") from None
        if to_addrs[0] in refused:
            raise _UnclearError(
                f"the mail server answered {refused[to_addrs[0]][0]} to the address, and took the copies"
            )
        return True


def _mail(service: NotifyEmail, message: Message, identity: str) -> SendOutcome:
    sender = str(service.from_addr[1])
    try:
        (mail,) = NotifyEmail.prepare_emails(
            subject=message.subject,
            body=message.html,
            from_addr=service.from_addr,
            to=service.targets,
            cc=service.cc,
            bcc=service.bcc,
            reply_to=service.reply_to,
            smtp_host=service.smtp_host,
            attach=list(_attachments(message)) or None,
            headers={"X-Application": service.app_id, **service.headers},
            names=service.names,
            pgp=service.pgp,
            pgp_mode=service.pgp_mode,
            tzinfo=service.tzinfo,
        )
    except Exception as error:  # noqa: BLE001 - nothing was sent yet, and why it could not be made is handed on
        return SendOutcome(SendResult.REFUSED, f"the mail could not be made: {type(error).__name__}")
    whole = message_from_string(mail.body)
    whole.replace_header("Message-ID", f"<{identity}@{sender.rpartition('@')[2]}>")
    try:
        with _connected(service) as connection:
            connection.sendmail(sender, mail.to_addrs, whole.as_string())
    except _RefusedError as error:
        return SendOutcome(SendResult.REFUSED, str(error))
    except _UnclearError as error:
        return SendOutcome(SendResult.UNCLEAR, f"{error}, and it may have been taken")
    return SendOutcome(SendResult.SENT)


@contextlib.contextmanager
def _connected(service: NotifyEmail) -> Iterator[_Connection]:
    connection = _Connection(
        host=service.smtp_host,
        port=service.port or 0,
        secure_mode=str(service.secure_mode),
        user=service.user,
        password=service.password,
        verify_certificate=service.verify_certificate,
        socket_connect_timeout=service.socket_connect_timeout,
    )
    try:
        connection.__enter__()
    except smtplib.SMTPResponseException as error:
        raise _RefusedError(f"the mail server answered {error.smtp_code} to who we are") from None
    except (OSError, smtplib.SMTPException, RuntimeError) as error:
        raise _RefusedError(f"no connection to the mail server could be made: {type(error).__name__}") from None
    try:
        yield connection
    finally:
        connection.__exit__(None, None, None)
