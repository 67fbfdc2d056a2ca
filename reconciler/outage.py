"""An outage: nobody took webhooks for a while, which the log says afterwards, as an event."""

from datetime import datetime, timedelta

import structlog

from eventlog.log import Origin, Record
from reconciler.found import observed

EVENT_TYPE = "reconciler.ingest.down"
MIN_OUTAGE = timedelta(minutes=2)
"""A running holdtime lands once a minute, if only the time; a gap of less than this is none."""
MAX_OUTAGE = timedelta(days=31)
"""A longer outage is not recorded: a clock that jumped is likelier, and the reconciler reads no further back."""

log = structlog.get_logger("ingest")


def between(since: datetime, now: datetime) -> Record | None:
    """Return the record that says ingest was down from `since` until `now`.

    None where the time is shorter than `MIN_OUTAGE`, or longer than `MAX_OUTAGE`: then a line in the log says so.
    """
    if now - since < MIN_OUTAGE:
        return None
    if now - since > MAX_OUTAGE:
        log.warning("outage_not_told", since=since.isoformat(), until=now.isoformat(), reason="is the clock right?")
        return None
    payload = {"start": since.isoformat(), "end": now.isoformat()}
    body = observed(EVENT_TYPE, since, payload).body
    return Record(body, int(now.timestamp() * 1_000_000), Origin.RECONCILER, verified=False)
