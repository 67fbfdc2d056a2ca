"""A batch that was read before its turn to land, with all that could be found out about it by itself."""

from dataclasses import dataclass

import pyarrow as pa

from eventlog.batch import Batch
from processors.events.reading import Summary


@dataclass(frozen=True, slots=True)
class Speculation:
    """The facts of a batch if the warehouse held nothing else of its entities, by table, and the entities left open."""

    facts: dict[str, pa.Table]
    open_entities: pa.Table

    def tables(self) -> dict[str, pa.Table]:
        """All of it, by the names that the statements of landing use."""
        named = {**self.facts, "open_entities": self.open_entities}
        return {f"foreseen_{table}": rows for table, rows in named.items()}


@dataclass(frozen=True, slots=True)
class Read:
    """A batch as events: what the relation `fresh` is to be, with the texts, and the numbers about it.

    `speculation` is None where the batch alone does not decide its facts.
    """

    summary: Summary
    events: pa.Table
    speculation: Speculation | None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch of the log; `read` is None where nobody read it ahead of its turn."""

    batch: Batch
    read: Read | None = None
