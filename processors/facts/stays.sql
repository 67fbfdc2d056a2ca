-- stays.sql: who was in which conference, from when to when; needs `touched` and `pairs`.
--
-- A stay ends with that leg's next leave, else with the conference. `left_at` is null where nobody said when it ended;
-- `over_at` is when it was over at the latest: nobody is twice in one conference, so where the leg joined again
-- although no leave had come, it was over by then.
create or replace temp table stays as
with ends as (
    select life, max(occurred_at) as ended_at
    from touched
    where event_type = 'conference.ended'
    group by life
),
bounded as (
    select
        pairs.*,
        case when ended_at >= opened_at then ended_at end as ended_at
    from pairs
    left join ends using (life)
    where kind = 'stay'
)
select
    life,
    pair_id as stay_id,
    leg,
    conference_id,
    call_control_id,
    call_leg_id,
    call_session_id,
    opened_at as joined_at,
    closed_at,
    case
        when closed_at is not null then closed_at
        when reopened_at is null then ended_at
    end as left_at,
    coalesce(closed_at, reopened_at, ended_at, 'infinity'::timestamptz) as over_at
from bounded
