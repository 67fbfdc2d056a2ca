"""Signatures checked in another process: the same verdicts, and none that depends on that process."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable

import uvloop
from nacl.signing import SigningKey

from eventlog.signature_headers import SignatureHeaders
from ingest.signing import checker_process
from ingest.signing.checker import Checker
from ingest.signing.signature import Verifier
from tests.support.waiting import until_async

KEYS = (SigningKey.generate(), SigningKey.generate())
STRANGER = SigningKey.generate()
TIMESTAMP = b"1793000000"


def signed_by(key: SigningKey, body: bytes, *, signed: bytes | None = None) -> SignatureHeaders:
    """The body's signature headers by that key, over other bytes if `signed` is given."""
    message = TIMESTAMP + b"|" + (body if signed is None else signed)
    return SignatureHeaders(key.sign(message).signature, TIMESTAMP)


def with_checker(scenario: Callable[[Checker], Awaitable[None]]) -> None:
    async def run() -> None:
        checker = Checker(Verifier(tuple(key.verify_key for key in KEYS)))
        await checker.start()
        try:
            await another_pid(checker, None)
            await scenario(checker)
        finally:
            await checker.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


async def another_pid(checker: Checker, before: int | None) -> None:
    """Wait until a process other than that one checks."""
    await until_async(lambda: checker.pid not in {before, None}, lambda: checker.pid)


def bodies() -> list[bytes]:
    return [bytes([number % 256]) * (number * 37 % 3000) for number in range(300)] + [b"", os.urandom(1 << 20)]


def test_each_of_many_at_once_gets_its_own_verdict() -> None:
    async def scenario(checker: Checker) -> None:
        expected, checks = [], []
        for number, body in enumerate(bodies()):
            key, place = ((KEYS[0], 0), (KEYS[1], 1), (STRANGER, None))[number % 3]
            expected.append(place)
            checks.append(checker.matching_key(body, signed_by(key, body)))
        expected.append(None)
        checks.append(checker.matching_key(b"a", signed_by(KEYS[0], b"a", signed=b"b")))
        assert await asyncio.gather(*checks) == expected

    with_checker(scenario)


def test_a_process_that_dies_costs_no_verdict_and_is_replaced() -> None:
    async def scenario(checker: Checker) -> None:
        body = b"x" * 100_000
        first = checker.pid
        assert first is not None
        os.kill(first, signal.SIGSTOP)  # so that there is something it has not answered when it dies
        checks = [checker.matching_key(body, signed_by(KEYS[1], body)) for _ in range(50)]
        await asyncio.sleep(0.05)
        os.kill(first, signal.SIGKILL)
        assert await asyncio.gather(*checks) == [1] * 50
        assert await checker.matching_key(b"", signed_by(STRANGER, b"")) is None
        await another_pid(checker, first)
        assert await checker.matching_key(body, signed_by(KEYS[0], body)) == 0

    with_checker(scenario)


def test_a_process_that_is_stuck_is_ended_in_time_for_those_who_wait_for_it() -> None:
    async def scenario(checker: Checker) -> None:
        stuck = checker.pid
        assert stuck is not None
        assert await checker.matching_key(b"before", signed_by(KEYS[0], b"before")) == 0
        os.kill(stuck, signal.SIGSTOP)
        checks = [
            checker.matching_key(b"x", signed_by(KEYS[1], b"x")),
            checker.matching_key(b"y", signed_by(STRANGER, b"y")),
        ]
        async with asyncio.timeout(20):
            assert await asyncio.gather(*checks) == [1, None]
        await another_pid(checker, stuck)

    with_checker(scenario)


def test_until_its_process_is_ready_the_loop_checks_by_itself() -> None:
    async def run() -> None:
        checker = Checker(Verifier((KEYS[0].verify_key,)))
        await checker.start()
        check = checker.matching_key(b"x", signed_by(KEYS[0], b"x"))
        assert (check.done(), checker.pid) == (True, None)
        await checker.close()

    asyncio.run(run())


def test_whoever_gave_up_does_not_disturb_the_others() -> None:
    async def scenario(checker: Checker) -> None:
        checks = [checker.matching_key(b"x", signed_by(KEYS[0], b"x")) for _ in range(100)]
        await asyncio.sleep(0)
        for check in checks[::2]:
            check.cancel()
        answers = await asyncio.gather(*checks, return_exceptions=True)
        assert answers[1::2] == [0] * 50

    with_checker(scenario)


def test_without_its_process_the_loop_checks_by_itself() -> None:
    async def run() -> None:
        checker = Checker(Verifier((KEYS[0].verify_key,)))
        assert await checker.matching_key(b"x", signed_by(KEYS[0], b"x")) == 0
        assert await checker.matching_key(b"x", signed_by(KEYS[1], b"x")) is None

    asyncio.run(run())


def test_the_process_of_one_that_was_killed_ends_without_a_word() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        keys = [bytes(key.verify_key).hex() for key in KEYS]
        command = [sys.executable, "-m", checker_process.__name__, str(theirs.fileno()), *keys]
        process = subprocess.Popen(command, pass_fds=(theirs.fileno(),), stderr=subprocess.PIPE)
        theirs.close()
        assert ours.recv(1) == bytes([checker_process.NO_KEY])
        os.kill(process.pid, signal.SIGSTOP)  # so that it has answers to give to nobody
        ours.sendall((checker_process.LENGTH.pack(1) + bytes(64) + b"x") * 100)
        ours.close()
        os.kill(process.pid, signal.SIGCONT)
        _, words = process.communicate(timeout=20)
    assert (process.returncode, words) == (0, b"")
