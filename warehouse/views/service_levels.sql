-- Between `measures:` and `end of measures` stands what `make views` writes: edit reports/measures/measures.py instead.
--
-- A visit counts by the definition of its queue that held when it was enqueued, so an interval that a change cuts has two
-- rows.
create or replace view service_levels as
with definitions as (
    select
        * replace (coalesce(effective_from, '-infinity'::timestamptz) as effective_from),
        -- up to 1.4, DuckDB finds no default of lead in a view of DuckDB 2
        coalesce(
            lead(effective_from) over (partition by queue order by effective_from nulls first),
            'infinity'::timestamptz
        ) as effective_until
    from queue_definitions
    where queue is not null
),
others as (
    -- what is not there, because no configuration was ever written here, is as by default
    select
        coalesce(any_value(threshold_ms), 20000) as threshold_ms,
        coalesce(any_value(short_abandon_ms), 5000) as short_abandon_ms,
        coalesce(any_value(target), 0.8) as target,
        coalesce(any_value(variant), 'short_abandons_excluded') as variant,
        coalesce(any_value(timezone), 'UTC') as timezone
    from queue_definitions
    where queue is null
),
visits as (
    select
        visit.queue,
        epoch_us(enqueued_at) // 900000000 as quarter,
        outcome,
        wait_ms,
        case
            when wait_ms is null and outcome <> 'waiting'
            then epoch_us(left_at_latest) // 1000 - epoch_us(enqueued_at) // 1000
        end as bound_ms,
        nullif(effective_from, '-infinity'::timestamptz) as effective_from,
        coalesce(mine.threshold_ms, others.threshold_ms) as threshold_ms,
        coalesce(mine.short_abandon_ms, others.short_abandon_ms) as short_abandon_ms,
        coalesce(mine.target, others.target) as target,
        coalesce(mine.variant, others.variant) as variant,
        coalesce(mine.timezone, others.timezone) as timezone
    from queue_visits as visit
    left join definitions as mine
    on mine.queue = visit.queue
    and visit.enqueued_at >= mine.effective_from
    and visit.enqueued_at < mine.effective_until
    cross join others
    where enqueued_at is not null
),
counts as (
    select
        queue,
        quarter,
        effective_from,
        threshold_ms,
        short_abandon_ms,
        target,
        variant,
        timezone,
        -- measures: aggregates
        count(*) filter (where outcome is not null) as offered,
        count(*) filter (where outcome = 'answered') as answered,
        count(*) filter (where outcome = 'abandoned') as abandoned,
        count(*) filter (where outcome = 'timed_out') as timed_out,
        count(*) filter (where outcome = 'left') as "left",
        count(*) filter (where outcome = 'failed_bridge') as failed_bridge,
        count(*) filter (where outcome = 'unknown') as unknown,
        count(*) filter (where outcome = 'waiting') as waiting,
        count(*) filter (where outcome = 'abandoned' and wait_ms < short_abandon_ms) as short_abandoned,
        count(*) filter (where outcome = 'answered' and coalesce(wait_ms, bound_ms) <= threshold_ms) as answered_within,
        count(*) filter (where outcome = 'abandoned' and wait_ms <= threshold_ms) as abandoned_within,
        count(*) filter (where outcome <> 'waiting' and coalesce(wait_ms, bound_ms) <= threshold_ms) as removed_within,
        count(*) filter (where wait_ms is not null) as waits,
        count(*) filter (where outcome = 'answered' and wait_ms is not null) as waits_answered,
        count(*) filter (where outcome = 'abandoned' and wait_ms is not null) as waits_abandoned,
        coalesce(sum(wait_ms), 0)::bigint as total_wait_ms,
        coalesce(sum(case when outcome = 'answered' then wait_ms end), 0)::bigint as total_wait_answered_ms,
        coalesce(sum(case when outcome = 'abandoned' then wait_ms end), 0)::bigint as total_wait_abandoned_ms,
        max(wait_ms) as longest_wait_ms
        -- end of measures
    from visits
    group by queue, quarter, effective_from, threshold_ms, short_abandon_ms, target, variant, timezone
)
select
    queue,
    make_timestamptz(quarter * 900000000) as interval_start,
    make_timestamptz((quarter + 1) * 900000000) as interval_end,
    * exclude (queue, quarter),
    -- measures: ratios
    (answered_within) / nullif(offered - waiting - short_abandoned, 0) as service_level_short_abandons_excluded,
    (answered_within) / nullif(answered, 0) as service_level_answered_only,
    (answered_within) / nullif(offered - waiting, 0) as service_level_offered,
    (answered_within) / nullif(offered - waiting - abandoned_within, 0) as service_level_abandons_in_threshold_ignored,
    (answered_within + abandoned_within) / nullif(offered - waiting, 0) as service_level_abandons_in_threshold_met,
    (removed_within) / nullif(offered - waiting, 0) as service_level_removed_in_threshold,
    (answered_within) / nullif(answered + abandoned - short_abandoned, 0) as service_level_flow_outs_excluded,
    case variant
        when 'short_abandons_excluded' then service_level_short_abandons_excluded
        when 'answered_only' then service_level_answered_only
        when 'offered' then service_level_offered
        when 'abandons_in_threshold_ignored' then service_level_abandons_in_threshold_ignored
        when 'abandons_in_threshold_met' then service_level_abandons_in_threshold_met
        when 'removed_in_threshold' then service_level_removed_in_threshold
        when 'flow_outs_excluded' then service_level_flow_outs_excluded
    end as service_level,
    (abandoned) / nullif(offered - waiting, 0) as abandonment_rate,
    (abandoned - short_abandoned) / nullif(offered - waiting - short_abandoned, 0) as abandonment_rate_adjusted,
    (total_wait_answered_ms) / nullif(waits_answered, 0) as mean_wait_answered_ms,
    (total_wait_abandoned_ms) / nullif(waits_abandoned, 0) as mean_wait_abandoned_ms
    -- end of measures
from counts;
