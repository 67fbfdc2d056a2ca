-- recordings.sql: one row per recording of a conference or of a call, of those in `touched`.
--
-- A recording of a call carries no id: then the event's stands for it. Told twice, the last counts. Its addresses are
-- left where they are: they last ten minutes, and whoever has them hears the call.
--
-- A recording that only the list of recordings tells is a row, too (`source` rest). It is one that a webhook told if it
-- has the same id, or, of a call, the same leg and the same beginning, to the second: each of one, the nearest first.
with saved as (
    select
        *,
        case when event_type like '%conference.recording%' then 'conference' else 'call' end as kind,
        case when event_type like 'reconciler.%' then 'rest' else 'webhook' end as source,
        coalesce(nullif(details ->> '$.recording_id', ''), event_id) as recording_id,
        instant(details ->> '$.recording_started_at') as started_at
    from touched
    where is_detailed
    and event_type in (
        'call.recording.saved',
        'conference.recording.saved',
        'reconciler.call.recording.observed',
        'reconciler.conference.recording.observed'
    )
),
told as (
    select
        life,
        kind,
        recording_id,
        source,
        max_by(
            {
                'conference_id': conference_id,
                'call_control_id': call_control_id,
                'call_leg_id': call_leg_id,
                'call_session_id': call_session_id,
                'connection_id': connection_id,
                'started_at': started_at,
                'ended_at': instant(details ->> '$.recording_ended_at'),
                'channels': details ->> '$.channels',
                'format': details ->> '$.format'
            },
            (occurred_at, event_id)
        ) as recording
    from saved
    group by life, kind, recording_id, source
)
-- % if observed
,
near as (
    select
        heard.life,
        heard.kind,
        heard.recording_id as one,
        listed.recording_id as other,
        (
            heard.recording_id <> listed.recording_id,
            abs(secs_between(heard.recording.started_at, listed.recording.started_at)),
            abs(ms_between(heard.recording.started_at, listed.recording.started_at)),
            heard.recording.started_at,
            heard.recording_id,
            listed.recording.started_at,
            listed.recording_id
        ) as place
    from told as heard
    join told as listed using (life, kind)
    where heard.source = 'webhook'
    and listed.source = 'rest'
    and (
        heard.recording_id = listed.recording_id
        or (
            kind = 'call'
            and heard.recording.call_leg_id is not distinct from listed.recording.call_leg_id
            and abs(ms_between(heard.recording.started_at, listed.recording.started_at)) <= 1000
        )
    )
),
told_twice as (
    select life, kind, unnest(one_to_one(list({'one': one, 'other': other} order by place))) as match
    from near
    group by life, kind
)
-- % endif
select
    recording_id,
    kind,
    recording.conference_id,
    recording.call_control_id,
    recording.call_leg_id,
    recording.call_session_id,
    recording.connection_id,
    recording.started_at,
    recording.ended_at,
    case
        when recording.ended_at >= recording.started_at then ms_between(recording.started_at, recording.ended_at)
    end as duration_ms,
    recording.channels,
    recording.format,
    source,
    life
from told
-- % if observed
where source = 'webhook'
or (life, kind, recording_id) not in (select (life, kind, match.other) from told_twice)
-- % endif
