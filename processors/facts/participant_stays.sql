-- participant_stays.sql: one row per stay, of the conferences in `touched`; needs `stays` and `ends`.
--
-- A speaker holds the floor from a floor change until the next one, their own leave, or the conference's end, and only
-- while they are there: it counts for the stay in which they took it, bounds included (of several, the one that began
-- last, and of those the one that was over first), else for their next one, from its beginning on.
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
        taken_at,
        next_taken_at,
        coalesce(
            min_by(
                {'stay_id': stay_id, 'from_at': taken_at, 'over_at': over_at},
                (coalesce(-epoch_us(joined_at), 0), over_at, stay_id)
            ) filter (joined_at is null or joined_at <= taken_at),
            min_by(
                {'stay_id': stay_id, 'from_at': joined_at, 'over_at': over_at},
                (joined_at, over_at, stay_id)
            ) filter (joined_at > taken_at)
        ) as stay
    from floors
    join stays using (life, leg)
    where taken_at <= over_at
    group by floor, life, taken_at, next_taken_at
),
spoken as (
    -- for each stay of each conference: one id may be told of two
    select
        life,
        stay.stay_id as stay_id,
        sum(
            greatest(
                ms_between(
                    stay.from_at,
                    least(
                        next_taken_at,
                        nullif(stay.over_at, 'infinity'::timestamptz),
                        case when ended_at >= taken_at then ended_at end
                    )
                ),
                0
            )
        )::bigint as floor_ms
    from held
    left join ends using (life)
    group by life, stay.stay_id
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
    life
from stays
left join spoken using (life, stay_id)
