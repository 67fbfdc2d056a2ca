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
