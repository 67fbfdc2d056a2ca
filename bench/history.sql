-- history.sql: $calls calls before $tip, one every 16 s, ten events each, and the facts that follow from them; and calls
-- that began in the month before and never ended, as many as the parameter "open" says.
create temp table call_numbers as
select
    i,
    md5('leg' || i)::uuid::varchar as leg,
    md5('session' || i)::uuid::varchar as session,
    md5('room' || i)::uuid::varchar as room,
    $tip - to_seconds(16 * ($calls - i)) as began
from range($calls) as numbers (i);

insert into stored_events (
    event_id, event_type, occurred_at, occurred_at_source, received_at, stored_at, origin, verified, entity,
    call_control_id, call_leg_id, call_session_id, connection_id, conference_id, queue, direction, from_number,
    to_number, reason, hangup_source, position, reported_wait_secs, body, log_partition, log_offset
)
select
    md5(i || '/' || kind.n)::uuid::varchar,
    kind.event_type,
    began + to_seconds(kind.n * 20),
    'occurred_at',
    began + to_seconds(kind.n * 20),
    began + to_seconds(kind.n * 20),
    'webhook',
    true,
    if(kind.event_type like 'conference.%', room, 'v3:' || leg),
    'v3:' || leg,
    leg,
    session,
    '2963572552552678752',
    if(kind.event_type like 'conference.%', room, null),
    if(kind.event_type in ('call.enqueued', 'call.dequeued'), 'queue ' || i % 5, null),
    if(kind.event_type = 'call.initiated', 'incoming', null),
    if(kind.event_type in ('call.initiated', 'call.answered', 'call.bridged', 'call.hangup'), '+12025550133', null),
    if(kind.event_type in ('call.initiated', 'call.answered', 'call.bridged', 'call.hangup'), '+12025550131', null),
    case kind.event_type
        when 'call.dequeued' then 'bridged'
        when 'conference.ended' then 'all_left'
        when 'call.hangup' then 'normal_clearing'
    end,
    if(kind.event_type = 'call.hangup', 'caller', null),
    if(kind.event_type = 'call.enqueued', 1, null),
    if(kind.event_type = 'call.dequeued', 20, null),
    '{"data":{"record_type":"event","event_type":"' || kind.event_type || '","id":"'
    || md5(i || '/' || kind.n)::uuid || '","occurred_at":"' || began || '","payload":{"call_control_id":"v3:' || leg
    || '","call_leg_id":"' || leg || '","call_session_id":"' || session
    || '","client_state":null,"connection_id":"2963572552552678752","from":"+12025550133","to":"+12025550131"}},'
    || '"meta":{"attempt":1,"delivered_to":"https://example.com/webhooks/telnyx"}}',
    0,
    i * 10 + kind.n - 100000000000
from call_numbers, (
    select unnest([
        {'n': 0, 'event_type': 'call.initiated'},
        {'n': 1, 'event_type': 'call.answered'},
        {'n': 2, 'event_type': 'call.enqueued'},
        {'n': 3, 'event_type': 'call.dequeued'},
        {'n': 4, 'event_type': 'call.bridged'},
        {'n': 5, 'event_type': 'conference.created'},
        {'n': 6, 'event_type': 'conference.participant.joined'},
        {'n': 7, 'event_type': 'conference.participant.left'},
        {'n': 8, 'event_type': 'conference.ended'},
        {'n': 9, 'event_type': 'call.hangup'}
    ]) as kind
);

insert into queue_visits (
    visit_id, call_control_id, call_leg_id, call_session_id, connection_id, queue, from_number, to_number, enqueued_at,
    enqueued_at_source, left_at, wait_ms, in_queue_ms, reported_wait_secs, reason, outcome, answer_confirmed, position_in, position_out,
    revision, entity, entity_since
)
select
    md5(i || '/2')::uuid::varchar, 'v3:' || leg, leg, session, '2963572552552678752', 'queue ' || i % 5,
    '+12025550133', '+12025550131', began + to_seconds(40), 'observed', began + to_seconds(60), 20000, 20000, 20, 'bridged', 'answered', true, 1, 1, 4,
    'v3:' || leg, began
from call_numbers;

insert into conferences (
    conference_id, name, connection_id, call_session_id, created_at, ended_at, duration_ms, status, end_reason,
    end_reason_source, participants, unique_participants, peak_participants, participant_ms, floor_changes, recordings,
    revision, entity, entity_since
)
select
    room, null, '2963572552552678752', session, began + to_seconds(100), began + to_seconds(160), 60000, 'completed',
    'all_left', 'webhook', 1, 1, 1, 20000, 0, 0, 4, room, began + to_seconds(100)
from call_numbers;

insert into participant_stays (
    stay_id, conference_id, call_control_id, call_leg_id, call_session_id, joined_at, left_at, duration_ms, floor_ms,
    revision, entity, entity_since
)
select
    md5(i || '/6')::uuid::varchar, room, 'v3:' || leg, leg, session, began + to_seconds(120), began + to_seconds(140),
    20000, 0, 2, room, began + to_seconds(100)
from call_numbers;

insert into calls (
    call_leg_id, call_control_id, call_session_id, connection_id, direction, from_number, to_number, initiated_at,
    answered_at, bridged_at, ended_at, status, hangup_cause, hangup_source, ring_ms, talk_ms, holds, hold_ms, revision,
    entity, entity_since
)
select
    leg, 'v3:' || leg, session, '2963572552552678752', 'incoming', '+12025550133', '+12025550131', began,
    began + to_seconds(20), began + to_seconds(80), began + to_seconds(180), 'ended', 'normal_clearing', 'caller',
    20000, 100000, 0, 0, 4, 'v3:' || leg, began
from call_numbers;

insert into participant_joins (
    event_id, event_type, occurred_at, entity, call_control_id, call_leg_id, call_session_id, connection_id,
    conference_id, origin, log_partition, log_offset
)
select
    md5(i || '/6')::uuid::varchar, 'conference.participant.joined', began + to_seconds(120), 'v3:' || leg, 'v3:' || leg,
    leg, session, '2963572552552678752', room, 'webhook', 0, i * 10 + 6 - 100000000000
from call_numbers;

create temp table open_numbers as
select
    i,
    md5('open leg' || i)::uuid::varchar as leg,
    $tip - interval 30 day + to_seconds(28 * 86400 * i / $open) as began
from range($open) as numbers (i);

insert into stored_events (
    event_id, event_type, occurred_at, occurred_at_source, received_at, stored_at, origin, verified, entity,
    call_control_id, call_leg_id, call_session_id, connection_id, direction, body, log_partition, log_offset
)
select
    md5('open' || i)::uuid::varchar, 'call.initiated', began, 'occurred_at', began, began, 'webhook', true, 'v3:' || leg,
    'v3:' || leg, leg, leg, '2963572552552678752', 'incoming', '{}', 0, i - 200000000000
from open_numbers;

insert into calls (
    call_leg_id, call_control_id, call_session_id, connection_id, direction, initiated_at, status, holds, hold_ms,
    revision, entity, entity_since
)
select leg, 'v3:' || leg, leg, '2963572552552678752', 'incoming', began, 'ringing', 0, 0, 1, 'v3:' || leg, began
from open_numbers;

insert into open_entities
select 'v3:' || leg, began, began, [epoch_us(began) // 900000000], false, $tip
from open_numbers;

update warehouse set open_before = $tip - interval 8 hour;

drop table open_numbers;

insert into bridged_connections values ('2963572552552678752');

drop table call_numbers
