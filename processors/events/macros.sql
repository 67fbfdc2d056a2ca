-- Small words that the other statements share.

-- A text that names something, or null: an empty one names nothing.
create or replace temp macro id(written) as (
    nullif(written, '')
);

-- A text as RFC 3339 has it: the letters in either case, and a leap second as the last instant of its minute.
create or replace temp macro dated(written) as (
    coalesce(
        try_cast(written as timestamptz),
        try_cast(
            regexp_replace(
                upper(written),
                '^([0-9-]+T[0-9]{2}:[0-9]{2}):60([.][0-9]+)?(Z|[+-][0-9:]+)$',
                '\1:59.999999\3'
            ) as timestamptz
        )
    )
);

-- An instant, or null where it is of a year outside 1970 to 2199: somebody's mistake, which would overflow arithmetic.
create or replace temp macro believable(moment) as (
    case
        when moment >= '1970-01-01 00:00:00+00'::timestamptz and moment < '2200-01-01 00:00:00+00'::timestamptz
        then moment
    end
);

-- A text as an instant that can be believed, or null. What was read is what is judged: as texts, 19999-01-01 and
-- 2026-01-01 (BC) lie between 1970 and 2200.
create or replace temp macro instant(written) as (
    believable(dated(written))
);

-- Telnyx's own whole seconds, written as a number or a text, or null where nothing can have lasted that long.
create or replace temp macro believable_secs(written) as (
    case when try_cast(written as integer) between 0 and 31536000 then try_cast(written as integer) end
);

-- The types that tell how a leg lives, wherever it waits and whatever is played to it.
create or replace temp macro is_of_call(event_type) as (
    event_type in (
        'call.answered',
        'call.bridged',
        'call.conversation.ended',
        'call.cost',
        'call.hangup',
        'call.hold',
        'call.initiated',
        'call.machine.detection.ended',
        'call.machine.premium.detection.ended',
        'call.unhold'
    )
);

-- The types that begin or end something.
create or replace temp macro is_of_pair(event_type) as (
    event_type in (
        'call.dequeued',
        'call.enqueued',
        'call.hold',
        'call.playback.ended',
        'call.playback.started',
        'call.speak.ended',
        'call.speak.started',
        'call.unhold',
        'conference.participant.joined',
        'conference.participant.left',
        'conference.participant.playback.ended',
        'conference.participant.playback.started',
        'conference.participant.speak.ended',
        'conference.participant.speak.started',
        'conference.playback.ended',
        'conference.playback.started',
        'conference.speak.ended',
        'conference.speak.started'
    )
);

-- The types that tell what becomes of a conference, and who is in it.
create or replace temp macro is_of_conference(event_type) as (
    event_type in (
        'conference.created',
        'conference.ended',
        'conference.floor.changed',
        'conference.participant.joined',
        'conference.participant.left',
        'conference.recording.saved',
        'reconciler.conference.observed',
        'reconciler.conference.participant.observed',
        'reconciler.conference.participant.record.observed',
        'reconciler.conference.record.observed',
        'reconciler.conference.recording.observed'
    )
);

-- Whether an event that names a leg or a conference leaves it open, until something ends it.
create or replace temp macro begins_life(event_type) as (
    event_type in ('call.dequeued', 'call.enqueued') or is_of_call(event_type) or is_of_conference(event_type)
);

-- Whether nothing more is to be expected of a leg or a conference.
create or replace temp macro ends_life(event_type, details) as (
    event_type in ('call.cost', 'call.hangup', 'conference.ended', 'reconciler.conference.record.observed')
    or coalesce(event_type = 'reconciler.conference.observed' and details ->> '$.status' = 'completed', false)
);

-- What it is that begins or ends: a visit, a stay, a hold, or a playback by whose and what it is.
create or replace temp macro kind_of_pair(event_type) as (
    case
        when event_type in ('call.enqueued', 'call.dequeued', 'reconciler.queue.call.observed') then 'visit'
        when event_type in ('conference.participant.joined', 'conference.participant.left') then 'stay'
        when event_type in ('call.hold', 'call.unhold') then 'hold'
        else regexp_replace(event_type, '\.(started|ended)$', '')
    end
);

