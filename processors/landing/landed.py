"""What one batch changed in the warehouse."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Landed:
    """How many records a batch had, and what became of them; `facts` are the rows written, by table.

    `contradictions` counts the versions of the events in hand that do not count.
    """

    records: int
    events: int
    duplicates: int
    rejected: int
    contradictions: int
    facts: dict[str, int]

    def __add__(self, other: "Landed") -> "Landed":
        """What two batches changed together."""
        return Landed(
            self.records + other.records,
            self.events + other.events,
            self.duplicates + other.duplicates,
            self.rejected + other.rejected,
            self.contradictions + other.contradictions,
            {
                table: self.facts.get(table, 0) + other.facts.get(table, 0)
                for table in self.facts.keys() | other.facts.keys()
            },
        )
