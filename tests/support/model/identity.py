"""Whose event it is: two ids that name one leg, one event that was told with two ids, a join told of its leg too."""

from collections.abc import Iterable
from dataclasses import replace

from tests.support.model.happening import JOINED, MONTH, ORIGINS, SILENCE, Happening
from tests.support.model.walk import grouped


def tied(happenings: list[Happening]) -> list[Happening]:
    """Each that carries a leg id alone with the control id that another ties it to, if there is one."""
    ties = [each for each in happenings if each.control_id and each.leg_id]
    return [_tied(each, ties) if _is_alone(each) else each for each in happenings]


def _is_alone(each: Happening) -> bool:
    return bool(each.leg_id) and not each.control_id and each.entity != each.conference_id


def _tied(alone: Happening, ties: list[Happening]) -> Happening:
    of_leg = [each for each in ties if each.leg_id == alone.leg_id]
    for reach in (SILENCE, MONTH):
        found = [each.control_id for each in of_leg if abs(each.at - alone.at) <= reach and each.control_id]
        if found:
            return replace(alone, control_id=min(found))
    return alone


def with_joins(happenings: Iterable[Happening]) -> list[Happening]:
    """The same, and each join once more as something that is told of the leg that joined."""
    known = list(happenings)
    joins = [each for each in known if each.event_type == JOINED and (each.control_id or each.leg_id)]
    return known + [replace(each, of_another=True) for each in joins if each.entity != each.leg]


def named_in_full(life: list[Happening]) -> list[Happening]:
    """Each with both ids of its leg, where another of this life has both; of several the least."""
    both = sorted((each.leg_id, each.control_id) for each in life if each.leg_id and each.control_id)
    control_of = dict(reversed(both))
    leg_of = {control_id: leg_id for leg_id, control_id in reversed(both)}
    return [
        replace(
            each,
            control_id=each.control_id or control_of.get(each.leg_id or ""),
            leg_id=each.leg_id or leg_of.get(each.control_id or ""),
        )
        for each in life
    ]


def told_once(life: list[Happening]) -> list[Happening]:
    """Of those that say the same with several ids, the one whose id comes first, with the best of their origins."""
    found = []
    for same in grouped(lambda each: replace(each, event_id="", origin=""), life):
        best = min((each.origin for each in same), key=ORIGINS.index)
        found.append(replace(min(same, key=lambda each: each.event_id), origin=best))
    return sorted(found, key=lambda each: (each.at, each.event_id))
