-- Small words that the other statements share.

-- A text as an instant, or null. Years outside 1970 to 2199 are somebody's mistake, and would overflow arithmetic. What
-- was read is what is judged: as texts, 19999-01-01 and 2026-01-01 (BC) lie between 1970 and 2200.
create or replace temp macro instant(written) as (
    case
        when try_cast(written as timestamptz) >= '1970-01-01 00:00:00+00'::timestamptz
        and try_cast(written as timestamptz) < '2200-01-01 00:00:00+00'::timestamptz
        then try_cast(written as timestamptz)
    end
);

-- Telnyx's own whole seconds of waiting, or null where nobody can have waited that long.
create or replace temp macro believable_wait(secs) as (
    case when secs between 0 and 31536000 then secs end
);

-- What tells one leg from another.
create or replace temp macro leg_of(ids) as (
    coalesce(ids.call_leg_id, ids.call_control_id)
);

-- Whole milliseconds between two instants, both cut to the millisecond first, so that durations add up exactly.
create or replace temp macro ms_between(earlier, later) as (
    epoch_us(later) // 1000 - epoch_us(earlier) // 1000 -- epoch_ms would round
);

-- What is taken from an event, as json_transform wants it.
create or replace temp macro event_shape() as (
    '{
        "id": "VARCHAR",
        "event_type": "VARCHAR",
        "occurred_at": "VARCHAR",
        "created_at": "VARCHAR",
        "payload": {
            "occurred_at": "VARCHAR",
            "recording_ended_at": "VARCHAR",
            "call_control_id": "VARCHAR",
            "call_leg_id": "VARCHAR",
            "call_session_id": "VARCHAR",
            "connection_id": "VARCHAR",
            "conference_id": "VARCHAR",
            "queue": "VARCHAR",
            "reason": "VARCHAR",
            "current_position": "VARCHAR",
            "queue_position": "VARCHAR",
            "wait_time_secs": "VARCHAR"
        }
    }'
);
