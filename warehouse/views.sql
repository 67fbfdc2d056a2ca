-- The views for analysts, made anew whenever the warehouse is opened for writing. What each column means: comments.toml.
--
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
            when wait_ms is null and outcome = 'answered'
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

create or replace view abandoned_calls as
with spellings as (
    select *, from_number as spelling
    from queue_visits
    where outcome = 'abandoned'
),
-- include callers.sql
select
    queue,
    from_number,
    caller,
    to_number,
    enqueued_at,
    make_timestamptz((epoch_us(enqueued_at) // 1000 + wait_ms) * 1000) as abandoned_at,
    wait_ms,
    call_session_id,
    call_leg_id,
    visit_id
from callers;

-- The first part has every column; each of the others names those that it has, and the rest are null there.
--
-- In order, for that is what a timeline is; and up to 1.4, DuckDB loses rows of a union of so many when it reads the view
-- from a file of DuckDB 2 without an order.
create or replace view call_timeline as
select
    call_session_id,
    occurred_at as moment,
    'event' as kind,
    event_type as what,
    coalesce(call_leg_id, call_control_id) as leg,
    conference_id,
    queue,
    -- a merge leaves out what is null
    json_merge_patch(
        '{}',
        json_object(
            'direction', direction, 'reason', reason, 'hangup_source', hangup_source, 'position', position,
            'reported_wait_secs', reported_wait_secs
        )
    ) as details,
    origin,
    verified,
    received_at,
    occurred_at_source,
    event_id
from events
union all by name
select
    call_session_id,
    enqueued_at as moment,
    'fact' as kind,
    'visit began' as what,
    coalesce(call_leg_id, call_control_id) as leg,
    queue,
    json_merge_patch(
        '{}',
        json_object(
            'outcome', outcome, 'position', position_in,
            'enqueued_at_source', nullif(enqueued_at_source, 'observed')
        )
    ) as details
from queue_visits
where enqueued_at is not null
union all by name
select
    call_session_id,
    left_at as moment,
    'fact' as kind,
    'visit ended' as what,
    coalesce(call_leg_id, call_control_id) as leg,
    queue,
    json_merge_patch(
        '{}',
        json_object('outcome', outcome, 'wait_ms', wait_ms, 'in_queue_ms', in_queue_ms, 'position', position_out)
    ) as details
from queue_visits
where left_at is not null
union all by name
select
    call_session_id,
    joined_at as moment,
    'fact' as kind,
    'stay began' as what,
    coalesce(call_leg_id, call_control_id) as leg,
    conference_id,
    '{}' as details
from participant_stays
where joined_at is not null
union all by name
select
    call_session_id,
    left_at as moment,
    'fact' as kind,
    'stay ended' as what,
    coalesce(call_leg_id, call_control_id) as leg,
    conference_id,
    json_merge_patch('{}', json_object('duration_ms', duration_ms, 'floor_ms', floor_ms)) as details
from participant_stays
where left_at is not null
union all by name
select
    call_session_id,
    created_at as moment,
    'fact' as kind,
    'conference began' as what,
    conference_id,
    json_object('status', status) as details
from conferences
where created_at is not null
union all by name
select
    call_session_id,
    ended_at as moment,
    'fact' as kind,
    'conference ended' as what,
    conference_id,
    json_merge_patch(
        '{}',
        json_object(
            'end_reason', end_reason, 'duration_ms', duration_ms, 'participants', participants,
            'peak_participants', peak_participants
        )
    ) as details
from conferences
where ended_at is not null
union all by name
select
    call_session_id,
    initiated_at as moment,
    'fact' as kind,
    'leg began' as what,
    coalesce(call_leg_id, call_control_id) as leg,
    json_merge_patch('{}', json_object('direction', direction)) as details
from calls
where initiated_at is not null
union all by name
select
    call_session_id,
    ended_at as moment,
    'fact' as kind,
    'leg ended' as what,
    coalesce(call_leg_id, call_control_id) as leg,
    json_merge_patch(
        '{}',
        json_object(
            'hangup_cause', hangup_cause, 'hangup_source', hangup_source, 'ring_ms', ring_ms, 'talk_ms', talk_ms,
            'holds', nullif(holds, 0), 'hold_ms', nullif(hold_ms, 0)
        )
    ) as details
from calls
where ended_at is not null
union all by name
select
    call_session_id,
    started_at as moment,
    'fact' as kind,
    'recording began' as what,
    coalesce(call_leg_id, call_control_id) as leg,
    conference_id,
    json_merge_patch('{}', json_object('channels', channels, 'format', format)) as details
from recordings
where started_at is not null
union all by name
select
    call_session_id,
    ended_at as moment,
    'fact' as kind,
    'recording ended' as what,
    coalesce(call_leg_id, call_control_id) as leg,
    conference_id,
    json_merge_patch('{}', json_object('duration_ms', duration_ms)) as details
from recordings
where ended_at is not null
union all by name
select
    call_session_id,
    started_at as moment,
    'fact' as kind,
    kind || ' began' as what,
    coalesce(call_leg_id, call_control_id) as leg,
    conference_id,
    json_merge_patch('{}', json_object('scope', scope, 'media_name', media_name)) as details
from playbacks
where started_at is not null
union all by name
select
    call_session_id,
    ended_at as moment,
    'fact' as kind,
    kind || ' ended' as what,
    coalesce(call_leg_id, call_control_id) as leg,
    conference_id,
    json_merge_patch('{}', json_object('duration_ms', duration_ms)) as details
from playbacks
where ended_at is not null
order by moment;
