-- Between `measures:` and `end of measures` stands what `make views` writes: edit reports/measures/measures.py instead.
--
-- Instants are cut to the millisecond before anything is added up, as the facts' own durations are, so that sums over
-- intervals equal sums over visits to the millisecond. The base interval is a quarter of an hour in UTC: every time
-- zone's offset is a whole number of them, so any zone's half-hours, hours and days are sums of these rows.
create or replace view queue_intervals as
with waits as (
    select
        queue,
        outcome,
        wait_ms,
        epoch_us(enqueued_at) // 1000 as began_ms,
        -- where the caller hung up before the dequeue, waiting ended with the hangup and not with `left_at`
        coalesce(epoch_us(enqueued_at) // 1000 + wait_ms, epoch_us(left_at) // 1000) as ended_ms
    from queue_visits
),
moments as (
    select 'cohort' as attribution, queue, began_ms // 900000 as quarter, true as came, outcome, wait_ms
    from waits
    where began_ms is not null
    union all
    select 'event_time', queue, began_ms // 900000, true, null, null
    from waits
    where began_ms is not null
    union all
    select 'event_time', queue, coalesce(ended_ms, began_ms) // 900000, false, outcome, wait_ms
    from waits
    where coalesce(ended_ms, began_ms) is not null
),
counted as (
    select
        attribution,
        queue,
        quarter,
        count(*) filter (where came) as offered,
        -- measures: outcomes
        count(*) filter (where outcome = 'answered') as answered,
        count(*) filter (where outcome = 'abandoned') as abandoned,
        count(*) filter (where outcome = 'timed_out') as timed_out,
        count(*) filter (where outcome = 'left') as "left",
        count(*) filter (where outcome = 'failed_bridge') as failed_bridge,
        count(*) filter (where outcome = 'unknown') as unknown,
        count(*) filter (where outcome = 'waiting') as waiting,
        coalesce(sum(wait_ms), 0)::bigint as wait_ms
        -- end of measures
    from moments
    group by attribution, queue, quarter
),
slices as (
    select queue, began_ms, ended_ms, unnest(range(began_ms // 900000, (ended_ms - 1) // 900000 + 1)) as quarter
    from waits
    where wait_ms > 0
),
clipped as (
    select
        queue,
        quarter,
        sum(least(ended_ms, (quarter + 1) * 900000) - greatest(began_ms, quarter * 900000))::bigint as wait_ms
    from slices
    group by queue, quarter
),
labelled as (
    from counted
    union all
    select 'clipped', queue, quarter, null, null, null, null, null, null, null, null, wait_ms
    from clipped
)
select
    attribution,
    queue,
    make_timestamptz(quarter * 900000000) as interval_start,
    make_timestamptz((quarter + 1) * 900000000) as interval_end,
    * exclude (attribution, queue, quarter)
from labelled;
