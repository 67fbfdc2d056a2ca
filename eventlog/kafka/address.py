"""Addresses of Kafka brokers, as settings write them."""

import ipaddress
import re

_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")
_MAX_PORT_DIGITS = 5


def servers(text: str) -> tuple[str, ...]:
    """Return the addresses in `host:port,...`. Raises ValueError without the text, which may hold a password."""
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    for number, server in enumerate(found, start=1):
        host, _, port = server.rpartition(":")
        if not _HOST.fullmatch(host):
            raise ValueError(f"expected host:port,... of Kafka brokers, found something else at place {number}")
        if not (port.isascii() and port.isdigit() and len(port) <= _MAX_PORT_DIGITS and 0 < int(port) < 65_536):
            raise ValueError(f"expected host:port,... of Kafka brokers, found no port after {host!r}")
    if not found:
        raise ValueError("expected host:port,... of Kafka brokers, found nothing")
    return found


def is_loopback(server: str) -> bool:
    """Say whether a `host:port` is on this machine, so that nobody else can listen in."""
    host = server.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
