-- calls.sql: one row per leg, of those in `touched`; needs `pairs` and `numbers`.
--
-- From the first time that something was said to the first hangup. A hold ends with its unhold, with the leg at the
-- latest; where the leg was held again although no unhold had come, nobody knows when. An unhold alone is no hold. What a
-- leg cost is told once it is over.
with heard as (
    select
        life,
        min(call_leg_id) as call_leg_id,
        min(call_control_id) as call_control_id,
        -- where nothing told of the beginning, any event tells whose the leg is
        coalesce(min(call_session_id) filter (event_type = 'call.initiated'), min(call_session_id)) as call_session_id,
        coalesce(min(connection_id) filter (event_type = 'call.initiated'), min(connection_id)) as connection_id,
        min(direction) as direction,
        min(occurred_at) filter (event_type = 'call.initiated') as initiated_at,
        min(occurred_at) filter (event_type = 'call.answered') as answered_at,
        min(occurred_at) filter (event_type = 'call.bridged') as bridged_at,
        min(occurred_at) filter (event_type = 'call.hangup') as ended_at,
        any_value(reason) filter (event_type = 'call.hangup') as hangup_cause,
        any_value(hangup_source) filter (event_type = 'call.hangup') as hangup_source,
        count(*) filter (event_type = 'call.hangup') as hangups,
        bool_or(event_type = 'call.cost') as is_billed,
        bool_or(event_type <> 'call.initiated') as is_taken
    from touched
    where is_of_call
    and coalesce(call_leg_id, call_control_id) is not null
    group by life
),
hung_up_again as (
    -- of several the first counts: to ask that of every leg would take longer than all else that is asked here
    select
        life,
        min_by({'cause': reason, 'source': hangup_source}, (occurred_at, event_id)) as hangup
    from touched
    where event_type = 'call.hangup'
    and coalesce(call_leg_id, call_control_id) is not null
    and life in (select life from heard where hangups > 1)
    group by life
),
holds as (
    select
        life,
        opened_at,
        case
            when closed_at is not null or reopened_at is null or reopened_at > ended_at
            then least(closed_at, ended_at)
        end as closed_at
    from pairs
    join heard using (life)
    where kind = 'hold'
    and opened_at is not null
    and (opened_at > ended_at) is not true
),
held as (
    select life, count(*) as holds, sum(ms_between(opened_at, closed_at))::bigint as hold_ms
    from holds
    group by life
),
told as (
    select
        life,
        event_type,
        reason,
        (occurred_at, event_id) as told_last,
        try_cast(said[1] as decimal(18, 6)) as cost,
        said[2] as currency,
        believable_secs(said[3]) as billed_secs,
        said[4] as result,
        1000 * believable_secs(said[5])::bigint as conversation_ms
    from (
        select
            *,
            json_extract_string(
                details,
                ['$.total_cost', '$.cost_parts[0].currency', '$.billed_duration_secs', '$.result', '$.duration_sec']
            ) as said
        from touched
        where is_detailed
        and event_type in (
            'call.conversation.ended',
            'call.cost',
            'call.machine.detection.ended',
            'call.machine.premium.detection.ended'
        )
    )
),
extras as (
    select
        life,
        max_by({'cost': cost, 'currency': currency, 'billed_secs': billed_secs}, told_last)
            filter (event_type = 'call.cost' and cost is not null) as bill,
        max_by(result, told_last) filter (event_type like 'call.machine.%') as machine_result,
        (sum(conversation_ms) filter (event_type = 'call.conversation.ended'))::bigint as conversation_ms,
        max_by(reason, told_last) filter (event_type = 'call.conversation.ended') as conversation_reason
    from told
    group by life
)
select
    call_leg_id,
    call_control_id,
    call_session_id,
    connection_id,
    direction,
    from_number,
    to_number,
    initiated_at,
    answered_at,
    bridged_at,
    ended_at,
    case when ended_at is not null or is_billed then 'ended' when is_taken then 'in_progress' else 'ringing' end as status,
    if(hangups > 1, hangup.cause, heard.hangup_cause) as hangup_cause,
    if(hangups > 1, hangup.source, heard.hangup_source) as hangup_source,
    case when answered_at >= initiated_at then ms_between(initiated_at, answered_at) end as ring_ms,
    case when ended_at >= bridged_at then ms_between(bridged_at, ended_at) end as talk_ms,
    coalesce(holds, 0)::integer as holds,
    coalesce(hold_ms, 0) as hold_ms,
    bill.cost,
    bill.currency,
    bill.billed_secs,
    machine_result,
    conversation_ms,
    conversation_reason,
    life
from heard
left join held using (life)
left join numbers using (life)
left join extras using (life)
left join hung_up_again using (life)
