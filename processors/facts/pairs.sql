-- pairs.sql: what opens, matched with what closes it: an enqueue with its dequeue, a join with its leave, a hold with
-- its unhold, the start of something played or spoken with its end.
--
-- Needs `touched`: whole lives, each event once. Gives a row for each opening with the closing that ends it, and one
-- for each closing that nothing opened; `opening` and `closing` are rows of `touched`. A leg cannot be twice in one
-- queue or conference at a moment, nor held twice, nor is one medium played to it twice at once; so for each leg and
-- place, in time order:
--   * a closing ends what is open; an opening while something is open means that a closing was lost;
--   * but a dequeue is of a later visit where its own seconds prove that it began after the leg had been elsewhere, or
--     where it has no seconds and the leg entered another queue meanwhile; unless an enqueue comes at its very instant;
--   * at one instant, what is open is closed before something new opens; with nothing open, an opening may be closed
--     at the very instant.
-- Whether something is open before an instant follows from the last earlier instant at which openings and closings
-- were not equally many, so no row needs to know the one before it.
create or replace temp table pairs as
with
-- % if observed
seen as (
    -- a call that was seen waiting says when it was enqueued
    select
        life,
        coalesce(call_leg_id, call_control_id) as leg,
        queue,
        instant(details ->> '$.enqueued_at') as enqueued_at,
        min_by(rowid, event_id) as event
    from touched
    where event_type = 'reconciler.queue.call.observed'
    and details ->> '$.present' = 'true'
    and coalesce(call_leg_id, call_control_id) is not null
    and instant(details ->> '$.enqueued_at') is not null
    group by life, leg, queue, enqueued_at
),
near as (
    select
        seen.*,
        heard.rowid as heard_event,
        (
            abs(secs_between(heard.occurred_at, seen.enqueued_at)),
            abs(ms_between(heard.occurred_at, seen.enqueued_at)),
            heard.occurred_at,
            heard.event_id,
            seen.enqueued_at
        ) as place
    from seen
    join touched as heard
    on heard.event_type = 'call.enqueued'
    and heard.life = seen.life
    and coalesce(heard.call_leg_id, heard.call_control_id) = seen.leg
    and heard.queue is not distinct from seen.queue
    and abs(ms_between(heard.occurred_at, seen.enqueued_at)) <= 1000
),
told_twice as (
    -- that counts where no webhook told it: each webhook tells of one, the nearest first
    select unnest(one_to_one(list({'one': heard_event, 'other': event} order by place))).other as event
    from near
    group by life, leg, queue
),
-- % endif
told as (
    select rowid as event, kind_of_pair(event_type) as kind, occurred_at as moment, *
    from touched
    where is_of_pair
    and (event_type like 'call.%' or conference_id is not null)
    -- % if observed
    union all
    select touched.rowid, 'visit', seen.enqueued_at, touched.*
    from touched
    join seen on touched.rowid = seen.event
    where seen.event not in (select event from told_twice)
    -- % endif
),
edges as (
    select
        life,
        kind,
        -- which leg in which place, as a number to sort by; within one life there are a handful
        hash(
            kind,
            -- what a whole conference hears is no leg's
            if(
                kind in ('conference.playback', 'conference.speak'),
                null,
                coalesce(call_leg_id, call_control_id, event_id)
            ),
            case
                when kind = 'visit' then queue
                when kind = 'stay' then conference_id
                when kind like '%.playback' then coalesce(details ->> '$.media_url', details ->> '$.media_name')
            end
        ) as side,
        moment,
        event_type in (
            'call.enqueued',
            'conference.participant.joined',
            'call.hold',
            'reconciler.queue.call.observed'
        )
        or event_type like '%.started' as opens,
        event
    from told
),
crowded as (
    -- sides on which something happened twice at one instant: only there does order need thought
    select distinct life, side
    from edges
    group by life, side, moment
    having count(*) > 1
),
counted as (
    select
        edges.*,
        count(*) filter (opens) over instant as openings,
        count(*) filter (not opens) over instant as closings,
        row_number() over (partition by life, side, moment, opens order by event_id) as turn
    from edges
    semi join crowded using (life, side)
    join (select rowid as event, event_id from touched) using (event)
    window instant as (partition by life, side, moment)
),
stated as (
    select
        *,
        coalesce(
            last_value(
                case when openings <> closings then openings > closings end
                ignore nulls
            ) over (
                partition by life, side
                order by moment
                groups between unbounded preceding and 1 preceding
            ),
            false
        ) as already_open
    from counted
),
ordered as (
    select life, side, moment, opens, event, 1 as turn, false as second
    from edges
    anti join crowded using (life, side)
    union all
    select life, side, moment, opens, event, turn, opens = already_open
    from stated
),
followed as (
    select
        life,
        opens,
        event,
        lag(opens) over walk as previous_opens,
        lead(opens) over walk as next_opens,
        lead(event) over walk as next_event,
        lead(moment) over walk as next_moment,
        lead(moment, 2) over walk = next_moment and lead(opens, 2) over walk as reopens_at_once
    from ordered
    window walk as (partition by life, side order by moment, turn, second)
),
paired as (
    select
        life,
        case when opens then event end as opening,
        case when not opens then event when not next_opens then next_event end as closing,
        -- when the same leg opened here again although nothing had closed this one
        case when opens and next_opens then next_moment end as reopened_at,
        coalesce(reopens_at_once, false) as reopens_at_once
    from followed
    where opens or previous_opens is not true
),
dequeued as (
    select
        paired.life,
        opening,
        opened.moment as opened_at,
        opened.queue,
        closed.moment as closed_at,
        closed.reported_wait_secs
    from paired
    join told as opened on paired.opening = opened.event
    join told as closed on paired.closing = closed.event
    where closed.event_type = 'call.dequeued'
    and not reopens_at_once
),
strayed as (
    select opening
    from (
        -- Telnyx cuts its seconds
        select life, opening, opened_at, closed_at - to_seconds(reported_wait_secs + 1) as began_after
        from dequeued
        where began_after > opened_at
    ) as proven
    semi join (
        select life, moment
        from told
        where kind = 'visit'
        union all
        select life, occurred_at
        from touched
        where event_type = 'call.bridged'
    ) as elsewhere
    on proven.life = elsewhere.life
    and opened_at < elsewhere.moment
    and elsewhere.moment <= began_after
    union all
    select opening
    from dequeued
    semi join (
        select life, moment, queue
        from told
        where event_type in ('call.enqueued', 'reconciler.queue.call.observed')
    ) as entered
    on dequeued.life = entered.life
    and dequeued.queue is distinct from entered.queue
    and opened_at < entered.moment
    and entered.moment < closed_at
    where reported_wait_secs is null
),
matched as (
    select life, opening, if(opening in (from strayed), null, closing) as closing, reopened_at
    from paired
    union all
    select life, null, closing, null
    from paired
    where opening in (from strayed)
)
select
    matched.life,
    coalesce(opened.kind, closed.kind) as kind,
    coalesce(
        opened.call_leg_id, opened.call_control_id, closed.call_leg_id, closed.call_control_id,
        opened.event_id, closed.event_id
    ) as leg,
    coalesce(opened.queue, closed.queue) as queue,
    coalesce(opened.conference_id, closed.conference_id) as conference_id,
    coalesce(opened.connection_id, closed.connection_id) as connection_id,
    coalesce(opened.call_control_id, closed.call_control_id) as call_control_id,
    coalesce(opened.call_leg_id, closed.call_leg_id) as call_leg_id,
    coalesce(opened.call_session_id, closed.call_session_id) as call_session_id,
    coalesce(opened.event_id, closed.event_id) as pair_id,
    opened.moment as opened_at,
    coalesce(opened.event_type = 'reconciler.queue.call.observed', false) as opened_by_rest,
    opened.position as position_in,
    closed.occurred_at as closed_at,
    closed.position as position_out,
    closed.reason,
    closed.reported_wait_secs,
    matched.opening,
    matched.closing,
    reopened_at
from matched
left join told as opened on matched.opening = opened.event
left join told as closed on matched.closing = closed.event
