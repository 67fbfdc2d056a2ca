"""Where a process listens, and how much of it strangers may use."""

import errno
import socket
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass

from holdtime.config.settings import Environment, Settings
from ingest.http.limits import Limits, default_connections, max_connections

BACKLOG = 2048


@dataclass(frozen=True, slots=True)
class Listeners:
    """Bound sockets: one for deliveries, and one for all else where that has an address of its own."""

    public: socket.socket
    admin: socket.socket | None

    @property
    def sockets(self) -> list[socket.socket]:
        """All of them."""
        return [self.public] if self.admin is None else [self.public, self.admin]

    @property
    def admin_port(self) -> int | None:
        """The port of all that is no delivery, where it has one."""
        return None if self.admin is None else int(self.admin.getsockname()[1])

    def listen(self) -> None:
        """Begin to take connections."""
        for each in self.sockets:
            each.listen(BACKLOG)


def bind(environment: Environment, stack: ExitStack | AsyncExitStack, faults: list[str]) -> Listeners | None:
    """Bind what the settings name, until the stack ends; where that cannot be, say why of each in `faults`."""
    sockets = []
    for listener in (_public, _admin):
        try:
            each = listener(environment)
        except (OSError, ValueError) as error:
            faults.append(str(error))
        else:
            sockets.append(each)
            if each is not None:
                stack.enter_context(each)
    match sockets:
        case [socket.socket() as public, admin]:
            return Listeners(public, admin)
    return None


def _public(environment: Environment) -> socket.socket | None:
    return listening(environment.http_host, environment.http_port, "HOLDTIME_HTTP")


def _admin(environment: Environment) -> socket.socket | None:
    port = environment.admin_port
    if port is None:
        return None
    if port == environment.http_port != 0:
        raise ValueError(f"HOLDTIME_ADMIN_PORT: expected another port than HOLDTIME_HTTP_PORT, found {port} for both")
    return listening(environment.admin_host, port, "HOLDTIME_ADMIN")


def listening(host: str, port: int, setting: str) -> socket.socket:
    """Return a bound socket, which does not listen yet; `setting` is how its variables begin. Raises OSError."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            text = f"port {port} of {host} is taken: stop what uses it, or set {setting}_PORT to a free one"
        else:
            text = f"cannot listen on {host}:{port}: {error.strerror or error}; see {setting}_HOST and _PORT"
        raise OSError(text) from None
    return listener


def url_of(listener: socket.socket) -> str:
    """Return where a socket is reached."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def limits_of(settings: Settings, descriptors: int) -> Limits:
    """Return the bounds for a process that may have so many descriptors. Raises ValueError."""
    http, most = settings.configuration.http, max_connections(descriptors)
    connections = http.connections or default_connections(descriptors)
    if connections > most:
        raise ValueError(
            f"[http] connections: expected {most} at most, because this process may have {descriptors} descriptors, "
            f"found {connections}: lower it, or raise the hard limit (`ulimit -Hn`, LimitNOFILE=)"
        )
    if http.connections_per_address is None:
        return Limits(connections=connections, connections_per_address=max(1, connections // 4))
    return Limits(connections=connections, connections_per_address=http.connections_per_address or None)
