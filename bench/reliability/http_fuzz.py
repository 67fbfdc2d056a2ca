"""Requests from a broken grammar of HTTP: after any of them a real delivery is answered, and nothing else is stored.

One trial is one conversation of `tests/support/mangled_http.py`, on a connection of its own. After each thousand
a signed delivery must be answered with 200 within a second.
"""

import random
import re
import socket
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from nacl.signing import SigningKey

from bench.reliability.campaign import Campaign, Tally
from bench.reliability.edge import deliver, rss_mib
from holdtime.commands.server import Server, ServerError
from holdtime.commands.simulate import Simulation
from tests.support.builders import a_call
from tests.support.mangled_http import conversation

ROUND = 1_000
ANSWERED_WITHIN_S = 1.0
GROWTH_MIB = 64
_STATUS = re.compile(rb"HTTP/1\.1 ([0-9]{3}) ")


def run(seed: int, requests: int) -> Tally:
    """Try so many conversations on one server."""
    tally = Tally()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        simulation = Simulation.prepare(folder / "key")
        try:
            with Server.started(folder, public_key=simulation.public_key) as server:
                _tried(server, simulation.key, seed, requests, tally)
        except (ServerError, OSError) as error:
            tally.counts["http_fuzz_server_faults"] += 1
            tally.failures.append(f"{error!r}: {(folder / 'server.log').read_text()[-1500:]}")
    return tally


def _tried(server: Server, key: SigningKey, seed: int, requests: int, tally: Tally) -> None:
    port = int(server.address.rpartition(":")[2])
    real, before = 0, 0.0
    for start in range(0, requests, ROUND):
        for number in range(start, min(start + ROUND, requests)):
            rng = random.Random(f"{seed}/http/{number}")
            for status in _exchanged(port, conversation(rng), half_closes=rng.random() < 0.7):
                tally.counts[f"http_fuzz_answered_{status}"] += 1
            tally.trials += 1
        (event,) = a_call(f"fuzz-{start}").queued()
        began = time.monotonic()
        status = deliver(port, event.body(), key)
        real += status == 200
        if status != 200 or time.monotonic() - began > ANSWERED_WITHIN_S:
            tally.counts["http_fuzz_late"] += 1
            tally.failures.append(f"after {start + ROUND}: {status} in {time.monotonic() - began:.2f} s")
        before = before or rss_mib(server.process.pid)  # the first round warms it up
    tally.counts["http_fuzz_rss_growth_mib"] = round(max(0.0, rss_mib(server.process.pid) - before))
    server.wait_until_landed()
    # Where nothing landed for long, `up` notes so itself, when it starts: not here, where the log is new.
    tally.counts["http_fuzz_stored"] += int(server.status()["log_end"]) - real


def _exchanged(port: int, pieces: list[bytes], *, half_closes: bool) -> list[int]:
    """Send the pieces; return the statuses that came back until the server closed, or nothing more came."""
    came = b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection, suppress(ConnectionError):
        for piece in pieces:
            connection.sendall(piece)
        if half_closes:
            with suppress(OSError):  # reset meanwhile
                connection.shutdown(socket.SHUT_WR)
        else:
            connection.settimeout(0.02)
        with suppress(TimeoutError):
            while more := connection.recv(65_536):
                came += more
    return [int(status) for status in _STATUS.findall(came)]


CAMPAIGN = Campaign(
    "http_fuzz",
    run,
    20_000,
    1_000,
    20_000,
    600,
    ("http_fuzz_late", "http_fuzz_stored", "http_fuzz_server_faults"),
    {"http_fuzz_rss_growth_mib": GROWTH_MIB},
)
