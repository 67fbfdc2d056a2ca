"""The other end of `checker`: reads deliveries from a socket, answers with a byte each; ends when the socket does.

A delivery is two lengths, the 64 bytes of its signature, its timestamp and its body. The byte is the place of the key
that signed it, or NOBODY.
"""

import signal
import socket
import struct
import sys

from nacl.signing import VerifyKey

from ingest.signature import Seal, Verifier

LENGTHS = struct.Struct("!HI")
"""Of the timestamp and of the body."""

NOBODY = 255

_SIGNATURE_BYTES = 64
_HEAD_BYTES = LENGTHS.size + _SIGNATURE_BYTES
_READ_BYTES = 1 << 18
_ANSWERS_AT_ONCE = 16
"""So that the first of many do not wait for the last."""


def serve(connection: socket.socket, verifier: Verifier) -> None:
    """Answer until the other end closes."""
    unread = b""
    while received := connection.recv(_READ_BYTES):
        unread = unread + received if unread else received
        answers = bytearray()
        start = 0
        while len(unread) - start >= _HEAD_BYTES:
            timestamp_bytes, body_bytes = LENGTHS.unpack_from(unread, start)
            timestamp_at = start + _HEAD_BYTES
            body_at = timestamp_at + timestamp_bytes
            end = body_at + body_bytes
            if end > len(unread):
                break
            seal = Seal(unread[start + LENGTHS.size : timestamp_at], unread[timestamp_at:body_at])
            place = verifier.signer(unread[body_at:end], seal)
            answers.append(NOBODY if place is None else place)
            if len(answers) == _ANSWERS_AT_ONCE:
                connection.sendall(answers)
                answers.clear()
            start = end
        unread = unread[start:]
        connection.sendall(answers)


def main() -> None:
    """`python -m ingest.checker_process FD KEY...`: an open socket, public keys in hexadecimal."""
    for kind in (signal.SIGINT, signal.SIGTERM):
        signal.signal(kind, signal.SIG_IGN)  # the one whose deliveries these are decides when it is over
    descriptor, *keys = sys.argv[1:]
    with socket.socket(fileno=int(descriptor)) as connection:
        serve(connection, Verifier(tuple(VerifyKey(bytes.fromhex(key)) for key in keys)))


if __name__ == "__main__":
    main()
