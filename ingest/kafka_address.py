"""Addresses of Kafka brokers, as settings write them."""

import ipaddress


def servers(text: str) -> tuple[str, ...]:
    """Return the addresses in `host:port,...`. Raises ValueError."""
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    for server in found:
        host, separator, port = server.rpartition(":")
        if not (separator and host and port.isdigit() and 0 < int(port) < 65_536):
            raise ValueError(f"expected host:port,... of Kafka brokers, found {server!r}")
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
