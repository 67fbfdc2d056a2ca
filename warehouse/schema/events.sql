-- The warehouse's tables. No primary keys and no indexes, on purpose: rows stay in time order, and every lookup
-- carries a time bound, so that landing a batch costs the same on the first day and after years.
-- Times are TIMESTAMPTZ in UTC; durations are whole milliseconds between instants cut to the millisecond, so that
-- they add up exactly.
-- `entity` is what a fact is derived for, a leg or a conference; `entity_since` is when that entity was first heard
-- of. Landing finds the facts that a batch touches by these two, so `entity_since` is what keeps lookups bounded.

-- Texts say how they are compressed: to find out takes longer than to do it. Identifiers repeat within a call, which a
-- dictionary catches at little cost; event ids never do, nor do what a fact is known by and the leg that it is about.
-- `details` is the payload of those types of which facts need more than these columns; all of them are rare.
create table stored_events (
    event_id varchar not null using compression uncompressed,
    event_type varchar not null using compression dictionary,
    occurred_at timestamptz not null,
    occurred_at_source varchar not null using compression dictionary,
    received_at timestamptz not null,
    stored_at timestamptz not null,
    origin varchar not null using compression dictionary,
    verified boolean not null,
    entity varchar not null using compression dictionary,
    call_control_id varchar using compression dictionary,
    call_leg_id varchar using compression dictionary,
    call_session_id varchar using compression dictionary,
    connection_id varchar using compression dictionary,
    conference_id varchar using compression dictionary,
    queue varchar using compression dictionary,
    direction varchar using compression dictionary,
    from_number varchar using compression dictionary,
    to_number varchar using compression dictionary,
    reason varchar using compression dictionary,
    hangup_source varchar using compression dictionary,
    position integer,
    reported_wait_secs integer,
    details varchar using compression zstd,
    body varchar not null using compression zstd,
    log_partition integer not null,
    log_offset bigint not null
);

-- The events whose id another event has, with other contents, and counts: they are in `stored_events` only.
create table contradictions (
    event_id varchar not null,
    entity varchar not null,
    event_type varchar not null,
    occurred_at timestamptz not null,
    found_at timestamptz not null,
    log_partition integer not null,
    log_offset bigint not null
);

-- The events that are equal to another in everything but their id, which counts: they are in `stored_events` only.
create table told_twice (
    event_id varchar not null,
    entity varchar not null,
    event_type varchar not null,
    occurred_at timestamptz not null,
    found_at timestamptz not null,
    log_partition integer not null,
    log_offset bigint not null
);

-- The events whose time is years away from their receipt and from all that came with them.
create table stray_events (
    event_id varchar not null,
    event_type varchar not null,
    occurred_at timestamptz not null,
    received_at timestamptz not null,
    found_at timestamptz not null,
    log_partition integer not null,
    log_offset bigint not null
);

-- The events that were told again in a better way than first: by a webhook, say, after the reconciler. `content` is a
-- digest of what they say.
create table better_origins (
    event_id varchar not null,
    content varchar not null,
    origin varchar not null,
    log_partition integer not null,
    log_offset bigint not null
);

-- The events as others read them: with Telnyx's payload, taken from the body when it is asked for. A generated column
-- would do the same, but DuckDB computes those on every insert too, to see whether they can be computed.
create view events as
select
    * exclude (details, body, log_partition, log_offset),
    coalesce(
        json_extract(body, '$.data.payload'),
        json_extract(body, '$.payload'),
        json_extract(body, '$.metadata.event.payload'),
        json_extract(body, '$.webhook.payload')
    ) as payload,
    body,
    log_partition,
    log_offset
from stored_events
where (log_partition, log_offset) not in (select (log_partition, log_offset) from contradictions)
and (log_partition, log_offset) not in (select (log_partition, log_offset) from told_twice);

create table rejected (
    reason varchar not null,
    received_at timestamptz not null,
    stored_at timestamptz not null,
    origin varchar not null,
    verified boolean not null,
    body blob not null using compression zstd,
    log_partition integer not null,
    log_offset bigint not null
);

-- What is agreed for each queue from a date on, for the views: as the configuration of the process that lands says. A
-- queue of null is every queue that has no row of its own; a date of null is ever since.
create table queue_definitions (
    queue varchar,
    effective_from timestamptz,
    threshold_ms bigint not null,
    short_abandon_ms bigint not null,
    target double not null,
    variant varchar not null,
    timezone varchar not null
);

-- How far each partition of the log has landed, stored in the same transaction as what landed.
create table log_positions (
    log_partition integer not null,
    log_offset bigint not null,
    landed_at timestamptz not null
);

-- The connections on which bridges are heard: there, a queue's bridge without a `call.bridged` is one that failed.
create table bridged_connections (
    connection_id varchar not null
);

-- The ids of events that carry no time of their own, with the receipt time that stands in for it.
create table undated_events (
    event_id varchar not null,
    occurred_at timestamptz not null
);

-- The events of legs, and the joins of legs in conferences, that carry `call_leg_id` alone, and the leg that each is of as
-- far as is known.
create table legs_without_control (
    event_id varchar not null,
    call_leg_id varchar not null,
    occurred_at timestamptz not null,
    entity varchar not null
);

-- That a leg joined a conference, as an event of that leg: a copy of what `stored_events` has as the conference's.
create table participant_joins (
    event_id varchar not null,
    event_type varchar not null,
    occurred_at timestamptz not null,
    entity varchar not null,
    call_control_id varchar,
    call_leg_id varchar,
    call_session_id varchar,
    connection_id varchar,
    conference_id varchar,
    queue varchar,
    direction varchar,
    from_number varchar,
    to_number varchar,
    reason varchar,
    hangup_source varchar,
    position integer,
    reported_wait_secs integer,
    details varchar,
    origin varchar not null,
    log_partition integer not null,
    log_offset bigint not null
);

-- The entities that are open although they began before `warehouse.open_before`, or that were silent for more than a
-- day: in which quarters of an hour something was heard of them. There may be some that are open no more.
create table open_entities (
    entity varchar not null,
    entity_since timestamptz not null,
    until timestamptz not null,
    quarters bigint[] not null,
    is_silent boolean not null,
    noted_at timestamptz not null
);

-- One row: which schema this is, how long a visit may last before it counts as unknown, the clock that the facts were
-- last judged by, and the time before which `open_entities` names all that are open.
create table warehouse (
    schema_version integer not null,
    longest_wait_ms bigint,
    judged_at timestamptz,
    open_before timestamptz
);

-- By which definitions the facts were derived, as digests of them: more than one where the definitions changed and no
-- rebuild has brought all facts to the newest.
create table fact_definitions (
    digest varchar not null
);
