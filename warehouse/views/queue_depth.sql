create or replace view queue_depth as
with present as (
    select
        queue,
        epoch_us(enqueued_at) // 1000 as began_ms,
        epoch_us(enqueued_at) // 1000 + wait_ms as waited_until_ms,
        epoch_us(left_at) // 1000 as left_ms
    from queue_visits
    where enqueued_at is not null
    -- nobody knows until when these were there, and without an end they would be there for ever
    and (left_at is not null or outcome = 'waiting')
),
steps as (
    select queue, began_ms as moment_ms, 1 as step, 1 as waiting_step
    from present
    union all
    select queue, waited_until_ms, 0, -1
    from present
    union all
    select queue, left_ms, -1, 0
    from present
),
changes as (
    -- all that happens at one instant is one step, so that leaving comes before joining
    select queue, moment_ms, sum(step) as step, sum(waiting_step) as waiting_step
    from steps
    where moment_ms is not null
    group by queue, moment_ms
    having sum(step) <> 0
    or sum(waiting_step) <> 0
)
select
    queue,
    make_timestamptz(moment_ms * 1000) as moment,
    (sum(step) over walk)::bigint as depth,
    (sum(waiting_step) over walk)::bigint as waiting
from changes
window walk as (
    partition by queue
    order by moment_ms
    rows unbounded preceding
);
