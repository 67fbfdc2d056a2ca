-- sightings.sql: a part of queue_visits.sql. `seen`: until when a visit was seen in its queue, and by when it had left.
sightings as (
    select
        rowid as sighting,
        life,
        queue,
        instant(details ->> '$.enqueued_at') as seen_enqueued_at,
        instant(details ->> '$.seen_at') as seen_at,
        details ->> '$.present' = 'true' as is_there
    from touched
    where event_type = 'reconciler.queue.call.observed'
),
sighted as (
    -- each of one visit, the nearest
    select
        sighting,
        any_value(seen_at) as seen_at,
        any_value(is_there) as is_there,
        min_by(
            visit,
            (
                abs(secs_between(opened_at, seen_enqueued_at)),
                abs(ms_between(opened_at, seen_enqueued_at)),
                opened_at,
                pair_id
            )
        ) as visit
    from visits
    join sightings
    on visits.life = sightings.life
    and visits.queue is not distinct from sightings.queue
    and abs(ms_between(opened_at, seen_enqueued_at)) <= 1000
    group by sighting
),
seen as (
    select
        visit,
        max(seen_at) filter (is_there) as seen_waiting_at,
        min(seen_at) filter (not is_there) as gone_by
    from sighted
    group by visit
),
