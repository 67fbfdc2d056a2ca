"""An outage: nobody took webhooks for a while, which the log says afterwards, as an event."""

from datetime import datetime, timedelta

import structlog

from eventlog.log import Origin, Record
from reconciler.found import observed

EVENT_TYPE = "reconciler.ingest.down"
NOTICED = timedelta(minutes=2)
"""A running holdtime lands once a minute, if only the time; a gap of less than this is none."""
LONGEST = timedelta(days=31)
"""A longer outage is not recorded: a clock that jumped is likelier, and the reconciler reads no further back."""

log = structlog.get_logger("ingest")


def between(since: datetime, now: datetime) -> Record | None:
    """Return the record that says ingest was down from `since` until `now`.

    None where the time is shorter than `NOTICED`, or longer than `LONGEST`: then a line in the log says so.
    """
    if now - since < NOTICED:
        return None
    if now - since > LONGEST:
        log.warning("outage_not_told", since=since.isoformat(), until=now.isoformat(), reason="is the clock right?")
        return None
    payload = {"start": since.isoformat(), "end": now.isoformat()}
    body = observed(EVENT_TYPE, since, payload).body
    return Record(body, int(now.timestamp() * 1_000_000), Origin.RECONCILER, verified=False)
