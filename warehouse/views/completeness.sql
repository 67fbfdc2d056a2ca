-- How complete the history is: the view `completeness`, made anew with the others.
--
-- What is missing is what something else proves to have been sent: a dequeue proves an enqueue, a visit that is over a
-- dequeue, a conference that was seen completed its end. What nothing speaks of is not in it: see docs/metrics.md.
create or replace view completeness as
with told as (
    select
        stored.occurred_at,
        case when stored.event_type in ('call.enqueued', 'call.dequeued') then stored.queue end as queue,
        stored.event_type,
        coalesce(better.origin, stored.origin) as origin
    from stored_events as stored
    left join (
        select event_id, min_by(origin, array_position(['webhook', 'reconciler', 'replay'], origin)) as origin
        from better_origins
        group by event_id
    ) as better
    on stored.event_id = better.event_id
    where stored.event_type not like 'reconciler.%'
    and (stored.log_partition, stored.log_offset) not in (
        select (log_partition, log_offset) from contradictions
    )
),
missing as (
    select coalesce(enqueued_at, left_at, entity_since) as moment, queue, 'call.enqueued' as event_type
    from queue_visits
    where enqueued_at_source is distinct from 'observed'
    union all
    select coalesce(left_at, left_at_latest, enqueued_at, entity_since), queue, 'call.dequeued'
    from queue_visits
    where outcome in ('abandoned', 'answered', 'unknown')
    and reason is null and position_out is null and reported_wait_secs is null
    union all
    select coalesce(created_at, entity_since), null, 'conference.created'
    from conferences
    where created_at_source is distinct from 'webhook'
    union all
    select coalesce(ended_at, ended_at_latest, entity_since), null, 'conference.ended'
    from conferences
    where ended_at_source is distinct from 'webhook'
    and (
        status = 'completed'
        -- none goes on for longer than four hours
        or entity_since < (select judged_at from warehouse) - interval 5 hours
    )
    union all
    select coalesce(joined_at, left_at, left_at_latest, entity_since), null, 'conference.participant.joined'
    from participant_stays
    where joined_at_source is distinct from 'webhook'
    union all
    select coalesce(left_at, left_at_latest), null, 'conference.participant.left'
    from participant_stays
    where left_at_source = 'detail_record' or (left_at is null and left_at_latest is not null)
    union all
    select entity_since, null, 'call.initiated'
    from calls
    where initiated_at is null
    union all
    select entity_since, null, 'call.hangup'
    from calls
    where ended_at is null
    and (
        status = 'ended'
        -- few calls go on for longer than a day, whatever the longest wait in a queue
        or entity_since < (select judged_at from warehouse) - interval 24 hours
    )
    union all
    select coalesce(ended_at, started_at, entity_since), null, kind || '.recording.saved'
    from recordings
    where source = 'rest'
),
-- Who may have been in a queue at a moment: a second more on both sides, because what happens at once is told in any
-- order; and whose end nobody told, for as long as anybody can wait.
steps as (
    select queue, enqueued_at - interval 1 second as moment, 1 as step, null as position_in
    from queue_visits
    where enqueued_at is not null
    union all
    select queue, coalesce(left_at, left_at_latest, enqueued_at + to_milliseconds(longest_ms)) + interval 1 second, -1, null
    from queue_visits
    cross join (select coalesce(longest_wait_ms, 86400000) as longest_ms from warehouse)
    where enqueued_at is not null
    and outcome <> 'waiting'
    union all
    select queue, enqueued_at, 0, position_in
    from queue_visits
    where enqueued_at is not null
    and position_in is not null
),
depths as (
    select queue, moment, position_in, sum(step) over (partition by queue order by moment) as depth
    from steps
),
odd as (
    select occurred_at as moment, null as queue, event_type, 'rivals' as kind
    from contradictions
    union all
    -- Telnyx's own seconds are whole: two of them apart is no rounding
    select left_at, queue, 'call.dequeued', 'waits'
    from queue_visits
    where enqueued_at_source = 'observed' and abs(in_queue_ms - 1000 * reported_wait_secs) >= 2000
    union all
    select left_at, queue, 'call.dequeued', 'lone_dequeues'
    from queue_visits
    where reason is not null and enqueued_at_source is distinct from 'observed'
    and enqueued_at_source is distinct from 'rest'
    union all
    -- a place behind people of whom nobody has told
    select moment, queue, 'call.enqueued', 'position_gaps'
    from depths
    where position_in > depth
),
-- Several may tell of the same time: what overlaps is one outage.
told_down as (
    select
        occurred_at as start,
        try_cast(body ->> '$.data.payload.end' as timestamptz) as "end"
    from stored_events
    where event_type = 'reconciler.ingest.down'
),
uncovered as (
    -- of each, what no earlier one covers
    select
        greatest(
            start,
            max("end") over (order by start, "end" rows between unbounded preceding and 1 preceding)
        ) as start,
        "end"
    from told_down
),
days_down as (
    select start, "end", unnest(range(epoch_us(start) // 86400000000, epoch_us("end") // 86400000000 + 1)) as nth
    from uncovered
    where start < "end"
),
down as (
    select
        nth,
        sum(
            least(epoch_us("end"), (nth + 1) * 86400000000) // 1000 - greatest(epoch_us(start), nth * 86400000000) // 1000
        )::bigint as down_ms
    from days_down
    group by nth
),
counted as (
    select
        epoch_us(occurred_at) // 86400000000 as nth,
        queue,
        event_type,
        count(*) filter (origin = 'webhook') as heard,
        count(*) filter (origin = 'reconciler') as reconciled,
        count(*) filter (origin = 'replay') as replayed,
        0 as missing,
        0 as waits,
        0 as lone_dequeues,
        0 as position_gaps,
        0 as rivals
    from told
    group by all
    union all
    select epoch_us(moment) // 86400000000, queue, event_type, 0, 0, 0, count(*), 0, 0, 0, 0
    from missing
    group by all
    union all
    select
        epoch_us(moment) // 86400000000,
        queue,
        event_type,
        0,
        0,
        0,
        0,
        count(*) filter (kind = 'waits'),
        count(*) filter (kind = 'lone_dequeues'),
        count(*) filter (kind = 'position_gaps'),
        count(*) filter (kind = 'rivals')
    from odd
    group by all
    union all
    -- a day of which nothing else is known, too
    select nth, null, 'reconciler.ingest.down', 0, 0, 0, 0, 0, 0, 0, 0
    from down
),
summed as (
    select
        nth,
        queue,
        event_type,
        sum(heard)::bigint as heard,
        sum(reconciled)::bigint as reconciled,
        sum(replayed)::bigint as replayed,
        sum(missing)::bigint as missing,
        sum(waits)::bigint as wait_differences,
        sum(lone_dequeues)::bigint as lone_dequeues,
        sum(position_gaps)::bigint as position_gaps,
        sum(rivals)::bigint as rivals
    from counted
    where nth is not null
    group by nth, queue, event_type
),
windows as (
    select
        body ->> '$.data.payload.source' as source,
        try_cast(body ->> '$.data.payload.start' as timestamptz) as start,
        try_cast(body ->> '$.data.payload.end' as timestamptz) as "end"
    from stored_events
    where event_type = 'reconciler.window.completed'
),
hours as (
    select distinct source, unnest(range(epoch_us(start) // 3600000000, epoch_us("end") // 3600000000)) as hour
    from windows
),
-- What a list that was read can tell of: original bodies of everything, the others of what they list.
tells(source, pattern, originals) as (
    values
        ('webhook_deliveries', '%', true),
        ('call_events', '%', true),
        ('detail_records', 'conference.created', false),
        ('detail_records', 'conference.ended', false),
        ('detail_records', 'conference.participant.joined', false),
        ('detail_records', 'conference.participant.left', false),
        ('conferences', 'conference.created', false),
        ('conferences', 'conference.ended', false),
        ('participants', 'conference.participant.joined', false),
        ('participants', 'conference.participant.left', false),
        ('recordings', '%.recording.saved', false)
),
read_of as (
    select hour // 24 as nth, event_type, source, any_value(originals) as originals, list(hour) as hours
    from hours
    join tells using (source)
    join (select distinct event_type from summed) on event_type like pattern
    group by all
),
rests as (
    select
        nth,
        event_type,
        len(list_distinct(flatten(list(hours) filter (originals))))::integer as checked_hours,
        'webhooks, ' || string_agg(source || ' (' || len(hours) || ' h)', ', ' order by not originals, source) as rests_on
    from read_of
    group by nth, event_type
)
select
    date '1970-01-01' + summed.nth::integer as day,
    queue,
    summed.event_type,
    heard,
    reconciled,
    replayed,
    missing,
    wait_differences + lone_dequeues + position_gaps + rivals as contradictions,
    wait_differences,
    lone_dequeues,
    position_gaps,
    rivals,
    coalesce(down_ms, 0) as down_ms,
    (heard + reconciled + replayed) / nullif(heard + reconciled + replayed + missing, 0) as score,
    coalesce(checked_hours, 0) as checked_hours,
    coalesce(rests_on, 'webhooks') as rests_on
from summed
left join rests on summed.nth = rests.nth and summed.event_type = rests.event_type
left join down on summed.nth = down.nth
