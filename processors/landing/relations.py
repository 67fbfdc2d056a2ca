"""The relations through which the steps of landing hand on rows: temporary tables and views of one connection.

Each is declared here once. Steps name relations in their statements; a test watches a connection and fails where a
relation is not declared, has other columns, or is written by a module that is not named here.
"""

from dataclasses import dataclass

from processors.events.columns import COLUMNS, SAID


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation: its columns in order, separated by commas; what a row is; the modules that make and change it.

    Modules are named as from `processors`. Speculation and replay make some relations for derivations of their own.
    """

    name: str
    columns: str
    row: str
    made_by: tuple[str, ...]
    changed_by: tuple[str, ...] = ()


_TIES = "call_leg_id, call_control_id, occurred_at"
_ROLES = "is_of_call, is_of_pair, is_of_conference, is_detailed"
_TOUCHED = COLUMNS.replace("entity, ", "")

RELATIONS = (
    Relation(
        "relevant_types",
        "event_type",
        "a type of event on which facts rest",
        ("events.columns",),
        ("events.columns",),
    ),
    Relation("roles", f"event_type, {_ROLES}", "the roles of such a type in facts", ("events.columns",)),
    Relation(
        "fresh",
        SAID.replace("entity", "occurred_at_source, received_at, origin, verified, entity")
        + ", details, rejection, log_partition, log_offset",
        "a record of the batch as an event, or with the reason why it is none; in the end, the new events alone",
        ("events.reading", "landing.landing", "landing.speculator"),
        ("events.rejected", "landing.duplicates", "entities.identity", "entities.conflicts"),
    ),
    Relation(
        "reopened",
        "entity, moment",
        "an entity whose facts may change although the batch has no event of it, and a time at which it has one",
        ("landing.reopening",),
        ("landing.reopening", "entities.identity", "entities.origins"),
    ),
    Relation(
        "alone",
        "event_id, call_leg_id, occurred_at, entity, is_fresh",
        "an event that carries `call_leg_id` alone, new or stored",
        ("entities.identity",),
        ("entities.identity",),
    ),
    Relation("ties", _TIES, "an event that carries both ids of a leg", ("entities.identity",), ("entities.identity",)),
    Relation(
        "moved",
        "event_id, call_leg_id, occurred_at, is_fresh, was, entity",
        "an event of `alone` that belongs to another entity than it did",
        ("entities.identity",),
    ),
    Relation(
        "known",
        "event_id, content, origin",
        "an event of `fresh` whose id is stored, as it is stored",
        ("entities.conflicts",),
        ("entities.conflicts",),
    ),
    Relation(
        "better",
        "event_id, content, origin, log_partition, log_offset",
        "a repetition within the batch that came in a better way than the first",
        ("entities.origins",),
    ),
    Relation("repeated_better", "event_id", "the id of such a repetition", ("entities.origins",)),
    Relation(
        "better_known",
        "event_id, content, origin, log_partition, log_offset, entity, occurred_at, rank",
        "an event of the batch that came in a better way than the stored one",
        ("entities.origins",),
    ),
    Relation("rivals", "event_id", "an id with several contents, of a type without facts", ("entities.conflicts",)),
    Relation("seeded", "entity", "an entity whose facts the batch may change", ("entities.history",)),
    Relation(
        "stored",
        f"{COLUMNS}, is_evidence",
        "an event that the warehouse holds of an entity in `seeded`",
        ("entities.history",),
        ("entities.history",),
    ),
    Relation("foreseen", "entity", "an entity whose facts were derived ahead, and hold", ("landing.speculation",)),
    Relation(
        "found",
        f"{COLUMNS}, is_evidence, is_seed",
        "an event, new or stored, from which facts may follow; a seed belongs to an entity to derive",
        ("entities.history", "landing.speculator"),
    ),
    Relation("lasting", "entity", "an entity whose events span more than a day", ("entities.episodes",)),
    Relation(
        "lives",
        "life, entity, entity_since, until, stretches, revision",
        "an episode of an entity: its first and last event, and how many it has",
        ("entities.episodes",),
        ("entities.conflicts", "entities.twins"),
    ),
    Relation(
        "touched",
        f"{_TOUCHED}, is_evidence, {_ROLES}, life",
        "an event of an episode in `lives`, with the roles of its type; in the end, each event once",
        ("entities.episodes",),
        ("entities.conflicts", "entities.identity", "entities.origins", "entities.twins"),
    ),
    Relation(
        "disputed",
        "event_id, entity, content, row_id, counts",
        "a version of an event whose id has several contents",
        ("entities.conflicts",),
    ),
    Relation(
        "versions",
        "event_id, entity, event_type, occurred_at, log_partition, log_offset, counts",
        "such a version with its position in the log",
        ("entities.conflicts",),
    ),
    Relation(
        "twins",
        "row_id, life, event_id, entity, occurred_at, origin, words, first_row, is_told_again, best_origin",
        "an event that equals another in everything but its id",
        ("entities.twins",),
        ("entities.twins",),
    ),
    Relation(
        "copies",
        "event_id, entity, event_type, occurred_at, log_partition, log_offset, is_told_again",
        "such an event with its position in the log",
        ("entities.twins",),
    ),
    Relation("life_origins", "life, origins", "the ways in which the events of an episode came", ("entities.origins",)),
    Relation(
        "pairs",
        "life, kind, leg, queue, conference_id, connection_id, call_control_id, call_leg_id, call_session_id, pair_id, "
        "opened_at, opened_by_rest, position_in, closed_at, position_out, reason, reported_wait_secs, opening, "
        "closing, reopened_at",
        "an event that begins a stretch of time (a visit, a stay, a hold) and the event that ends it",
        ("facts.derivation",),
    ),
    Relation("numbers", "life, from_number, to_number", "the numbers of a call", ("facts.derivation",)),
    Relation(
        "ends",
        "life, ended_at, ended_at_source, ended_at_latest, seen_completed",
        "the end of a conference",
        ("facts.derivation",),
    ),
    Relation(
        "stays",
        "life, stay_id, leg, conference_id, call_control_id, call_leg_id, call_session_id, joined_at, "
        "joined_at_source, left_at, left_at_source, left_at_latest, leave_at, over_at",
        "the time that a leg spent in a conference",
        ("facts.derivation",),
    ),
    Relation(
        "changes",
        "row_id, fact",
        "a fact that is not stored as it is now (no row_id), or a stored row that no longer holds (no fact)",
        ("landing.replacing", "landing.speculation"),
    ),
)
"""In the order in which a batch passes them."""
