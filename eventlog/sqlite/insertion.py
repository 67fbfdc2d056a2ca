"""The statement that writes the records of one commit."""

from collections import defaultdict
from collections.abc import Iterable

from eventlog.log import Origin, Record
from eventlog.sqlite.group import Group
from eventlog.sqlite.schema import INSERT, ROW, values_of


def insertion(records: Iterable[Record], *, after: int) -> tuple[str, list[object]]:
    """Return the statement that writes the records at the positions after `after`, and its values.

    Records of one kind become one group, a row each.
    """
    kinds: defaultdict[tuple[Origin, bool, str | None, bool], list[Record]] = defaultdict(list)
    for record in records:
        _, _, origin, verified, rejection, headers = record
        kinds[origin, verified, rejection, headers is not None].append(record)
    values: list[object] = []
    for alike in kinds.values():
        after += len(alike)
        values += values_of(Group.of(after, alike))
    return INSERT + ", ".join([ROW] * len(kinds)), values
