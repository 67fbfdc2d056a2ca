-- playbacks.sql: one row for each thing played or spoken, to a call, to a participant or to a whole conference; needs
-- `pairs`.
--
-- Ended by its own end and by nothing else: what a conference or a call was playing when it was over, nobody said.
with words as (
    select rowid as event, details
    from touched
    where details is not null
),
played as (
    select
        pairs.*,
        coalesce(started.details ->> '$.media_url', ended.details ->> '$.media_url') as media_url,
        coalesce(started.details ->> '$.media_name', ended.details ->> '$.media_name') as media_name,
        coalesce(started.details, ended.details) ->> '$.creator_call_session_id' as creator_session_id
    from pairs
    left join words as started on pairs.opening = started.event
    left join words as ended on pairs.closing = ended.event
    where kind not in ('visit', 'stay', 'hold')
)
select
    pair_id as playback_id,
    split_part(kind, '.', -1) as kind,
    case
        when kind like 'call.%' then 'call'
        when kind like '%.participant.%' then 'participant'
        else 'conference'
    end as scope,
    conference_id,
    call_control_id,
    call_leg_id,
    -- what a whole conference hears is about no session but its creator's
    coalesce(
        call_session_id,
        if(kind in ('conference.playback', 'conference.speak'), creator_session_id, null)
    ) as call_session_id,
    connection_id,
    media_url,
    media_name,
    opened_at as started_at,
    closed_at as ended_at,
    ms_between(opened_at, closed_at) as duration_ms,
    life
from played
