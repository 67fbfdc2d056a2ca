"""A process that has no descriptor left goes on landing: no batch opens a file of ours, and DuckDB has its own open."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

# In a process of its own: what this one has read or imported before would hide what a batch opens.
PROGRAM = """
import os, sys
from pathlib import Path

from processors.landing.landing import Landing
from tests.support.builders import NOON, Warehouse, a_call, a_conference, bodies
from warehouse.database import open_writer

db = open_writer(Path(sys.argv[1]))
warehouse = Warehouse(db, Landing(db, publishes=True))
warehouse.land(a_call("first").queued(at=NOON))

held = []
try:
    while True:
        held.append(os.open(os.devnull, os.O_RDONLY))
except OSError as error:
    print(error.strerror)

for turn in range(6):
    call = a_call(f"leg-{turn}").initiated(at=NOON).queued().answered(after=5, ringing=2).held(9, after=1).talked(60)
    room = a_conference(f"room-{turn}").created().joined("host", 1).heard(2, 3, leg="host").recorded(3, 5).ended(6)
    seen = call.events[0].but(event_id=f"seen-{turn}", event_type="reconciler.call.recording.observed")
    said = bodies(call, room, seen, b"no event")
    origins = [*["webhook"] * (len(said) - 2), "reconciler", "webhook"]
    warehouse.land_bodies(said, origin=origins if turn % 3 == 2 else "webhook", ahead=turn % 3 == 1)
try:
    os.open(os.devnull, os.O_RDONLY)
except OSError as error:
    print(error.strerror)
for descriptor in held:
    os.close(descriptor)
print([len(warehouse.rows(table)) for table in ("queue_visits", "calls", "conferences", "recordings", "playbacks")])
db.close()
"""


def test_a_process_without_a_descriptor_left_goes_on_landing(tmp_path: Path) -> None:
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n{PROGRAM}"
    command = [sys.executable, "-c", limited, str(tmp_path / "warehouse.duckdb")]
    landed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert landed.stderr == ""
    printed = [line for line in landed.stdout.splitlines() if "not_read_ahead" not in line]
    assert printed == ["Too many open files", "Too many open files", "[7, 6, 6, 12, 6]"]
