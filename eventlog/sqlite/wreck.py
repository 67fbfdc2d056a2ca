"""What is left of a damaged log: its sound groups, and the rows that are damaged."""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field

from eventlog.sqlite.pages import Cell, Pages, group_of, mark_of

_BELIEVED = 1_000_000
"""A damaged row may name any position as its own; a position further off than this is not believed."""


@dataclass(frozen=True, slots=True, order=True)
class SoundGroup:
    """Where a group is that is sound."""

    first: int
    last: int
    newest_us: int
    cell: Cell = field(compare=False)
    newest: bool = field(compare=False)


@dataclass(slots=True)
class Wreck:
    """What is left of a log: the sound groups by position, and rows that are damaged by the position that they name."""

    sound: list[SoundGroup]
    damaged: dict[int, Cell]
    marks: dict[bytes, int]
    keys: list[int]
    """Positions that inner pages name, where pages are missing: what is below them may be among those."""

    is_cut: bool
    """Whether pages are missing: nobody knows how many records were in the last of them."""

    @classmethod
    def of(cls, pages: Pages, *, taken: int | None) -> "Wreck":
        """Search every page. `taken` is how many frames of the WAL SQLite could read, where that is known."""
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
        return cls(_apart(sound.values()), damaged, marks, list(pages.keys()) if is_cut else [], is_cut)

    def last(self) -> int:
        """The last position that the log gave, as far as it can be seen: one more where there may have been more."""
        last = max(*self.marks.values(), 0, self.sound[-1].last if self.sound else 0)
        for claimed in sorted({*self.damaged, *self.keys}):
            if last < claimed <= last + _BELIEVED:
                last = claimed
        return last + self.is_cut


def _apart(found: Iterable[SoundGroup]) -> list[SoundGroup]:
    """The groups by position, without those that overlap others that were found before them."""
    kept: list[SoundGroup] = []
    for each in found:
        place = bisect_left(kept, each)
        before = place == 0 or kept[place - 1].last < each.first
        if before and (place == len(kept) or each.last < kept[place].first):
            kept.insert(place, each)
    return kept
