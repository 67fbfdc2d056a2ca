"""The rest of a damaged log: its sound groups, and its damaged rows."""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field

from eventlog.sqlite.pages import Cell, Pages, group_of, mark_of

_BELIEVED = 1_000_000
"""A damaged row may name any position as its own; a position further off than this is not believed."""


@dataclass(frozen=True, slots=True, order=True)
class SoundGroup:
    """Where a sound group is."""

    first: int
    last: int
    newest_us: int
    cell: Cell = field(compare=False)
    newest: bool = field(compare=False)


@dataclass(slots=True)
class Wreck:
    """The rest of a log: the sound groups in order, and the damaged rows by the position that they name."""

    sound: list[SoundGroup]
    damaged: dict[int, Cell]
    marks: dict[bytes, int]
    keys: list[int]
    """Positions that inner pages name, where pages are missing: records up to them may be lost."""

    is_cut: bool
    """Whether pages are missing: the last of them may have held any number of records."""

    @classmethod
    def of(cls, pages: Pages, *, taken: int | None) -> "Wreck":
        """Search every page. `taken` is the number of frames of the WAL that SQLite could read, where that is known."""
        sound: dict[int, SoundGroup] = {}
        damaged: dict[int, Cell] = {}
        marks: dict[bytes, int] = {}
        for cell in pages.cells(trusted=taken):
            row = pages.row(cell)
            if row is None:
                continue
            if (mark := mark_of(row)) is not None:
                marks[mark.name] = max(marks.get(mark.name, 0), mark.position)
            elif row.rowid not in sound and (group := group_of(row)) is not None:
                newest = not group.is_sound() and (again := pages.row(cell, newest=True)) is not None
                group = group_of(again) if newest and again is not None else group
                if group is not None and group.is_sound():
                    sound[row.rowid] = SoundGroup(group.first_position, row.rowid, group.newest_us, cell, newest)
                elif row.rowid > 0:
                    damaged.setdefault(row.rowid, cell)
        is_cut = pages.are_missing
        return cls(_without_overlaps(sound.values()), damaged, marks, list(pages.keys()) if is_cut else [], is_cut)

    def last(self) -> int:
        """Return the last position that the log gave, as far as can be seen; one more where pages are missing."""
        last = max(*self.marks.values(), 0, self.sound[-1].last if self.sound else 0)
        for claimed in sorted({*self.damaged, *self.keys}):
            if last < claimed <= last + _BELIEVED:
                last = claimed
        return last + self.is_cut


def _without_overlaps(found: Iterable[SoundGroup]) -> list[SoundGroup]:
    """Return the groups in order, without those that overlap a group found earlier."""
    kept: list[SoundGroup] = []
    for each in found:
        index = bisect_left(kept, each)
        before = index == 0 or kept[index - 1].last < each.first
        if before and (index == len(kept) or each.last < kept[index].first):
            kept.insert(index, each)
    return kept
