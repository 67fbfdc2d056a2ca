"""The other end of `checker`: reads deliveries from a socket, answers with a byte each; ends when the socket does.

A delivery is the length of the signed message, the 64 bytes of its signature, and the signed message. The answer is the
index of the key that signed it, or NO_KEY. One byte comes before all answers and says that this process reads.
"""

import contextlib
import signal
import socket
import struct
import sys

from nacl.signing import VerifyKey

from eventlog.signature_headers import SIGNATURE_LENGTH
from ingest.signing.signature import Verifier

LENGTH = struct.Struct("!I")
"""Of the signed message, in bytes."""

NO_KEY = 255

_HEAD_BYTES = LENGTH.size + SIGNATURE_LENGTH
_READ_BYTES = 1 << 18
_ANSWERS_AT_ONCE = 16
"""The most answers in one write: the first of many do not wait for the last."""


def serve(connection: socket.socket, verifier: Verifier) -> None:
    """Answer until the other end closes; raises ConnectionError where it closed before all answers were sent."""
    connection.sendall(bytes([NO_KEY]))
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
            index = verifier.matching_key_of(unread[message_at:end], unread[start + LENGTH.size : message_at])
            answers.append(NO_KEY if index is None else index)
            if len(answers) == _ANSWERS_AT_ONCE:
                connection.sendall(answers)
                answers.clear()
            start = end
        unread = unread[start:]
        connection.sendall(answers)


def main() -> None:
    """`python -m ingest.signing.checker_process FD KEY...`: an open socket, public keys in hexadecimal."""
    for kind in (signal.SIGINT, signal.SIGTERM):
        signal.signal(kind, signal.SIG_IGN)  # the process that sends deliveries decides when to end
    descriptor, *keys = sys.argv[1:]
    # The other process may have been killed: then it reads no answers.
    with socket.socket(fileno=int(descriptor)) as connection, contextlib.suppress(ConnectionError):
        serve(connection, Verifier(tuple(VerifyKey(bytes.fromhex(key)) for key in keys)))


if __name__ == "__main__":
    main()
