"""Runs calls of the command line, each in a process forked from one that has imported everything.

`python -m tests.support.called FOLDER` is that process: it takes a call a line as JSON, and answers how it ended. It
has used neither threads nor databases, so that a fork of it is as good as a process started anew, and fifty times as
quick.
"""

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from holdtime.service.allocator import (
    CACHE,
    MAX_BLOCKS,
    TUNABLES,
)
from tests.support.call_values import SECRET
from tests.support.calls import Call, words_of

PATIENCE_S = 120.0
CODES = {0, 1, 2}
STREAMS = ("out", "err")
TRACEBACK = "Traceback (most recent call last)"
EVENTS = """
{"data":{"id":"e1","event_type":"call.enqueued","occurred_at":"2026-03-02T08:00:00Z","payload":{"call_session_id":"S1",\
"call_leg_id":"L1","call_control_id":"C1","queue":"support","from":"+15550100001"}}}
{"data":{"id":"e2","event_type":"call.dequeued","occurred_at":"2026-03-02T08:00:30Z","payload":{"call_session_id":"S1",\
"call_leg_id":"L1","call_control_id":"C1","queue":"support","reason":"bridged"}}}
{"data":{"id":"e3","event_type":"call.enqueued","occurred_at":"2026-03-02T09:00:00Z","payload":{"call_session_id":"S2",\
"call_leg_id":"L2","call_control_id":"C2","queue":"caf\\u00e9 \\u540d","from":"+15550100002"}}}
not json
"""


@dataclass(frozen=True)
class Ended:
    """How a call ended: its code (a signal's below 0), its words, and the seconds that it took."""

    code: int
    out: str
    err: str
    seconds: float
    strays: list[str]

    def faults(self, call: Call) -> list[str]:
        """What is wrong with it, each with the call that did it."""
        said = self.out + self.err
        found = []
        if TRACEBACK in said or "Traceback" in self.err:
            found.append("a traceback")
        if self.code not in CODES:
            found.append(f"code {self.code} after {self.seconds:.1f} s")
        if SECRET in said:
            found.append("a secret was echoed")
        if any(ord(char) < 32 and char not in "\n\t" for char in self.err):
            found.append("control characters on standard error")
        if self.code == 2 and not said.strip():
            found.append("code 2 without a word")
        found += [f"{stray} was written outside of the folder" for stray in self.strays]
        return [f"{fault}: {' '.join(words_of(call))[:1500]}\n{self.err[-1500:]}" for fault in found]


@dataclass(frozen=True)
class Caller:
    """The process that runs calls."""

    process: "subprocess.Popen[str]"

    @classmethod
    @contextmanager
    def started(cls, folder: Path) -> Iterator[Self]:
        """One with a landed warehouse of its own in `folder`."""
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.called", str(folder)],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield cls(process)
        finally:
            process.kill()
            process.communicate()

    def run(self, call: Call) -> Ended:
        """Run a call to its end."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        toml = None if call.toml is None else base64.b64encode(call.toml).decode()
        self.process.stdin.write(json.dumps({**asdict(call), "toml": toml}) + "\n")
        self.process.stdin.flush()
        return Ended(**json.loads(self.process.stdout.readline()))


def _serve(root: Path) -> None:
    template = root / "template"
    _make_template(template)
    import holdtime.cli.main
    import holdtime.commands.report
    import holdtime.commands.up
    import holdtime.doctor.doctor
    import holdtime.faults  # noqa: F401

    for line in sys.stdin:
        asked = json.loads(line)
        box = root / "box"
        shutil.rmtree(box, ignore_errors=True)
        shutil.copytree(template, box, symlinks=True)
        for name in STREAMS:
            (box / name).touch()
        before = _outside(root)
        began = time.monotonic()
        child = os.fork()
        if child == 0:
            _be(box, asked)
        code = _waited(child, began + PATIENCE_S)
        seconds = time.monotonic() - began
        out, err = ((box / name).read_bytes().decode(errors="replace") for name in STREAMS)
        strays = sorted(_outside(root) - before)
        sys.stdout.write(json.dumps(asdict(Ended(code, out[-20_000:], err[-20_000:], seconds, strays))) + "\n")
        sys.stdout.flush()


def _outside(root: Path) -> set[str]:
    """What is around the working folder, the home folder and the one for temporary files."""
    return {str(each) for folder in (root, root / "box") for each in folder.iterdir()}


def _be(box: Path, asked: dict[str, Any]) -> None:
    """Become the command: the end of the child is the command's."""
    code = 1
    try:
        for number, name in enumerate(STREAMS, start=1):
            file = os.open(box / name, os.O_WRONLY)
            os.dup2(file, number)
            os.close(file)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
        sys.stdout = open(1, "w", encoding=asked["encoding"], closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", encoding=asked["encoding"], closefd=False)  # noqa: SIM115
        os.chdir(box / "work")
        if asked["toml"] is not None:
            Path("holdtime.toml").write_bytes(base64.b64decode(asked["toml"]))
        kept = {"PATH": os.environ["PATH"], TUNABLES: f"{CACHE}={MAX_BLOCKS}"}  # or it would start itself anew
        os.environ.clear()
        os.environ.update({**kept, "HOME": str(box / "home"), "TMPDIR": str(box / "tmp"), **asked["environment"]})
        sys.argv = ["holdtime", *asked["arguments"]]
        from holdtime.__main__ import main

        main()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:  # noqa: BLE001 - what the interpreter would say is what is looked for
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def _waited(child: int, until: float) -> int:
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > until:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.005)


def _make_template(template: Path) -> None:
    """What a call finds: a warehouse with three visits and one rejected record, and files of every kind."""
    work = template / "work"
    for folder in (work, template / "home", template / "tmp", work / "held"):
        folder.mkdir(parents=True)
    (work / "two.ndjson").write_text(EVENTS)
    subprocess.run(
        [sys.executable, "-m", "holdtime", "replay", "two.ndjson"],
        cwd=work,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path.cwd())},
        check=True,
        stderr=subprocess.DEVNULL,
    )
    (work / "a file").touch()
    (work / "empty").touch()
    (work / "binary").write_bytes(bytes(range(256)) * 40)
    (work / "held" / "log.sqlite").touch()
    (work / "loop").symlink_to("loop")
    (work / "dangling").symlink_to("nowhere/there")
    (work / "link.csv").symlink_to("a file")


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
