-- participant_stays.sql: one row per stay, of the conferences in `touched`; needs `stays` and `ends`.
--
-- A speaker holds the floor from a floor change until the next one, their own leave, or the conference's end. It
-- counts for the stay of theirs that was not yet over, so a floor change a moment before the join is not lost.
with floors as (
    select
        rowid as floor,
        life,
        coalesce(call_leg_id, call_control_id) as leg,
        occurred_at as taken_at,
        lead(occurred_at) over (
            partition by life
            order by occurred_at, event_id
        ) as next_taken_at
    from touched
    where event_type = 'conference.floor.changed'
),
held as (
    select
        floor,
        life,
        leg,
        taken_at,
        next_taken_at,
        min(leave_at) filter (taken_at <= leave_at) as leave_at,
        min(over_at) filter (taken_at <= over_at and (joined_at is null or over_at > joined_at)) as over_at
    from floors
    join stays using (life, leg)
    group by floor, life, leg, taken_at, next_taken_at
),
candidates as (
    -- one stay for each moment at which a leg's presence ends, so that the match below is never a toss-up
    select life, leg, over_at, max(stay_id) as stay_id
    from stays
    where joined_at is null or over_at > joined_at
    group by life, leg, over_at
),
spoken as (
    -- for each stay of each conference: one id may be told of two
    select
        life,
        stay_id,
        sum(
            ms_between(
                taken_at,
                least(
                    next_taken_at,
                    leave_at,
                    case when ended_at >= taken_at then ended_at end
                )
            )
        )::bigint as floor_ms,
        count(*) as floors
    from held
    join candidates using (life, leg, over_at)
    left join ends using (life)
    group by life, stay_id
)
select
    stay_id,
    conference_id,
    call_control_id,
    call_leg_id,
    call_session_id,
    joined_at,
    joined_at_source,
    left_at,
    left_at_source,
    left_at_latest,
    ms_between(joined_at, left_at) as duration_ms,
    coalesce(floor_ms, 0) as floor_ms,
    (revision + coalesce(floors, 0))::integer as revision,
    life
from stays
left join spoken using (life, stay_id)
