"""What the API says of the webhooks that were sent: as events of calls, and as deliveries with their attempts."""

import json

from simulator.api.resources import Resource, an_id, ms
from simulator.payloads import stamp
from simulator.telnyx import Event


def original(event: Event) -> Resource:
    """The webhook's event, without what is around it."""
    body = json.loads(event.body)
    inner: Resource = body.get("data", body)
    return inner


def call_event(event: Event, *, delivered: bool, delivered_to: str) -> Resource:
    """A CallEvent with the original in it."""
    sent = original(event)
    payload = sent.get("payload", {})
    return {
        "record_type": "call_event",
        "type": "webhook",
        "name": sent["event_type"],
        "event_timestamp": stamp(event.at),
        "call_leg_id": payload.get("call_leg_id"),
        "call_session_id": payload.get("call_session_id"),
        "organization_id": None,
        "user_id": an_id("user"),
        "metadata": {
            "attempt": 1,
            "delivered_to": delivered_to,
            "event": sent,
            "status": "delivered" if delivered else "failed",
        },
    }


def webhook_delivery(event: Event, *, delivered: bool, delivered_to: str) -> Resource:
    """A delivery with its attempts, newest first."""
    status = "delivered" if delivered else "failed"
    until = event.at + 40_000
    return {
        "id": an_id("delivery", event.event_id),
        "record_type": "webhook_delivery",
        "user_id": an_id("user"),
        "status": status,
        "started_at": ms(event.at),
        "finished_at": ms(until),
        "attempts": [
            {
                "status": status,
                "started_at": ms(event.at),
                "finished_at": ms(until),
                "errors": [] if delivered else [75499],
                "http": {
                    "request": {"url": delivered_to, "headers": [["Accept", "*/*"]]},
                    "response": {"status": 200 if delivered else 503, "headers": [], "body": ""},
                },
            }
        ],
        "webhook": original(event),
    }
