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
