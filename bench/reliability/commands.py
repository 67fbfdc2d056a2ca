"""Calls of the command line that nobody would make: a line and a code, no traceback. See `tests/support/calls.py`."""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded

from bench.reliability.campaign import Campaign, Tally
from tests.support.called import (
    CODES,
    TRACEBACK,
    Caller,
)
from tests.support.calls import Call, calls

LONGEST_S = 60.0


def run(seed: int, wanted: int) -> Tally:
    """Make so many calls."""
    tally = Tally()
    with tempfile.TemporaryDirectory() as name, Caller.started(Path(name)) as caller:

        @seeded(seed)
        @settings(
            max_examples=wanted,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(call=calls())
        def make(call: Call) -> None:
            if tally.trials >= wanted:
                return
            ended = caller.run(call)
            faults = ended.faults(call)
            tally.trials += 1
            tally.failures += faults
            tally.counts.update(
                commands_tracebacks=TRACEBACK in ended.out + ended.err,
                commands_other_codes=ended.code not in CODES,
                commands_other_faults=bool(faults),
                commands_slow=ended.seconds > LONGEST_S,
                **{f"commands_code_{ended.code}": ended.code in CODES},
            )

        make()
    return tally


CAMPAIGN = Campaign(
    "commands",
    run,
    2_000,
    120,
    100,
    1_500,
    ("commands_tracebacks", "commands_other_codes", "commands_other_faults", "commands_slow"),
)
