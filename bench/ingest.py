"""How many webhooks a second one ingest process takes, verified and durable, as ratios to two other receivers.

`ingest_vs_bare_receiver`: over raw ASGI that only verifies with PyNaCl and keeps nothing. `ingest_vs_fastapi_sdk`: over
FastAPI and the official SDK's `unwrap`. All three are served by the same uvicorn settings, one after the other, to the
same client over 128 connections, again and again; a figure is the median of the rounds' ratios.
"""

import base64
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from nacl.signing import SigningKey

from bench.receivers.client import framed

ROOT = Path(__file__).resolve().parent.parent
CONNECTIONS = 128
RECEIVERS = ("bare", "ours", "fastapi_sdk")

Rates = dict[str, float]


def measure(quick: bool) -> dict[str, float | str]:
    """Return the two ratios, and the rates (a second) and round-to-round spread behind them.

    Quick takes about 20 s, else about 80 s. Raises RuntimeError when a receiver refused a delivery, or when ours
    keeps fewer records than it answered with 200.
    """
    rounds, seconds = (3, 2) if quick else (7, 3)
    key = SigningKey.generate()
    bodies = [body(random.Random(seed)) for seed in range(4000)]
    measured: list[Rates] = []
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.sqlite"
        with contextlib.ExitStack() as stack:
            public = base64.b64encode(bytes(key.verify_key)).decode()
            ports = {name: stack.enter_context(served(name, public, log)) for name in RECEIVERS}
            kept = 0.0
            for name in RECEIVERS:  # warm up, unmeasured
                kept += drive(ports[name], signed(key, bodies), 3, Path(folder))["requests"] * (name == "ours")
            for turn in range(rounds):
                rates: Rates = {}
                for name in RECEIVERS if turn % 2 == 0 else reversed(RECEIVERS):
                    result = drive(ports[name], signed(key, bodies), seconds, Path(folder))
                    if result["refused"]:
                        raise RuntimeError(
                            f"{name} refused {result['refused']:.0f} of {result['requests']:.0f} deliveries"
                        )
                    rates[name] = result["rate"]
                    kept += result["requests"] * (name == "ours")
                measured.append(rates)
        records = count_records(log)
    if records < kept:
        raise RuntimeError(f"ours answered 200 to {kept:.0f} deliveries and keeps only {records} records")
    against_bare = [rates["ours"] / rates["bare"] for rates in measured]
    against_sdk = [rates["ours"] / rates["fastapi_sdk"] for rates in measured]
    return {
        "ingest_vs_bare_receiver": round(statistics.median(against_bare), 3),
        "ingest_vs_fastapi_sdk": round(statistics.median(against_sdk), 2),
        "ingest_vs_bare_receiver_min": round(min(against_bare), 3),
        "ingest_vs_bare_receiver_max": round(max(against_bare), 3),
        **{f"{name}_per_s": round(statistics.median(rates[name] for rates in measured)) for name in RECEIVERS},
        "rounds": rounds,
        "client": "wrk" if shutil.which("wrk") else "bench.receivers.client",
    }


def body(rng: random.Random) -> bytes:
    """Return a delivery's body as Telnyx shapes it: an event of one of several types, 500 to 700 bytes."""
    identifiers = {
        "call_control_id": f"v3:{rng.randbytes(24).hex()}",
        "call_leg_id": str(uuid.UUID(int=rng.getrandbits(128))),
        "call_session_id": str(uuid.UUID(int=rng.getrandbits(128))),
        "connection_id": str(rng.randrange(10**18, 10**19)),
    }
    parties = {"from": f"+1312555{rng.randrange(10**4):04}", "to": f"+1773555{rng.randrange(10**4):04}"}
    kinds: list[tuple[str, dict[str, object]]] = [
        ("call.initiated", {"direction": "incoming", "state": "parked"}),
        (
            "call.enqueued",
            {"queue": "support", "current_position": rng.randrange(30), "queue_avg_wait_time_secs": 41},
        ),
        ("call.dequeued", {"queue": "support", "reason": "bridged", "wait_time_secs": rng.randrange(600)}),
        ("call.hangup", {"hangup_cause": "normal_clearing", "hangup_source": "caller", "sip_hangup_cause": "200"}),
        ("conference.participant.joined", {"conference_id": str(uuid.UUID(int=rng.getrandbits(128)))}),
    ]
    event_type, more = rng.choice(kinds)
    event = {
        "data": {
            "record_type": "event",
            "event_type": event_type,
            "id": str(uuid.UUID(int=rng.getrandbits(128))),
            "occurred_at": f"2026-02-{rng.randrange(1, 29):02}T10:{rng.randrange(60):02}:00.{rng.randrange(10**6):06}Z",
            "payload": {**identifiers, **parties, **more, "client_state": rng.randbytes(rng.randrange(2, 40)).hex()},
        },
        "meta": {"attempt": 1, "delivered_to": "https://example.com/webhooks/telnyx"},
    }
    return json.dumps(event).encode()


