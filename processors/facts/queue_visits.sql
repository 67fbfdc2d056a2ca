-- queue_visits.sql: one row per visit, of the legs in `touched`; needs `pairs` and `numbers`.
--
-- `left_at` is the dequeue; where it never came, the leg's hangup. A caller who hung up first stopped waiting then,
-- however long Telnyx kept the call in its queue (keep_after_hangup). A queue's bridge dequeues whether or not it
-- succeeds, so `bridging-in-process` is an answer until the leg is over without a bridge, on a connection where
-- bridges are heard. Nothing is given a time that nobody said.
--
-- A call that was seen in its queue waits from then on as if it had come then. One that was there no more had left by
-- then (`left_at_latest`): it is `unknown`, with neither an end nor a wait.
with visits as not materialized (
    select
        * exclude (closed_at),
        coalesce(opening, closing) as visit,
        opened_at is not null as observed,
        closed_at as dequeued_at,
        coalesce(opened_at, closed_at - to_seconds(reported_wait_secs)) as enqueued_at,
        -- for finding what followed, where nobody said when the visit began
        coalesce(opened_at, closed_at - to_seconds(reported_wait_secs), closed_at) as present_at
    from pairs
    where kind = 'visit'
),
-- % if observed
sightings as (
    select
        life,
        queue,
        instant(details ->> '$.enqueued_at') as seen_enqueued_at,
        instant(details ->> '$.seen_at') as seen_at,
        details ->> '$.present' = 'true' as is_there
    from touched
    where event_type = 'reconciler.queue.call.observed'
),
seen as (
    select
        visit,
        max(seen_at) filter (is_there) as seen_waiting_at,
        min(seen_at) filter (not is_there) as gone_by
    from visits
    join sightings
    on visits.life = sightings.life
    and visits.queue is not distinct from sightings.queue
    and abs(ms_between(opened_at, seen_enqueued_at)) <= 1000
    group by visit
),
-- % endif
segments as (
    select
        visit,
        life,
        present_at,
        -- the leg's next enqueue, into whatever queue: a bridge after it belongs to that visit
        lead(present_at) over (
            partition by life
            order by present_at, coalesce(dequeued_at, reopened_at) nulls last, pair_id
        ) as next_present_at
    from visits
),
followed as (
    -- what followed it, found by as little of each visit as it takes; a leg has few of either
    select
        visit,
        next_present_at,
        min(occurred_at) filter (event_type = 'call.hangup') as hangup_at,
        min(occurred_at) filter (event_type = 'call.bridged') as bridged_at
    from segments
    left join (
        select life, event_type, occurred_at
        from touched
        where event_type in ('call.hangup', 'call.bridged')
    ) as heard
    on segments.life = heard.life
    and segments.present_at <= heard.occurred_at
    group by visit, next_present_at
),
judged as (
    select
        visits.*,
        hangup_at,
        bridged_at,
        coalesce(bridged_at < coalesce(next_present_at, 'infinity'::timestamptz), false) as bridge_heard,
        -- % if observed
        seen_waiting_at,
        gone_by,
        -- % else
        null::timestamptz as seen_waiting_at,
        null::timestamptz as gone_by,
        -- % endif
        case
            when dequeued_at is not null then coalesce(hangup_at < dequeued_at, false)
            else reopened_at is null and hangup_at is not null
        end as ended_by_hangup
    from visits
    join followed using (visit)
    -- % if observed
    left join seen using (visit)
    -- % endif
),
outcomes as (
    select
        *,
        case
            when ended_by_hangup then 'abandoned'
            when reopened_at is not null then 'unknown'
            when dequeued_at is null and gone_by is not null then 'unknown'
            when dequeued_at is null
            and coalesce(seen_waiting_at, enqueued_at) <= $judged_at - to_milliseconds($longest_wait_ms) then 'unknown'
            when dequeued_at is null then 'waiting'
            when reason = 'bridged' then 'answered'
            when reason = 'bridging-in-process' then
                case
                    when not bridge_heard
                    and hangup_at is not null
                    and connection_id in (select connection_id from bridged_connections)
                    then 'failed_bridge'
                    else 'answered'
                end
            when reason = 'hangup' then 'abandoned'
            when reason = 'timeout' then 'timed_out'
            when reason = 'leave' then 'left'
            else 'unknown'
        end as outcome
    from judged
),
rested as (
    -- the hangup and the bridge on which a visit rests, apart from its own two events
    select
        *,
        case when ended_by_hangup or outcome = 'failed_bridge' then hangup_at end as hangup_that_counts,
        case when reason in ('bridged', 'bridging-in-process') and bridge_heard then bridged_at end
            as bridge_that_counts
    from outcomes
)
select
    pair_id as visit_id,
    call_control_id,
    call_leg_id,
    call_session_id,
    connection_id,
    queue,
    from_number,
    to_number,
    enqueued_at,
    case
        when opened_by_rest then 'rest'
        when observed then 'observed'
        when enqueued_at is not null then 'reported'
    end as enqueued_at_source,
    coalesce(dequeued_at, if(ended_by_hangup, hangup_at, null)) as left_at,
    case when dequeued_at is null and not ended_by_hangup then least(gone_by, reopened_at) end as left_at_latest,
    case when dequeued_at is null and not ended_by_hangup then seen_waiting_at end as seen_waiting_at,
    case
        when ended_by_hangup then ms_between(enqueued_at, hangup_at)
        else ms_between(enqueued_at, dequeued_at)
    end as wait_ms,
    ms_between(enqueued_at, coalesce(dequeued_at, if(ended_by_hangup, hangup_at, null))) as in_queue_ms,
    reported_wait_secs,
    reason,
    outcome,
    case when reason in ('bridged', 'bridging-in-process') then bridge_heard end as answer_confirmed,
    position_in,
    position_out,
    (
        observed::integer
        + (dequeued_at is not null)::integer
        + (hangup_that_counts is not null)::integer
        + (bridge_that_counts is not null)::integer
        -- the event that told the numbers, unless it is one of these
        + coalesce(
            (told_by <> 'call.hangup' or hangup_that_counts is distinct from told_at)
            and (told_by <> 'call.bridged' or bridge_that_counts is distinct from told_at),
            false
        )::integer
    )::integer as revision,
    life
from rested
left join numbers using (life)
