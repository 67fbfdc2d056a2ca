-- ends.sql: when each conference in `touched` was over, and who says so; needs `touched`.
--
-- The webhook counts; where there was none, the detail record does, to the second. That a conference was seen completed
-- says no time, only that it was over when that was last changed: `ended_at_latest`, where nothing better is known.
create or replace temp table ends as
with told as (
    select
        life,
        max(occurred_at) filter (event_type = 'conference.ended') as heard_at,
        -- % if observed
        max(instant(details ->> '$.ended_at')) filter (event_type = 'reconciler.conference.record.observed')
            as recorded_at,
        min(instant(details ->> '$.updated_at'))
            filter (event_type = 'reconciler.conference.observed' and details ->> '$.status' = 'completed')
            as completed_by,
        coalesce(
            bool_or(event_type = 'reconciler.conference.observed' and details ->> '$.status' = 'completed'),
            false
        ) as seen_completed
        -- % else
        null::timestamptz as recorded_at,
        null::timestamptz as completed_by,
        false as seen_completed
        -- % endif
    from touched
    where event_type in (
        'conference.ended',
        'reconciler.conference.observed',
        'reconciler.conference.record.observed'
    )
    group by life
)
select
    life,
    coalesce(heard_at, recorded_at) as ended_at,
    case
        when heard_at is not null then 'webhook'
        when recorded_at is not null then 'detail_record'
    end as ended_at_source,
    case when heard_at is null and recorded_at is null then completed_by end as ended_at_latest,
    seen_completed
from told
