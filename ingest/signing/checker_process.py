"""The other end of `checker`: reads deliveries from a socket, answers with a byte each; ends when the socket does.

A delivery is the length of what was signed, the 64 bytes of its signature, and what was signed. The byte is the place
of the key that signed it, or NOBODY. One byte comes before all answers: from then on it reads.
"""

import contextlib
import signal
import socket
import struct
import sys

from nacl.signing import VerifyKey

from ingest.signing.signature import Verifier

LENGTH = struct.Struct("!I")
"""Of what was signed, in bytes."""

NOBODY = 255

_SIGNATURE_BYTES = 64
_HEAD_BYTES = LENGTH.size + _SIGNATURE_BYTES
_READ_BYTES = 1 << 18
_ANSWERS_AT_ONCE = 16
"""So that the first of many do not wait for the last."""


def serve(connection: socket.socket, verifier: Verifier) -> None:
    """Answer until the other end closes; raises ConnectionError where it did while it still had answers to come."""
    connection.sendall(bytes([NOBODY]))
    unread = b""
    while received := connection.recv(_READ_BYTES):
        unread = unread + received if unread else received
        answers = bytearray()
        start = 0
        while len(unread) - start >= _HEAD_BYTES:
            message_at = start + _HEAD_BYTES
            end = message_at + LENGTH.unpack_from(unread, start)[0]
            if end > len(unread):
                break
            place = verifier.signer_of(unread[message_at:end], unread[start + LENGTH.size : message_at])
            answers.append(NOBODY if place is None else place)
            if len(answers) == _ANSWERS_AT_ONCE:
                connection.sendall(answers)
                answers.clear()
            start = end
        unread = unread[start:]
        connection.sendall(answers)


def main() -> None:
    """`python -m ingest.signing.checker_process FD KEY...`: an open socket, public keys in hexadecimal."""
    for kind in (signal.SIGINT, signal.SIGTERM):
        signal.signal(kind, signal.SIG_IGN)  # the one whose deliveries these are decides when it is over
    descriptor, *keys = sys.argv[1:]
    # Who was killed waits for no answers.
    with socket.socket(fileno=int(descriptor)) as connection, contextlib.suppress(ConnectionError):
        serve(connection, Verifier(tuple(VerifyKey(bytes.fromhex(key)) for key in keys)))


if __name__ == "__main__":
    main()
