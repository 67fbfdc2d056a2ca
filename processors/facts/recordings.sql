-- recordings.sql: one row per recording of a conference or of a call, of those in `touched`.
--
-- A recording of a call carries no id: then the event's stands for it. Told twice, the last counts. Its addresses are
-- left where they are: they last ten minutes, and whoever has them hears the call.
with saved as (
    select
        *,
        case when event_type = 'call.recording.saved' then 'call' else 'conference' end as kind,
        coalesce(nullif(details ->> '$.recording_id', ''), event_id) as recording_id
    from touched
    where event_type in ('call.recording.saved', 'conference.recording.saved')
),
told as (
    select
        life,
        kind,
        recording_id,
        max_by(
            {
                'conference_id': conference_id,
                'call_control_id': call_control_id,
                'call_leg_id': call_leg_id,
                'call_session_id': call_session_id,
                'connection_id': connection_id,
                'started_at': instant(details ->> '$.recording_started_at'),
                'ended_at': instant(details ->> '$.recording_ended_at'),
                'channels': details ->> '$.channels',
                'format': details ->> '$.format'
            },
            (occurred_at, event_id)
        ) as recording,
        count(*) as revision
    from saved
    group by life, kind, recording_id
)
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
    revision::integer as revision,
    life
from told
