-- queue_visits.sql: one row per visit, of the legs in `touched`; needs `pairs` and `numbers`.
--
-- `left_at` is the dequeue; where it never came, the leg's hangup. A caller who hung up first stopped waiting then,
-- however long Telnyx kept the call in its queue (keep_after_hangup). A queue's bridge dequeues whether or not it
-- succeeds, so `bridging-in-process` is an answer until the visit is over without a bridge, on a connection where
-- bridges are heard. Nothing is given a time that nobody said: a visit of which only the end's latest moment is known
-- (`left_at_latest`) has neither an end nor a wait.
--
-- A bridge of the leg, or its joining a conference, ends a visit that is open: the leg waits no more.
--
-- A leg is in one queue at a time, and its visits to one queue never overlap: a second dequeue is of the same visit
-- unless Telnyx's own seconds prove that it began after the first. A dequeue up to a second before an enqueue, neither
-- of which has another partner, is that enqueue's, told out of order.
--
-- A call that was seen in its queue waits from then on as if it had come then. One that was there no more had left by
-- then.
with heard as not materialized (
    select
        *,
        coalesce(opened_at, closed_at) as told_at,
        coalesce(
            opened_at is null
            -- Telnyx cuts its seconds, so it may have begun up to one sooner
            and (closed_at - to_seconds(reported_wait_secs + 1) >= lag(closed_at) over walk) is not true
            and lag(closed_at) over walk is not null
            -- nor was the leg in another queue meanwhile
            and lag(queue) over way is not distinct from queue,
            false
        ) as is_told_again
    from pairs
    where kind = 'visit'
    window
        walk as (
            partition by life, queue
            order by coalesce(opened_at, closed_at), opening is null, closed_at, pair_id
        ),
        way as (
            partition by life
            order by coalesce(opened_at, closed_at), opening is null, closed_at, pair_id
        )
),
numbered as (
    select
        *,
        sum((not is_told_again)::integer) over (
            partition by life, queue
            order by told_at, opening is null, closed_at, pair_id
        ) as nth
    from heard
),
told_again as (
    select life, queue, nth, max(telling(reason)) as telling
    from numbered
    where is_told_again
    group by life, queue, nth
),
distinguished as (
    select
        numbered.* exclude (is_told_again, nth, reason),
        case
            when told_again.telling > telling(reason)
            then if(told_again.telling = 2, 'bridged', 'bridging-in-process')
            else reason
        end as reason
    from numbered
    left join told_again
    on numbered.life = told_again.life
    and numbered.queue is not distinct from told_again.queue
    and numbered.nth = told_again.nth
    where not is_told_again
),
neighbours as (
    select
        *,
        lag({
            'opening': opening,
            'closing': closing,
            'closed_at': closed_at,
            'reason': reason,
            'position_out': position_out,
            'reported_wait_secs': reported_wait_secs,
            'call_control_id': call_control_id,
            'call_leg_id': call_leg_id,
            'call_session_id': call_session_id,
            'connection_id': connection_id
        }) over walk as before,
        lead({'opened_at': opened_at, 'closing': closing}) over walk as after
    from distinguished
    window walk as (
        partition by life, queue
        order by told_at, opening is null, closed_at, pair_id
    )
),
ordered as (
    select
        * exclude (
            before, after, reason, position_out, reported_wait_secs, closed_at,
            call_control_id, call_leg_id, call_session_id, connection_id
        ),
        is_out_of_order(before.opening, before.closed_at, before.reported_wait_secs, opened_at, closing)
            as is_out_of_order,
        -- it left when it came: no earlier, whatever the stamps say
        if(is_out_of_order, opened_at, closed_at) as closed_at,
        if(is_out_of_order, before.reason, reason) as reason,
        if(is_out_of_order, before.position_out, position_out) as position_out,
        if(is_out_of_order, before.reported_wait_secs, reported_wait_secs) as reported_wait_secs,
        coalesce(call_control_id, if(is_out_of_order, before.call_control_id, null)) as call_control_id,
        coalesce(call_leg_id, if(is_out_of_order, before.call_leg_id, null)) as call_leg_id,
        coalesce(call_session_id, if(is_out_of_order, before.call_session_id, null)) as call_session_id,
        coalesce(connection_id, if(is_out_of_order, before.connection_id, null)) as connection_id
    from neighbours
    where not is_out_of_order(opening, closed_at, reported_wait_secs, after.opened_at, after.closing)
),
visits as (
    select
        *,
        coalesce(opening, closing) as visit,
        opened_at is not null as observed,
        coalesce(opened_at, closed_at - to_seconds(reported_wait_secs)) as begun_at,
        -- for finding what followed, where nobody said when the visit began
        coalesce(opened_at, closed_at - to_seconds(reported_wait_secs), closed_at) as present_at
    from ordered
),
-- % if observed
-- % include "sightings.sql"
-- % endif
stretches as (
    select
        visit,
        life,
        observed,
        -- where nobody said when the first visit began, all that was heard of the leg may belong to it
        if(begun_at is null and lag(visit) over walk is null, '-infinity'::timestamptz, present_at) as begins,
        -- the leg's next visit, to whatever queue
        lead(present_at) over walk as next_present_at
    from visits
    window walk as (
        partition by life
        order by present_at, closed_at is distinct from present_at, pair_id
    )
),
followed as (
    -- what followed it, found by as little of each visit as it takes; a leg has few of either
    select
        visit,
        next_present_at,
        min(occurred_at) filter (event_type = 'call.hangup' and (begins <= occurred_at or not observed)) as hangup_at,
        min(occurred_at) filter (
            event_type = 'call.bridged'
            and begins <= occurred_at
            and occurred_at < coalesce(next_present_at, 'infinity'::timestamptz)
        ) as bridged_at,
        min(occurred_at) filter (
            is_evidence
            and begins <= occurred_at
            and occurred_at < coalesce(next_present_at, 'infinity'::timestamptz)
        ) as joined_at
    from stretches
    left join (
        select life, event_type, occurred_at, is_evidence
        from touched
        where event_type in ('call.hangup', 'call.bridged')
        or is_evidence
    ) as heard
    using (life)
    group by visit, next_present_at
),
bounded as (
    select
        visits.*,
        next_present_at,
        hangup_at,
        bridged_at,
        joined_at,
        -- the leg was in another queue, or in this one anew, while this visit was open
        case when closed_at is null or next_present_at < closed_at then next_present_at end as cut_at,
        if(cut_at is null, closed_at, null) as dequeued_at,
        -- % if observed
        seen_waiting_at,
        gone_by
        -- % else
        null::timestamptz as seen_waiting_at,
        null::timestamptz as gone_by
        -- % endif
    from visits
    join followed using (visit)
    -- % if observed
    left join seen using (visit)
    -- % endif
),
judged as (
    select
        *,
        coalesce(hangup_at < dequeued_at, false) as is_kept_after_hangup,
        -- the first that says it was over, where no dequeue says when; at one instant, a bridge says more than a join
        -- that the caller hung up in the queue is not so where the leg was bridged before, or in a conference; unless
        -- nobody knows when the visit began: then the bridge may have come before
        dequeued_at is null or is_kept_after_hangup or (reason = 'hangup' and begun_at is not null) as is_end_open,
        is_end_open
        and bridged_at is not null
        and (hangup_at < bridged_at) is not true
        and (dequeued_at <= bridged_at) is not true
        and (joined_at < bridged_at) is not true as ended_by_bridge,
        is_end_open
        and not ended_by_bridge
        and joined_at is not null
        and (hangup_at < joined_at) is not true
        and (dequeued_at <= joined_at) is not true as ended_by_join,
        not (ended_by_bridge or ended_by_join)
        and (is_kept_after_hangup or (dequeued_at is null and cut_at is null and hangup_at is not null))
            as ended_by_hangup,
        case
            when ended_by_bridge then bridged_at
            when ended_by_join then joined_at
            when ended_by_hangup then hangup_at
            else closed_at
        end as over_at,
        -- that a visit began after it was over, nobody believes
        case when observed or begun_at <= over_at then begun_at end as enqueued_at
    from bounded
),
outcomes as (
    select
        *,
        case
            when ended_by_bridge then 'answered'
            when ended_by_join then 'unknown'
            when ended_by_hangup then 'abandoned'
            when cut_at is not null then 'unknown'
            when dequeued_at is null and gone_by is not null then 'unknown'
            when dequeued_at is null
            and coalesce(seen_waiting_at, enqueued_at) <= $judged_at - to_milliseconds($longest_wait_ms) then 'unknown'
            when dequeued_at is null then 'waiting'
            when reason = 'bridged' then 'answered'
            when reason = 'bridging-in-process' then
                case
                    when bridged_at is null
                    and (hangup_at is not null or next_present_at is not null)
                    and connection_id in (select connection_id from bridged_connections)
                    then 'failed_bridge'
                    else 'answered'
                end
            when reason = 'hangup' then 'abandoned'
            when reason = 'timeout' then 'timed_out'
            when reason = 'leave' then 'left'
            else 'unknown'
        end as outcome,
        case
            when ended_by_bridge or ended_by_join then null
            when dequeued_at is not null then dequeued_at
            when ended_by_hangup then hangup_at
        end as left_at
    from judged
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
    left_at,
    case
        when ended_by_bridge then bridged_at
        when left_at is null then least(gone_by, cut_at, if(ended_by_join, joined_at, null))
    end as left_at_latest,
    case when left_at is null and not (ended_by_bridge or ended_by_join) then seen_waiting_at end as seen_waiting_at,
    ms_between(enqueued_at, if(ended_by_hangup, hangup_at, left_at)) as wait_ms,
    ms_between(enqueued_at, left_at) as in_queue_ms,
    reported_wait_secs,
    reason,
    outcome,
    case
        when ended_by_bridge then true
        when dequeued_at is not null and not ended_by_join and reason in ('bridged', 'bridging-in-process') then bridged_at is not null
    end as answer_confirmed,
    position_in,
    position_out,
    life
from outcomes
left join numbers using (life)