def signed(key: SigningKey, bodies: list[bytes]) -> list[bytes]:
    """Return whole HTTP requests, signed now: they are good for 300 s."""
    now = str(int(time.time())).encode()
    requests = []
    for content in bodies:
        signature = base64.b64encode(key.sign(now + b"|" + content).signature)
        requests.append(
            b"POST /webhooks/telnyx HTTP/1.1\r\nHost: localhost\r\nUser-Agent: telnyx-webhooks\r\n"
            b"Content-Type: application/json\r\nTelnyx-Timestamp: %b\r\nTelnyx-Signature-Ed25519: %b\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (now, signature, len(content), content)
        )
    return requests


@contextlib.contextmanager
def served(receiver: str, public_key: str, log: Path) -> Iterator[int]:
    """Serve a receiver in a process of its own; give its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    environment = {**os.environ, "BENCH_PUBLIC_KEY": public_key, "BENCH_LOG": str(log)}
    command = [sys.executable, "-m", "bench.receivers.serve", receiver, str(port)]
    server = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the {receiver} receiver did not start, exit code {server.returncode}")
            time.sleep(0.05)
        yield port
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(20)


def drive(port: int, requests: list[bytes], seconds: int, folder: Path) -> Rates:
    """Send the requests over and over for `seconds`; return how many were answered, refused, and the rate a second."""
    if shutil.which("wrk"):
        script = folder / "requests.lua"
        script.write_text(_lua(requests))
        load = ["-t1", f"-c{CONNECTIONS}", f"-d{seconds}s"]
        command = ["wrk", *load, "-s", str(script), f"http://127.0.0.1:{port}/"]
        out = subprocess.run(command, capture_output=True, check=True).stdout
    else:
        command = [sys.executable, "-m", "bench.receivers.client", str(port), str(CONNECTIONS), str(seconds)]
        out = subprocess.run(command, cwd=ROOT, input=framed(requests), capture_output=True, check=True).stdout
    rates: Rates = json.loads(out.splitlines()[-1])
    return rates


def _lua(requests: list[bytes]) -> str:
    """Return a wrk script. A JSON string of printable ASCII, CR and LF is a Lua string too."""
    quoted = ",\n".join(json.dumps(request.decode("ascii")) for request in requests)
    return f"""
local requests = {{{quoted}}}
local at = 0
request = function() at = at % #requests + 1; return requests[at] end
done = function(summary, latency, _)
  local errors = summary.errors
  -- what took longer than wrk's 2 s was late, not refused; the slowest receiver has some when it begins
  local refused = errors.status + errors.read + errors.write + errors.connect
  io.write(string.format('{{"requests": %d, "rate": %f, "refused": %d, "p99_ms": %f}}\\n',
    summary.requests, summary.requests / (summary.duration / 1e6), refused, latency:percentile(99) / 1000))
end
"""


def count_records(log: Path) -> int:
    """Return how many records the log holds, counted by SQLite itself."""
    with contextlib.closing(sqlite3.connect(log)) as connection:
        count: int = connection.execute("select sum(records) from groups").fetchone()[0]
        return count


if __name__ == "__main__":
    print(json.dumps(measure("--quick" in sys.argv), indent=2))
