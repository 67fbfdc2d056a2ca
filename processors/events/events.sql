-- events.sql: what each record of the batch says, from bytes to columns.
--
-- `delivered` is the batch: log_partition, log_offset, received_at, origin, verified, rejection, text.
-- Fails on a text that is not JSON, unless it is told that there may be some.
-- Telnyx wraps an event in five ways: {"data": event}, the bare event (floor changes, and v1 with `created_at`), an
-- item of /call_events ({"metadata": {"event": event}}) and one of /webhook_deliveries ({"webhook": event}).
-- `occurred_at` sits in the event or in its payload; v1 has `created_at`; a saved recording has only its own end.
-- What the common types say has columns; of the types that are rare and say much, `details` keeps the payload.
with documents as (
    select
        delivered.* exclude (text, body),
        text is not null as is_text,
        case when rejection is null and ($is_all_json or json_valid(text)) then text end as document
    from delivered
),
unwrapped as (
    select
        *,
        case
            -- how nearly all of them look: one parse instead of two
            when starts_with(document, '{"data":{') then json_transform(document, '{"data":' || event_shape() || '}').data
            else json_transform(
                coalesce(
                    nullif(json_extract(document, '$.data'), 'null'),
                    case
                        when json_extract(document, '$.event_type') is null
                        then coalesce(
                            nullif(json_extract(document, '$.metadata.event'), 'null'),
                            nullif(json_extract(document, '$.webhook'), 'null')
                        )
                    end,
                    document
                ),
                event_shape()
            )
        end as event
    from documents
),
read as (
    select
        *,
        id(event.id) as event_id,
        -- v1 writes call_initiated where v2 writes call.initiated
        case
            when contains(event.event_type, '.') then event.event_type
            else replace(nullif(event.event_type, ''), '_', '.')
        end as event_type,
        dated(event.occurred_at) as event_says,
        dated(event.payload.occurred_at) as payload_says,
        dated(event.created_at) as created_says,
        dated(event.payload.recording_ended_at) as recording_says
    from unwrapped
),
dated as (
    select
        *,
        believable(event_says) as in_event,
        believable(payload_says) as in_payload,
        believable(created_says) as in_created,
        believable(recording_says) as in_recording
    from read
)
select
    event_id,
    event_type,
    coalesce(in_event, in_payload, in_created, in_recording, received_at) as occurred_at,
    case
        when in_event is not null then 'occurred_at'
        when in_payload is not null then 'payload.occurred_at'
        when in_created is not null then 'created_at'
        when in_recording is not null then 'payload.recording_ended_at'
        else 'received_at'
    end as occurred_at_source,
    received_at,
    origin,
    verified,
    case
        when event_type like 'conference.%' or event_type like 'reconciler.conference.%'
        then coalesce(id(event.payload.conference_id), leg_named_by(event.payload), event_id)
        else coalesce(leg_named_by(event.payload), id(event.payload.conference_id), event_id)
    end as entity,
    id(event.payload.call_control_id) as call_control_id,
    id(event.payload.call_leg_id) as call_leg_id,
    id(event.payload.call_session_id) as call_session_id,
    id(event.payload.connection_id) as connection_id,
    id(event.payload.conference_id) as conference_id,
    event.payload.queue as queue,
    event.payload.direction as direction,
    event.payload."from" as from_number,
    event.payload."to" as to_number,
    if(event_type = 'call.hangup', event.payload.hangup_cause, event.payload.reason) as reason,
    event.payload.hangup_source as hangup_source,
    try_cast(coalesce(event.payload.current_position, event.payload.queue_position) as integer) as position,
    believable_secs(event.payload.wait_time_secs) as reported_wait_secs,
    case when is_detailed(event_type) then payload_in(document)::varchar end as details,
    case
        when rejection is not null then rejection
        when not is_text then 'not_utf8'
        when document is null then 'not_json'
        when event_id is null then 'no_event_id'
        when event_type is null then 'no_event_type'
    end as rejection,
    log_partition,
    log_offset
from dated
