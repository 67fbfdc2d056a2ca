-- Small words that the other statements share.

-- A text as an instant, or null. Years outside 1970 to 2199 are somebody's mistake, and would overflow arithmetic;
-- as texts they are told apart before anything is converted.
create or replace temp macro instant(written) as (
    case when written >= '1970' and written < '2200' then try_cast(written as timestamptz) end
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

-- Which quarter of an hour an instant lies in.
create or replace temp macro quarter_of(moment) as (
    epoch_us(moment) // 900000000
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
