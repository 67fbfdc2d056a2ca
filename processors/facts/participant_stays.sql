-- participant_stays.sql: one row per stay, of the conferences in `touched`; needs `stays` and `ends`.
--
-- A speaker holds the floor from a floor change until the next one, their own leave, or the conference's end. It
-- counts for the stay of theirs that was not yet over, so a floor change a moment before the join is not lost.
with floors as (
    select
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
leaves as (
    select distinct life, leg, leave_at
    from stays
    where leave_at is not null
),
held as (
    select
        floors.life,
        floors.leg,
        taken_at,
        least(
            next_taken_at,
            leave_at,
            case when ended_at >= taken_at then ended_at end
        ) as lost_at
    from floors
    asof left join leaves
    on floors.life = leaves.life
    and floors.leg = leaves.leg
    and floors.taken_at <= leaves.leave_at
    left join ends on floors.life = ends.life
),
candidates as (
    -- one stay for each moment at which a leg's presence ends, so that the match below is never a toss-up
    select life, leg, over_at, max(stay_id) as stay_id
    from stays
    where joined_at is null or over_at > joined_at
    group by life, leg, over_at
),
spoken as (
    select
        candidates.stay_id,
        sum(ms_between(taken_at, lost_at))::bigint as floor_ms,
        count(*) as floors
    from held
    asof join candidates
    on held.life = candidates.life
    and held.leg = candidates.leg
    and held.taken_at <= candidates.over_at
    group by candidates.stay_id
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
left join spoken using (stay_id)
