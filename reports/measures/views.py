"""The measures as SQL in the warehouse's views, whose room may not import this one.

Their files have places that begin with `-- measures: NAME` and end with `-- end of measures`. The columns between are
made here from the definitions; they are the last of their `select`.
"""

import re
from collections.abc import Mapping

from reports.measures.definitions import Aggregate, Ratio
from reports.measures.measures import (
    ABANDONMENT,
    AGGREGATES,
    MEANS,
    OUTCOMES,
    VARIANTS,
)

_PLACE = re.compile(r"^( *)-- measures: (\w+)\n.*?^ *-- end of measures\n", re.MULTILINE | re.DOTALL)
_RESERVED = {"left"}


def rendered(views: str) -> str:
    """Return the text of a view with the measures in its places as they are defined now.

    Raises KeyError for a place of an unknown name.
    """
    return _PLACE.sub(lambda place: _filled(*place.groups()), views)


def _filled(indent: str, name: str) -> str:
    columns = ",\n".join(_PLACES[name]).replace("\n", f"\n{indent}")
    return f"{indent}-- measures: {name}\n{indent}{columns}\n{indent}-- end of measures\n"


def _column(measure: Aggregate | Ratio) -> str:
    name = f'"{measure.name}"' if measure.name in _RESERVED else measure.name
    return f"{measure.sql} as {name}"


def _service_level() -> str:
    cases = "".join(f"\n    when '{variant}' then {ratio.name}" for variant, ratio in VARIANTS.items())
    return f"case variant{cases}\nend as service_level"


_PLACES: Mapping[str, tuple[str, ...]] = {
    "outcomes": (
        *(_column(each) for each in AGGREGATES if each.name in OUTCOMES),
        *(f"{each.sql} as wait_ms" for each in AGGREGATES if each.name == "total_wait_ms"),
    ),
    "aggregates": tuple(_column(each) for each in AGGREGATES),
    "ratios": (
        *(_column(each) for each in VARIANTS.values()),
        _service_level(),
        *(_column(each) for each in (*ABANDONMENT, *MEANS)),
    ),
}
