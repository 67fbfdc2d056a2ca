-- conferences.sql: one row per conference in `touched`; needs `stays`.
with heard as (
    select
        life,
        conference_id,
        coalesce(
            min(connection_id) filter (event_type = 'conference.created'),
            min(connection_id)
        ) as connection_id,
        coalesce(
            min(call_session_id) filter (event_type = 'conference.created'),
            min(call_session_id)
        ) as call_session_id,
        min(occurred_at) filter (event_type = 'conference.created') as created_at,
        max(occurred_at) filter (event_type = 'conference.ended') as ended_at,
        max_by(reason, (occurred_at, event_id)) filter (event_type = 'conference.ended') as end_reason,
        count(*) filter (event_type = 'conference.floor.changed') as floor_changes,
        count(*) filter (event_type = 'conference.recording.saved') as recordings,
        count(*) as revision
    from touched
    where event_type in (
        'conference.created',
        'conference.ended',
        'conference.floor.changed',
        'conference.participant.joined',
        'conference.participant.left',
        'conference.recording.saved'
    )
    and conference_id is not null
    group by life, conference_id
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
    null::varchar as name,
    connection_id,
    call_session_id,
    created_at,
    ended_at,
    case when ended_at >= created_at then ms_between(created_at, ended_at) end as duration_ms,
    case when ended_at is null then 'in_progress' else 'completed' end as status,
    end_reason,
    case when end_reason is not null then 'webhook' end as end_reason_source,
    coalesce(participants, 0)::integer as participants,
    coalesce(unique_participants, 0)::integer as unique_participants,
    coalesce(peak_participants, 0)::integer as peak_participants,
    coalesce(participant_ms, 0) as participant_ms,
    floor_changes::integer as floor_changes,
    recordings::integer as recordings,
    revision::integer as revision,
    life
from heard
left join present using (life)
left join peaks using (life)
