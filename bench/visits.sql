-- visits.sql: $visits visits to 20 queues in the 365 days before $tip, busier by day, in time order.
insert into queue_visits (
    visit_id, call_control_id, call_leg_id, call_session_id, connection_id, queue, enqueued_at, enqueued_at_source,
    left_at, wait_ms, in_queue_ms, reported_wait_secs, reason, outcome, answer_confirmed, position_in, position_out,
    revision, entity, entity_since
)
with numbers as (
    select
        i,
        -- chance, the same in every run
        hash(i, 'wait') / 18446744073709551616 as luck,
        hash(i, 'fate') % 100 as fate,
        hash(i, 'queue') % 210 as pick
    from range($visits) as numbers (i)
),
visits as (
    select
        *,
        'leg ' || i as leg,
        -- queue n gets n shares of 210
        'queue ' || ceil((sqrt(8 * (pick + 1) + 1) - 1) / 2)::integer as queue,
        $tip - to_microseconds(($visits - i) * (31536000000000 // $visits)) as enqueued_at,
        case
            when fate < 80 then 'answered'
            when fate < 92 then 'abandoned'
            when fate < 95 then 'timed_out'
            when fate < 98 then 'left'
            when fate < 99 then 'failed_bridge'
            else 'unknown'
        end as outcome,
        -- most wait a few seconds, few wait for minutes
        (25000 * -ln(1 - luck))::bigint as waited_ms
    from numbers
)
select
    'visit ' || i, 'v3:' || leg, leg, leg, '2963572552552678752', queue, enqueued_at, 'observed',
    if(outcome = 'unknown', null, enqueued_at + to_milliseconds(waited_ms)),
    if(outcome = 'unknown', null, waited_ms),
    if(outcome = 'unknown', null, waited_ms),
    waited_ms // 1000, 'bridged', outcome, true, 1, 1, 3, leg, enqueued_at
from visits
order by enqueued_at
