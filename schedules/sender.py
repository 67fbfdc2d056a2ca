"""The process that sends one message to one recipient: in it, time and memory for a service's answer are bounded.

A service that gives a byte a second keeps every time-out of a library waiting; a process can be ended. The time allowed
grows with the message, so that a slow line is no fault. What it uses is no secret of the command line: all goes through
its standard input.
"""

import json
import os
import pickle
import resource
import signal
import subprocess
import sys

from schedules import delivery
from schedules.content import Message
from schedules.outcome import SendOutcome, SendResult
from schedules.recipients import Recipient
from schedules.record import RunId

DEADLINE_S = 120.0
"""For all requests of one sending together, however many bytes a service sends meanwhile."""
START_S = 60.0
"""For the process to begin, on a busy machine."""
MIN_BYTES_A_SECOND = 50_000
MEMORY_BYTES = 256 << 20
"""Memory of the process besides the message, of which services and libraries make copies."""

_COPIES = 20
_BEGUN = b"begun\n"


def send(recipient: Recipient, message: Message, run: RunId, *, deadline_s: float = DEADLINE_S) -> SendOutcome:
    """Send the message in one attempt, and return how it ended. A stop of this process does not stop the other one."""
    work = pickle.dumps((recipient, message, run))
    deadline_s += len(work) / MIN_BYTES_A_SECOND
    too_late = f"no whole answer came within {deadline_s:.0f} s"
    try:
        ended = subprocess.run(  # noqa: S603 -- ourselves
            [sys.executable, "-P", "-m", "schedules.sender", f"{deadline_s:.1f}"],
            input=work,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # a traceback could have anything in it
            # Passwords are those of the recipient's URL, and no others that are kept for the same host.
            env={**os.environ, "NETRC": os.devnull},
            start_new_session=True,  # Ctrl-C is ours to act on
            timeout=START_S + deadline_s,
            check=False,
        )
    except OSError as error:
        return SendOutcome(SendResult.REFUSED, f"no process could be started for it: {error.strerror}")
    except subprocess.TimeoutExpired as error:
        return _unknown(error.stdout or b"", too_late)
    if ended.returncode == -signal.SIGALRM:
        return _unknown(ended.stdout, too_late)
    if ended.returncode:
        return _unknown(ended.stdout, f"the process that sends it ended with code {ended.returncode}")
    result, reason = json.loads(ended.stdout.removeprefix(_BEGUN))
    return SendOutcome(SendResult(result), reason)


def _unknown(output: bytes, why: str) -> SendOutcome:
    """The outcome of a process that ended without a result."""
    if _BEGUN not in output:
        return SendOutcome(SendResult.REFUSED, f"{why}, before anything was sent")
    return SendOutcome(SendResult.UNCLEAR, f"{why}, and it may have been taken")


def _main() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # half sent, nobody would know whether it arrived
    work = sys.stdin.buffer.read()
    recipient, message, run = pickle.loads(work)  # noqa: S301 -- from the process that started this one
    recipient.service()  # loads every kind of service that there is, which takes a while and sends nothing
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    limit = MEMORY_BYTES + _COPIES * len(work)
    resource.setrlimit(resource.RLIMIT_DATA, (limit if most == resource.RLIM_INFINITY else min(limit, most), most))
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # a library may print
    with answer:
        answer.write(_BEGUN)
        answer.flush()
        signal.setitimer(signal.ITIMER_REAL, float(sys.argv[1]))  # ends this process, also where the other one is gone
        outcome = delivery.send(recipient, message, run)
        answer.write(json.dumps([outcome.result, outcome.reason]).encode())


if __name__ == "__main__":
    _main()