-- The types of which facts need more than the columns that all events have; all of them are rare.
create or replace temp macro is_detailed(event_type) as (
    event_type in (
        'call.conversation.ended',
        'call.cost',
        'call.machine.detection.ended',
        'call.machine.premium.detection.ended',
        'call.playback.ended',
        'call.playback.started',
        'call.recording.saved',
        'conference.participant.playback.ended',
        'conference.participant.playback.started',
        'conference.playback.ended',
        'conference.playback.started',
        'conference.recording.saved',
        'conference.speak.ended',
        'conference.speak.started',
        'reconciler.call.recording.observed',
        'reconciler.conference.observed',
        'reconciler.conference.participant.observed',
        'reconciler.conference.participant.record.observed',
        'reconciler.conference.record.observed',
        'reconciler.conference.recording.observed',
        'reconciler.queue.call.observed'
    )
);

-- What facts rest on of the details, however they were written: the same words in another order say the same.
create or replace temp macro said_in(details) as (
    json_transform(
        details,
        '{
            "billed_duration_secs": "VARCHAR",
            "channels": "VARCHAR",
            "cost_parts": [{"currency": "VARCHAR"}],
            "creator_call_session_id": "VARCHAR",
            "duration_sec": "VARCHAR",
            "format": "VARCHAR",
            "media_name": "VARCHAR",
            "media_url": "VARCHAR",
            "recording_ended_at": "VARCHAR",
            "recording_id": "VARCHAR",
            "recording_started_at": "VARCHAR",
            "result": "VARCHAR",
            "total_cost": "VARCHAR"
        }'
    )
);

-- Telnyx's payload, wherever the envelope has it.
create or replace temp macro payload_in(body) as (
    coalesce(
        json_extract(body, '$.data.payload'),
        json_extract(body, '$.payload'),
        json_extract(body, '$.metadata.event.payload'),
        json_extract(body, '$.webhook.payload')
    )
);

-- How much a dequeue's reason tells of the bridge that it was for.
create or replace temp macro telling(reason) as (
    case reason when 'bridged' then 2 when 'bridging-in-process' then 1 else 0 end
);

-- Whether a dequeue without an enqueue and the next enqueue of that leg and queue, which has no dequeue, are one visit
-- that lasted no time and was stamped the wrong way round, and not what is left of two.
create or replace temp macro is_out_of_order(enqueue, dequeued_at, dequeued_secs, enqueued_at, dequeue) as (
    enqueue is null
    and dequeue is null
    and coalesce(
        dequeued_at < enqueued_at
        and enqueued_at <= dequeued_at + interval 1 second
        and coalesce(dequeued_secs, 0) <= 1,
        false
    )
);

-- The name under which events of a leg are found together: the id that nearly every event carries.
create or replace temp macro leg_named_by(ids) as (
    coalesce(id(ids.call_control_id), id(ids.call_leg_id))
);

-- Whole milliseconds between two instants, both cut to the millisecond first, so that durations add up exactly.
create or replace temp macro ms_between(earlier, later) as (
    epoch_us(later) // 1000 - epoch_us(earlier) // 1000 -- epoch_ms would round
);

-- The same in seconds: what is told to the second was cut, so only what lies in one second can be the same.
create or replace temp macro secs_between(earlier, later) as (
    epoch_us(later) // 1000000 - epoch_us(earlier) // 1000000
);

-- Of pairs in order, those that count where nothing counts twice: each of which neither side is in one that counts.
create or replace temp macro one_to_one(pairs) as (
    list_reduce(
        pairs,
        lambda counting, pair: if(
            list_bool_or(list_transform(counting, lambda each: each.one = pair.one or each.other = pair.other)),
            counting,
            list_append(counting, pair)
        ),
        pairs[:1]
    )
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
            "direction": "VARCHAR",
            "from": "VARCHAR",
            "to": "VARCHAR",
            "reason": "VARCHAR",
            "hangup_cause": "VARCHAR",
            "hangup_source": "VARCHAR",
            "current_position": "VARCHAR",
            "queue_position": "VARCHAR",
            "wait_time_secs": "VARCHAR"
        }
    }'
);
