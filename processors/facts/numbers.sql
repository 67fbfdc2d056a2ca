-- numbers.sql: who called whom, for each life of a leg; needs `touched`.
--
-- All from one event: the first `call.initiated` that names a number, else the first other event of the leg that does.
create or replace temp table numbers as
with named as (
    select
        life,
        min_by(
            {
                'from_number': from_number,
                'to_number': to_number,
                'event_type': event_type,
                'occurred_at': occurred_at
            },
            (occurred_at, event_id)
        ) as told
    from touched
    where event_type = 'call.initiated'
    and (from_number is not null or to_number is not null)
    group by life
),
named_later as (
    select
        life,
        min_by(
            {
                'from_number': from_number,
                'to_number': to_number,
                'event_type': event_type,
                'occurred_at': occurred_at
            },
            (occurred_at, event_id)
        ) as told
    from touched
    where is_of_call
    and event_type <> 'call.initiated'
    and (from_number is not null or to_number is not null)
    and life not in (select life from named)
    group by life
)
select
    life,
    told.from_number,
    told.to_number,
    told.event_type as told_by,
    told.occurred_at as told_at
from (
    from named
    union all
    from named_later
)
