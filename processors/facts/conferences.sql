-- conferences.sql: one row per conference in `touched`; needs `stays` and `ends`.
--
-- What a webhook says counts. Where there was none, the detail record says when it began and ended, to the second, and
-- the list of conferences when it began and why it ended; what each conference is called and where it was, only they say.
with heard as (
    select
        life,
        min(conference_id) as conference_id, -- one life is of one conference
        coalesce(
            min(connection_id) filter (event_type = 'conference.created'),
            min(connection_id)
        ) as connection_id,
        coalesce(
            min(call_session_id) filter (event_type = 'conference.created'),
            min(call_session_id)
        ) as call_session_id,
        min(occurred_at) filter (event_type = 'conference.created') as created_at,
        count(*) filter (event_type = 'conference.floor.changed') as floor_changes
    from touched
    where is_of_conference
    and conference_id is not null
    group by life
),
noted as (
    -- what only the few events say that end it, or come with details
    select
        life,
        max_by(reason, (occurred_at, event_id)) filter (event_type = 'conference.ended') as end_reason,
        -- a recording that is told twice, or listed as well, is one
        count(distinct coalesce(nullif(details ->> '$.recording_id', ''), event_id))
            filter (event_type in ('conference.recording.saved', 'reconciler.conference.recording.observed'))
            as recordings,
        -- % if observed
        min(instant(details ->> '$.started_at')) filter (event_type = 'reconciler.conference.record.observed')
            as recorded_at,
        min(instant(details ->> '$.created_at')) filter (event_type = 'reconciler.conference.observed')
            as listed_at,
        max_by(
            {'name': details ->> '$.name', 'region': details ->> '$.region'},
            (event_type = 'reconciler.conference.observed', instant(details ->> '$.updated_at'), event_id)
        ) filter (
            event_type in ('reconciler.conference.observed', 'reconciler.conference.record.observed')
        ) as told,
        max_by(
            {'end_reason': details ->> '$.end_reason', 'ended_by': details ->> '$.ended_by'},
            (instant(details ->> '$.updated_at'), event_id)
        ) filter (
            event_type = 'reconciler.conference.observed' and details ->> '$.status' = 'completed'
        ) as told_last
        -- % else
        null::timestamptz as recorded_at,
        null::timestamptz as listed_at,
        null::struct(name varchar, region varchar) as told,
        null::struct(end_reason varchar, ended_by varchar) as told_last
        -- % endif
    from touched
    where is_of_conference
    and (is_detailed or event_type = 'conference.ended')
    and conference_id is not null
    group by life
),
known as (
    select
        heard.* exclude (created_at),
        noted.* exclude (life),
        coalesce(created_at, recorded_at, listed_at) as created_at,
        case
            when created_at is not null then 'webhook'
            when recorded_at is not null then 'detail_record'
            when listed_at is not null then 'rest'
        end as created_at_source
    from heard
    left join noted using (life)
),
present as (
    select
        life,
        count(*) as participants,
        count(distinct leg) as unique_participants,
        sum(ms_between(joined_at, left_at))::bigint as participant_ms
    from stays
    group by life
),
steps as (
    -- a stay that ends the instant it begins never adds to those present
    select life, joined_at as moment, 1 as step
    from stays
    where over_at > joined_at
    union all
    select life, over_at, -1
    from stays
    where over_at > joined_at
),
sizes as (
    select
        life,
        -- leaving comes before joining at one instant
        sum(step) over (
            partition by life
            order by moment, step
            rows unbounded preceding
        ) as size
    from steps
),
peaks as (
    select life, max(size) as peak_participants
    from sizes
    group by life
)
select
    conference_id,
    told.name as name,
    told.region as region,
    connection_id,
    call_session_id,
    created_at,
    created_at_source,
    ended_at,
    ended_at_source,
    ended_at_latest,
    case when ended_at >= created_at then ms_between(created_at, ended_at) end as duration_ms,
    case when ended_at is not null or coalesce(seen_completed, false) then 'completed' else 'in_progress' end as status,
    coalesce(known.end_reason, told_last.end_reason) as end_reason,
    case
        when known.end_reason is not null then 'webhook'
        when told_last.end_reason is not null then 'rest'
    end as end_reason_source,
    told_last.ended_by as ended_by,
    coalesce(participants, 0)::integer as participants,
    coalesce(unique_participants, 0)::integer as unique_participants,
    coalesce(peak_participants, 0)::integer as peak_participants,
    coalesce(participant_ms, 0) as participant_ms,
    floor_changes::integer as floor_changes,
    coalesce(recordings, 0)::integer as recordings,
    life
from known
left join ends using (life)
left join present using (life)
left join peaks using (life)
