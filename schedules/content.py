"""The content of a message: a subject, a text, a page and files. Light to import, for the process that sends it."""

import base64
import json
import zlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes with a message."""

    name: str
    kind: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Message:
    """A message: the same content as plain text and as HTML, and files. Made once, and then sent to everybody."""

    subject: str
    text: str
    html: str
    attachments: tuple[Attachment, ...] = ()

    def packed(self) -> bytes:
        """Return the message as bytes, to be kept until it has been sent."""
        attachments = [[each.name, each.kind, base64.b64encode(each.content).decode()] for each in self.attachments]
        return zlib.compress(json.dumps([self.subject, self.text, self.html, attachments]).encode())

    @classmethod
    def unpacked(cls, packed: bytes) -> "Message":
        subject, text, html, attachments = json.loads(zlib.decompress(packed))
        return cls(
            subject,
            text,
            html,
            tuple(Attachment(name, kind, base64.b64decode(content)) for name, kind, content in attachments),
        )
