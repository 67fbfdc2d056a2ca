"""What facts may say of a history of which events were lost: what is true of all of it, or less.

A fact *claims* when something began and ended, how long it took and what came of it. Each claim is true; or
it is marked as not known; or METRICS decides it although it may be untrue, by a rule that `Decided` names, and only
where exactly that was lost which the rule is about. Any other claim says more than what came proves.
"""

from collections.abc import Iterator

from tests.support.claims.calls import of_calls
from tests.support.claims.claim import Claim, Decided, Losses, Rows
from tests.support.claims.rooms import of_conferences, of_stays
from tests.support.claims.visits import of_visits

__all__ = ["TABLES", "Claim", "Decided", "Losses", "claims"]

TABLES = ("queue_visits", "calls", "participant_stays", "conferences")


def claims(losses: Losses, tables: dict[str, Rows]) -> Iterator[Claim]:
    """All that the rows of `TABLES` claim, which must be those of what came and of nothing else."""
    yield from of_visits(losses, tables["queue_visits"])
    yield from of_calls(losses, tables["calls"])
    yield from of_stays(losses, tables["participant_stays"])
    yield from of_conferences(losses, tables["conferences"])
