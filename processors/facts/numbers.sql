-- numbers.sql: who called whom, for each life of a leg; needs `touched`.
--
-- All from one event: the first `call.initiated` that names a number, else the first other event of the leg that does.
create or replace temp table numbers as
with begun as (
    select
        life,
        any_value(from_number) as from_number,
        any_value(to_number) as to_number,
        count(*) as times
    from touched
    where event_type = 'call.initiated'
    and (from_number is not null or to_number is not null)
    group by life
),
others as (
    -- to ask of every leg which of its events is the first would take longer than all else
    select
        life,
        min_by(
            {'from_number': from_number, 'to_number': to_number},
            (event_type <> 'call.initiated', occurred_at, event_id)
        ) as told
    from touched
    where is_of_call
    and (from_number is not null or to_number is not null)
    and life not in (select life from begun where times = 1)
    group by life
)
select life, from_number, to_number
from begun
where times = 1
union all
select life, told.from_number, told.to_number
from others
