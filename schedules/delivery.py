"""Sending one message to one recipient, once, and whether it arrived, as far as can be known."""

from hashlib import blake2b
from pathlib import Path

from apprise import AppriseAttachment, NotifyFormat
from apprise.attachment.memory import AttachMemory
from apprise.plugins import NotifyBase
from apprise.plugins.email.base import NotifyEmail

from reports.formats import output
from schedules import http_probe, mail
from schedules.content import Message
from schedules.http_probe import HttpExchange
from schedules.outcome import SendOutcome, SendResult
from schedules.recipients import Recipient
from schedules.record import RunId

TIMEOUT_S = 30.0
"""How long to wait for an answer where the URL does not say (`rto`): a time-out leaves a doubt, so not too short."""


def send(recipient: Recipient, message: Message, run: RunId) -> SendOutcome:
    """Send the message in one attempt. The same run and recipient have the same Message-ID and Idempotency-Key."""
    service = recipient.service()
    if "rto=" not in recipient.url.get_secret_value():
        service.socket_read_timeout = TIMEOUT_S
    identity = _identity(run, recipient)
    with http_probe.watched() as exchanges:
        if isinstance(service, NotifyEmail):
            return mail.send(service, message, _attachments(message), identity)
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
