-- stays.sql: who was in which conference, from when to when; needs `touched`, `pairs` and `ends`.
--
-- A stay ends with that leg's next leave, with the conference at the latest; `left_at` is null where nobody said when.
-- A detail record says, to the second, when one stay began or ended, the nearest first; where none is left, it is a stay
-- of its own. Two records, of its join and of a later leave, are of two stays. A record's leave counts where it lies in
-- an earlier second than the conference's end. A person seen there, of whom nothing else says more, has a stay without
-- times. `left_at_latest`: the leg joined again. `leave_at`: it left by itself. `over_at`: it is counted until then.
create or replace temp table stays as
with
-- % if observed
records as (
    select
        life,
        coalesce(call_leg_id, call_control_id) as leg,
        max_by(
            {
                'record': event_id,
                'call_session_id': call_session_id,
                'call_leg_id': call_leg_id,
                'conference_id': conference_id,
                'joined_at': instant(details ->> '$.joined_at'),
                'left_at': instant(details ->> '$.left_at')
            },
            (occurred_at, event_id)
        ) as told
    from touched
    where event_type = 'reconciler.conference.participant.record.observed'
    and coalesce(call_leg_id, call_control_id) is not null
    and conference_id is not null
    group by life, leg, coalesce(details ->> '$.record_id', event_id)
),
-- % endif
-- % if observed
walked as (
-- % else
heard as (
-- % endif
    select
        life, pair_id, leg, conference_id, call_control_id, call_leg_id, call_session_id, opened_at, closed_at,
        reopened_at, closing
    from pairs
    where kind = 'stay'
),
-- % if observed
nearest as (
    -- which record tells best of either end of what was heard
    select
        life,
        pair_id,
        told,
        case when abs(ms_between(opened_at, told.joined_at)) <= 2000 then abs(secs_between(opened_at, told.joined_at)) end
            as joins,
        case when abs(ms_between(closed_at, told.left_at)) <= 2000 then abs(secs_between(closed_at, told.left_at)) end
            as leaves,
        joins = min(joins) over (partition by life, pair_id) as tells_of_join,
        leaves = min(leaves) over (partition by life, pair_id) as tells_of_leave
    from walked
    join records using (life, leg)
),
parted as (
    -- one tells of the join and another, that began when it was over, of the leave: a leave and a join between were lost
    select life, pair_id
    from nearest
    group by life, pair_id
    having bool_or(tells_of_join and tells_of_leave) is not true
    and min(told.left_at) filter (tells_of_join) <= max(told.joined_at) filter (tells_of_leave)
),
heard as (
    select * replace (if((life, pair_id) in (from parted), null, closed_at) as closed_at)
    from walked
    union all
    select
        walked.life,
        event_id,
        leg,
        touched.conference_id,
        touched.call_control_id,
        touched.call_leg_id,
        touched.call_session_id,
        null,
        closed_at,
        null,
        closing
    from walked
    join parted using (life, pair_id)
    join touched on closing = touched.rowid
),
near as (
    select
        life,
        leg,
        pair_id,
        told,
        coalesce(opened_at, closed_at) as heard_at,
        -- both ends together; one that either does not tell counts as far as may be
        coalesce(abs(secs_between(opened_at, told.joined_at)), 2)
        + coalesce(abs(secs_between(closed_at, told.left_at)), 2) as secs_apart,
        coalesce(abs(ms_between(opened_at, told.joined_at)), 2000)
        + coalesce(abs(ms_between(closed_at, told.left_at)), 2000) as ms_apart
    from heard
    join records using (life, leg)
    where abs(ms_between(opened_at, told.joined_at)) <= 2000
    or abs(ms_between(closed_at, told.left_at)) <= 2000
),
matches as (
    select
        life,
        unnest(
            one_to_one(
                list(
                    {'one': pair_id, 'other': told.record, 'told': told}
                    order by
                        secs_apart, ms_apart, heard_at, pair_id, told.joined_at, told.left_at, told.record
                )
            )
        ) as match
    from near
    group by life, leg
),
matched as (
    select life, match.one as pair_id, match.told as told
    from matches
),
sightings as (
    -- each participant as it was last seen
    select
        life,
        coalesce(call_leg_id, call_control_id) as leg,
        max_by(
            {
                'event_id': event_id,
                'call_control_id': call_control_id,
                'call_leg_id': call_leg_id,
                'conference_id': conference_id,
                'gone_by': case when details ->> '$.status' = 'left' then instant(details ->> '$.updated_at') end
            },
            (instant(details ->> '$.updated_at'), event_id)
        ) as seen
    from touched
    where event_type = 'reconciler.conference.participant.observed'
    and coalesce(call_leg_id, call_control_id) is not null
    and conference_id is not null
    group by life, leg, coalesce(details ->> '$.participant_id', event_id)
),
seen as (
    select
        life,
        leg,
        min_by(seen, seen.event_id) as seen,
        case when bool_and(seen.gone_by is not null) then max(seen.gone_by) end as gone_by
    from sightings
    group by life, leg
),
gathered as (
    select
        heard.life,
        heard.pair_id as stay_id,
        heard.leg,
        heard.conference_id,
        heard.call_control_id,
        heard.call_leg_id,
        heard.call_session_id,
        heard.opened_at,
        heard.closed_at,
        heard.reopened_at,
        case
            when heard.opened_at is not null then heard.opened_at
            when told.joined_at <= heard.closed_at then told.joined_at
        end as joined_at,
        told.left_at as recorded_left_at,
        told.record
    from heard
    left join matched using (life, pair_id)
    union all
    select
        life,
        told.record,
        leg,
        told.conference_id,
        null,
        told.call_leg_id,
        told.call_session_id,
        null,
        null,
        null,
        told.joined_at,
        told.left_at,
        told.record
    from records
    where (life, told.record) not in (select (life, told.record) from matched)
    union all
    select
        life,
        seen.event_id,
        leg,
        seen.conference_id,
        seen.call_control_id,
        seen.call_leg_id,
        null,
        null,
        null,
        null,
        null,
        null,
        null
    from seen
    where (life, leg) not in (select (life, leg) from heard)
    and (life, leg) not in (select (life, leg) from records)
),
-- % else
gathered as (
    select
        life,
        pair_id as stay_id,
        leg,
        conference_id,
        call_control_id,
        call_leg_id,
        call_session_id,
        opened_at,
        closed_at,
        reopened_at,
        opened_at as joined_at,
        null::timestamptz as recorded_left_at,
        null::varchar as record,
        null::timestamptz as gone_by
    from heard
),
-- % endif
bounded as (
    select
        gathered.*,
        case when ended_at >= joined_at or (joined_at is null and closed_at is not null) then ended_at end as ended_at,
        -- cut to the second, it may seem to lie before the join
        case
            when joined_at is null or secs_between(joined_at, recorded_left_at) >= 0
            then greatest(recorded_left_at, joined_at)
        end as leaves_at,
        least(
            reopened_at,
            case when gone_by >= joined_at or joined_at is null then gone_by end,
            case when ended_at_latest >= joined_at or joined_at is null then ended_at_latest end,
            case when joined_at is null then ended_at end
        ) as latest
    from gathered
    left join ends using (life)
    -- % if observed
    left join seen using (life, leg)
    -- % endif
),
judged as (
    select
        *,
        case
            when closed_at is not null and (ended_at < closed_at) is not true then 'webhook'
            when closed_at is not null then 'conference'
            when leaves_at is not null
            and (
                ended_at is null
                or reopened_at < ended_at
                or date_trunc('second', leaves_at) < date_trunc('second', ended_at)
            ) then 'detail_record'
            when (reopened_at < ended_at) is not true and ended_at is not null then 'conference'
        end as left_at_source
    from bounded
)
select
    life,
    stay_id,
    leg,
    conference_id,
    call_control_id,
    call_leg_id,
    call_session_id,
    joined_at,
    case
        when opened_at is not null then 'webhook'
        when joined_at is not null then 'detail_record'
    end as joined_at_source,
    case left_at_source
        when 'webhook' then closed_at
        when 'detail_record' then leaves_at
        when 'conference' then ended_at
    end as left_at,
    left_at_source,
    case when left_at_source is null then latest end as left_at_latest,
    case left_at_source
        when 'webhook' then closed_at
        when 'detail_record' then leaves_at
    end as leave_at,
    coalesce(
        case left_at_source
            when 'webhook' then closed_at
            when 'detail_record' then leaves_at
            when 'conference' then ended_at
        end,
        latest,
        'infinity'::timestamptz
    ) as over_at
from judged
