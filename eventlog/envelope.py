"""The envelope: where in a document Telnyx's event is.

Python unwraps here, for the key of a record in Kafka and for the reconciler; landing unwraps in SQL, in
`processors/events/events.sql`. `tests/contract/test_envelopes.py` holds all of them to the same answer.
"""

from typing import Any


def event_in(document: object) -> dict[str, Any] | None:
    """The event of a parsed JSON document in any of Telnyx's five envelopes; None where there is no object for it.

    They are `{"data": event}`, the bare event (also of API v1), an item of `/call_events`
    (`{"metadata": {"event": event}}`) and an item of `/webhook_deliveries` (`{"webhook": event}`).
    """
    if not isinstance(document, dict):
        return None
    event = document.get("data")
    if event is None and document.get("event_type") is None:
        metadata = document.get("metadata")
        event = metadata.get("event") if isinstance(metadata, dict) else None
        event = document.get("webhook") if event is None else event
    event = document if event is None else event
    return event if isinstance(event, dict) else None
