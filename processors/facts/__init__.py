"""Facts: each is defined once, as SQL over `touched`, used by landing and by a rebuild.

`touched` holds whole episodes: every event of a leg or a conference on which facts rest, with the roles of its type
(`is_of_call` and the like). Landing fills it with the entities that a batch touches, a rebuild with all. A new fact
is a `.sql` file here, named for its table, and an entry in `FACTS`; the table itself stands in
`warehouse/schema/facts.sql`.

The files are Jinja templates. Lines between `-- % if observed` and `-- % endif` are for the reconciler's own events.
Without such events, which is nearly always, they would add nothing but time.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined


@dataclass(frozen=True, slots=True)
class Fact:
    """A table of facts, the types of the events that it rests on, and the temporary tables that it needs."""

    table: str
    event_types: frozenset[str]
    needs: tuple[str, ...]

    def query(self, *, observed: bool) -> str:
        """The rows of the table that follow from `touched`, all columns in order; `observed` as in `statement`."""
        return statement(self.table, observed=observed)


_TEXTS = {file.name: file.read_text() for file in files(__package__).iterdir() if file.name.endswith(".sql")}
"""Read on import, all of them: a batch that is the first to need one opens no file."""

_SQL = Environment(
    loader=FunctionLoader(lambda name: _TEXTS[name]),
    cache_size=0,  # `statement` keeps what is rendered
    line_statement_prefix="-- %",
    undefined=StrictUndefined,
    autoescape=False,  # noqa: S701 - not HTML
    keep_trailing_newline=True,
)


@cache
def statement(name: str, *, observed: bool) -> str:
    """The SQL in this folder's file of that name; `observed` says that there may be events of the reconciler's own."""
    return _SQL.get_template(f"{name}.sql").render(observed=observed)


def is_observed(event_type: str) -> bool:
    """Say whether it is one of the reconciler's own types: an observation, which no webhook carries."""
    return event_type.startswith("reconciler.")


OF_CALL = frozenset(
    {
        "call.answered",
        "call.bridged",
        "call.conversation.ended",
        "call.cost",
        "call.hangup",
        "call.hold",
        "call.initiated",
        "call.machine.detection.ended",
        "call.machine.premium.detection.ended",
        "call.unhold",
    }
)
"""The types that make up a call (the macro `is_of_call`)."""

OBSERVED_OF_CONFERENCE = frozenset(
    {
        "reconciler.conference.observed",
        "reconciler.conference.participant.observed",
        "reconciler.conference.participant.record.observed",
        "reconciler.conference.record.observed",
    }
)
"""The reconciler's observations of a conference and its participants."""

FACTS = (
    Fact("calls", OF_CALL, ("pairs", "numbers")),
    Fact(
        "queue_visits",
        OF_CALL | {"call.enqueued", "call.dequeued", "reconciler.queue.call.observed"},
        ("pairs", "numbers"),
    ),
    Fact(
        "participant_stays",
        frozenset(
            {
                "conference.participant.joined",
                "conference.participant.left",
                "conference.floor.changed",
                "conference.ended",
            }
        )
        | OBSERVED_OF_CONFERENCE,
        ("pairs", "ends", "stays"),
    ),
    Fact(
        "conferences",
        frozenset(
            {
                "conference.created",
                "conference.ended",
                "conference.floor.changed",
                "conference.participant.joined",
                "conference.participant.left",
                "conference.recording.saved",
                "reconciler.conference.recording.observed",
            }
        )
        | OBSERVED_OF_CONFERENCE,
        ("pairs", "ends", "stays"),
    ),
    Fact(
        "recordings",
        frozenset(
            {
                "call.recording.saved",
                "conference.recording.saved",
                "reconciler.call.recording.observed",
                "reconciler.conference.recording.observed",
            }
        ),
        (),
    ),
    Fact(
        "playbacks",
        frozenset(
            f"{whose}.{what}.{which}"
            for whose in ("call", "conference", "conference.participant")
            for what in ("playback", "speak")
            for which in ("started", "ended")
        ),
        ("pairs",),
    ),
)

EVENT_TYPES = frozenset().union(*(fact.event_types for fact in FACTS))
"""The types that any fact rests on; all others are kept as events and touch nothing."""
