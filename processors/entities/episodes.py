"""Episodes: which events of one entity belong together, so that one set of facts follows from them.

An entity's events in time order fall into stretches, parted by silences longer than `SILENCE`. A stretch belongs to the
episode of the stretch before it while that one left the entity open. An entity is over with its end: the hangup or the
bill of a leg, the end of a conference. Events after that are another episode of the same entity, and so are events more
than `MONTH` later: nothing in a call center lasts that long.

The relation of all episodes in hand is `lives`, and a row's number there is its `life`.
"""

from datetime import timedelta

import duckdb

from warehouse.query import run, value

SILENCE = timedelta(hours=24)
MONTH = timedelta(days=31)

MAY_GO_ON = """(
    stretches > 1
    or (
        not bool_or(ends_life(event_type, details))
        and bool_or(begins_life(event_type) and not is_evidence)
    )
)"""
"""Whether an episode is open, of all its events, grouped; an episode of several stretches may be."""

STRETCHES = """
    moments as (
        select
            entity,
            occurred_at,
            bool_or(is_seed) as is_seed,
            count(*) as events,
            bool_or(ends_life(event_type, details)) as ends,
            bool_or(begins_life(event_type) and not is_evidence) as begins
        from found
        where entity in (from lasting)
        group by entity, occurred_at
    ),
    parted as (
        select
            *,
            coalesce(
                epoch_us(occurred_at) - epoch_us(lag(occurred_at) over life) > $silence,
                true
            ) as is_parted
        from moments
        window life as (partition by entity order by occurred_at)
    ),
    numbered as (
        select *, count(*) filter (is_parted) over (partition by entity order by occurred_at) as nth
        from parted
    ),
    stretches as (
        select
            entity,
            nth,
            min(occurred_at) as since,
            max(occurred_at) as until,
            bool_or(is_seed) as is_seed,
            sum(events) as events,
            bool_or(ends) as ends,
            bool_or(begins) as begins
        from numbered
        group by entity, nth
    )
"""
"""Stretches (entity, nth, since, until, ...) of the entities in `lasting`, from `found`."""


def number(db: duckdb.DuckDBPyConnection) -> bool:
    """Make `lives` from `found` (`columns.COLUMNS`, is_evidence, is_seed): the episodes of entities with a seed.

    The columns of `lives`: life (a number that holds within one derivation), entity, entity_since, until, stretches,
    and revision, which counts the events of an episode. Returns whether the events of an entity span more than a day.
    """
    run(
        db,
        """
        create or replace temp table lives as
        select
            row_number() over () as life, entity, min(occurred_at) as entity_since, max(occurred_at) as until,
            1 as stretches, count(*)::integer as revision
        from found group by entity having bool_or(is_seed)
        """,
    )
    silence = _micros(SILENCE)
    if not value(
        db,
        """
        create or replace temp table lasting as
        select entity from lives where epoch_us(until) - epoch_us(entity_since) > ?
        """,
        [silence],
    ):
        return False
    run(
        db,
        f"""
        create or replace temp table lives as
        with {STRETCHES},
        eras as (
            -- what was begun before an end, or a month ago, leaves nothing open now
            select
                *,
                coalesce(epoch_us(since) - epoch_us(lag(until) over entity) > $month, false) as is_far,
                coalesce(lag(ends) over entity, false) as is_after_end
            from stretches
            window entity as (partition by entity order by nth)
        ),
        numbered_eras as (
            select *, count(*) filter (is_far or is_after_end) over (partition by entity order by nth) as era
            from eras
        ),
        joined as (
            select
                *,
                not is_far
                and not is_after_end
                and coalesce(
                    bool_or(begins) over (
                        partition by entity, era
                        order by nth
                        rows between unbounded preceding and 1 preceding
                    ),
                    false
                ) as goes_on
            from numbered_eras
        ),
        grouped as (
            select *, count(*) filter (not goes_on) over (partition by entity order by nth) as life
            from joined
        )
        select row_number() over () as life, entity, entity_since, until, stretches, revision
        from (
            select entity, entity_since, until, stretches, revision
            from lives
            anti join lasting using (entity)
            union all
            select entity, min(since), max(until), count(*), sum(events)::integer
            from grouped
            group by entity, life
        )
        """,
        {"silence": silence, "month": _micros(MONTH)},
    )
    return True


def gather(db: duckdb.DuckDBPyConnection) -> None:
    """Make `touched`: the events of `found` that belong to `lives`, each with its life in place of its entity.

    Each event has the roles of its type, too: to compare a text with ten others takes as long as to group by it.
    """
    run(
        db,
        """
        create or replace temp table touched as
        select
            found.* exclude (entity, is_seed),
            is_of_call,
            is_of_pair and not is_evidence as is_of_pair,
            is_of_conference and not is_evidence as is_of_conference,
            is_detailed,
            life
        from found
        join roles using (event_type)
        join lives on found.entity = lives.entity and found.occurred_at between lives.entity_since and lives.until
        """,
    )


def _micros(span: timedelta) -> int:
    return span // timedelta(microseconds=1)
