"""The least a receiver can do: raw ASGI, PyNaCl, nothing kept. What ingest is measured against."""

import base64
import os

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey
from starlette.types import Receive, Scope, Send

KEY = VerifyKey(base64.b64decode(os.environ["BENCH_PUBLIC_KEY"]))


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer 200 to what the key signed, 401 to everything else."""
    if scope["type"] != "http":
        return
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    headers = dict(scope["headers"])
    try:
        signature = base64.b64decode(headers[b"telnyx-signature-ed25519"], validate=True)
        KEY.verify(headers[b"telnyx-timestamp"] + b"|" + body, signature)
        status = 200
    except (KeyError, ValueError, BadSignatureError):
        status = 401
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})
