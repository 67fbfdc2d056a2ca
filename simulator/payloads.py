"""Parts of payloads, as Telnyx writes them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from simulator.history import Bill, Recording, Talk

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def stamp(at: int, timespec: str = "microseconds") -> str:
    """Return an instant as Telnyx writes it, such as `2026-05-19T23:30:15.038431Z`."""
    return (_EPOCH + timedelta(microseconds=at)).isoformat(timespec=timespec)[:-6] + "Z"


def conversation(talk: Talk) -> dict[str, Any]:
    """Return the fields of a talk with an assistant."""
    return {
        "assistant_id": "assistant-d9082b56-ba2d-4ad1-a50c-58661eb1463d",
        "duration_sec": talk.seconds,
        "reason": talk.reason,
        "llm_model": "openai/gpt-4o",
    }


def recorded(recording: Recording) -> dict[str, Any]:
    """Return the fields of a saved recording."""
    urls = {"mp3": None, "wav": None, recording.format or "mp3": f"https://example.com/{recording.recording_id}"}
    return {
        "channels": recording.channels,
        "recording_started_at": stamp(recording.begun),
        "recording_ended_at": stamp(recording.ended),
        "recording_urls": urls,
        "public_recording_urls": {"mp3": None, "wav": None},
    }


def cost(bill: Bill) -> dict[str, Any]:
    """Return the fields of a bill; of one without parts Telnyx does not know the cost."""
    is_known = bool(bill.parts)
    parts = [
        {"call_part": name, "cost": str(cost), "currency": "USD", "billed_duration_secs": bill.billed_secs}
        for name, cost in bill.parts.items()
    ]
    return {
        "status": "success" if is_known else "error",
        "total_cost": str(sum(bill.parts.values())) if is_known else None,
        "billed_duration_secs": bill.billed_secs if is_known else None,
        "cost_parts": parts,
        "occurred_at": stamp(bill.at),
    }
