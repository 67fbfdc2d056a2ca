"""The report `staffing`: the load of each queue, what Erlang C and Erlang A make of it against what was measured.

Arrivals are counted by interval. Handle time is the mean talk of the answered, and patience total waiting over the
number who gave up (the estimate for exponential patience of which most is cut short by an answer); both are taken over
the whole period of a queue. Agents are as asked, else estimated: while somebody is held up every agent is taken, so it
is the most talks in progress meanwhile.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import polars as pl

from reports import humanize
from reports.calendar.intervals import Interval
from reports.catalogue.spec import ReportSpec
from reports.errors import RequestError
from reports.measures.definitions import ValueKind, digest
from reports.measures.demand import MAX_AGENTS, Demand, agents_needed
from reports.measures.measures import every_measure
from reports.request.request import Request
from reports.source import Source
from reports.tables import staffing_facts, visit_data
from reports.tables.assembly import OF_VISITS, of_visits
from reports.tables.dimensions import interval_columns
from reports.tables.report import (
    Column,
    Report,
    Section,
)
from reports.tables.staffing_facts import HeldUp, Load
from reports.tables.visit_data import VisitData
from reports.tables.visit_tables import QUEUE

MIN_CALLS = 20
"""An interval with fewer calls does not show whether a model fits."""
TOLERANCE = 0.05
MAX_ROWS = 5_000
_SECONDS = 1000
_RATE, _COUNT, _DURATION, _NUMBER = ValueKind.RATE, ValueKind.COUNT, ValueKind.DURATION, ValueKind.NUMBER
_LOADS = (
    QUEUE,
    Column("offered", "Offered", _COUNT, 1, "visits that entered the queue in the period"),
    Column("arrivals_per_hour", "Per hour", _NUMBER, 2, "offered / hours of the period in which somebody came"),
    Column("handled", "Talks", _COUNT, 3, "answered visits whose talk is known"),
    Column("handle_ms", "Handle time", _DURATION, 1, "mean talk_ms of the answered"),
    Column("handle_cv", "Spread", _NUMBER, 3, "standard deviation of talk_ms / its mean; 1 if exponential"),
    Column("abandoned", "Abandoned", _COUNT, 3, "visits whose outcome is abandoned"),
    Column("patience_ms", "Patience", _DURATION, 1, "total_wait_ms / abandoned"),
    Column("dispersion", "Bunching", _NUMBER, 3, "variance / mean of arrivals in 5 min within hours; 1 if Poisson"),
    Column("fit", "Where the model does not fit", ValueKind.TEXT, 1),
)
_FORECASTS = (
    Column("offered", "Offered", _COUNT, 1, "visits that entered the queue in the interval"),
    Column("load", "Load", _NUMBER, 2, "offered / length * handle time, in erlangs"),
    Column("agents", "Agents", _COUNT, 1, "as asked, else the most talks in progress while somebody was held up"),
    Column("level_measured", "Measured", _RATE, 1, "answered_within / (offered - waiting)"),
    Column("level_c", "Erlang C", _RATE, 1, "answered in time, nobody giving up"),
    Column("level_a", "Erlang A", _RATE, 1, "answered in time / all, callers giving up"),
    Column("fit", "Fit", ValueKind.TEXT, 2),
    Column("abandonment_measured", "Gave up", _RATE, 5, "abandoned / (offered - waiting)"),
    Column("abandonment_a", "Gave up, A", _RATE, 5, "share that gives up"),
    Column("wait_measured_ms", "ASA", _DURATION, 6, "mean wait of the answered"),
    Column("wait_c_ms", "ASA, C", _DURATION, 7, "mean wait, nobody giving up"),
    Column("wait_a_ms", "ASA, A", _DURATION, 7, "mean wait of the answered, callers giving up"),
    Column("needed_c", "Needed, C", _COUNT, 2, "fewest agents for the target, nobody giving up"),
    Column("needed_a", "Needed, A", _COUNT, 1, "fewest agents for the target, callers giving up"),
)
MEASURE_DEFINITIONS = digest(every_measure(), _LOADS, _FORECASTS, MIN_CALLS, TOLERANCE)
_TYPES: Mapping[ValueKind, Any] = {
    ValueKind.TEXT: pl.String,
    _COUNT: pl.Int64,
    _RATE: pl.Float64,
    _DURATION: pl.Float64,
    _NUMBER: pl.Float64,
}


def report(source: Source, request: Request) -> Report:
    """Return the report, by hours unless asked otherwise. Raises RequestError."""
    if request.by and set(request.by) != {"queue"}:
        raise RequestError(
            "staffing is by queue and interval, for a model holds for one load at a time: expected no other --by; "
            "choose the length of intervals with --interval"
        )
    asked = request.cut(Interval.HOUR)
    found = visit_data.read(source, asked)
    total = found.tables.table([]).row(0, named=True)
    loads = {} if found.covered is None else staffing_facts.loads(source, asked, found)
    forecasts = [] if found.covered is None else _forecasts(source, asked, found, loads)
    schema = {column.name: _TYPES[column.kind] for column in _LOADS}
    of_queues = pl.DataFrame([_load(queue, load) for queue, load in loads.items()], schema=schema)
    moment = pl.Datetime("us", "UTC")
    typed = {column.name: _TYPES[column.kind] for column in (QUEUE, *_FORECASTS)}
    frame = pl.DataFrame(forecasts, schema={**typed, "interval_start": moment, "interval_end": moment})
    length = asked.interval or Interval.HOUR
    spine = found.tables.spine
    if spine is not None and not set(frame["interval_start"]) <= set(spine.bounds):
        spine = replace(spine, is_cut=True)  # by a new definition
    columns = (QUEUE, *interval_columns(length, spine, asked.zone), *_FORECASTS)
    return of_visits(
        found,
        total,
        name="staffing",
        title="Staffing",
        sections=[
            Section("queues", "Load of each queue", _LOADS, of_queues),
            Section("staffing", f"By queue and {length.noun}", columns, frame),
        ],
        main="staffing",
        definition={
            "level": "the variant `offered`: what Erlang A predicts is answered in time, of all that come",
            "handle_time": "mean talk of the answered, without wrap-up, of which Telnyx hears nothing",
            "patience": "total waiting time / number who gave up",
            "agents": "as asked" if request.agents else "estimated: talks in progress while somebody was held up",
        },
        said=_said(request, frame),
        leading=False,
        settings=(*OF_VISITS, "agents"),
        measures=MEASURE_DEFINITIONS,
        charts=("staffing",) if _may_be_drawn(frame) else (),
    )


def _may_be_drawn(frame: pl.DataFrame) -> bool:
    return not frame.filter(pl.col("level_a").is_not_null() & pl.col("level_measured").is_not_null()).is_empty()


def _forecasts(
    source: Source, request: Request, found: VisitData, loads: Mapping[str | None, Load]
) -> list[dict[str, Any]]:
    """Return a row for each queue and interval in which somebody came."""
    rows = [row for row in staffing_facts.parts(found).iter_rows(named=True) if row["offered"]]
    if len(rows) > MAX_ROWS:
        raise RequestError(
            f"the period has {len(rows):,} intervals in which somebody came, and staffing looks at {MAX_ROWS:,} at "
            "most: choose a longer --interval, fewer queues or a shorter period"
        )
    held_up = staffing_facts.held_up(source, request, found)
    return [
        _forecast(row, loads[row["queue"]], held_up.get((row["queue"], row["interval"]), HeldUp()), request)
        for row in rows
    ]


def _forecast(row: Mapping[str, Any], load: Load, held_up: HeldUp, request: Request) -> dict[str, Any]:
    forecast: dict[str, Any] = {
        **{name: row[name] for name in ("queue", "interval_start", "interval_end", "offered")},
        "level_measured": row["service_level_offered"],
        "abandonment_measured": row["abandonment_rate"],
        "wait_measured_ms": row["mean_wait_answered_ms"],
    }
    if not load.handle_ms:
        known = "talks lasted no time" if load.handled else "no talk is known"
        return {**forecast, "fit": f"{known}: nothing to predict from"}
    demand = Demand(
        arrivals=row["offered"],
        length_s=(row["interval_end"] - row["interval_start"]).total_seconds(),
        handle_s=load.handle_ms / _SECONDS,
        patience_s=load.patience_ms / _SECONDS if load.patience_ms else None,
        threshold_s=row.get("threshold_secs", request.threshold_secs),
        target=row.get("target", request.target),
    )
    forecast |= {
        "load": demand.load,
        "needed_c": agents_needed(demand, give_up=False),
        "needed_a": agents_needed(demand, give_up=True),
        "agents": request.agents or held_up.agents,
    }
    if forecast["agents"] is None:
        return {**forecast, "fit": f"no telling how many agents there were: {_too_little(held_up)}; say with --agents"}
    forecast |= _predicted(demand, forecast["agents"])
    return {**forecast, "fit": _fit(forecast, demand)}


def _too_little(held_up: HeldUp) -> str:
    """Return why the number of agents cannot be estimated."""
    least, grace = (humanize.seconds(ms / _SECONDS) for ms in (staffing_facts.MIN_HELD_UP_MS, staffing_facts.GRACE_MS))
    if held_up.held_up_ms >= staffing_facts.MIN_HELD_UP_MS:
        return f"no talk was in progress while people had waited for {grace}"
    so_long = humanize.duration(held_up.held_up_ms)
    return f"people waited longer than {grace} for {so_long} in all, and {least} are the least"


def _predicted(demand: Demand, agents: int) -> dict[str, float]:
    """Return what the models make of a demand; one that has no answer to it says nothing."""
    found: dict[str, float] = {}
    if demand.load < agents:
        c = demand.erlang_c(agents)
        found |= {"level_c": c.service_level(demand.threshold_s), "wait_c_ms": c.mean_wait_s * _SECONDS}
    a = demand.erlang_a(agents)
    if a is not None:
        found |= {
            "level_a": a.service_level(demand.threshold_s),
            "abandonment_a": a.p_abandon,
            "wait_a_ms": a.mean_wait_answered_s * _SECONDS,
        }
    return found


def _fit(forecast: Mapping[str, Any], demand: Demand) -> str:
    """Return how well the better model for the case does, and why it may not, or why there is no number."""
    said = []
    if "level_c" not in forecast:
        said.append("Erlang C: more load than agents, the queue would grow for ever")
    if forecast["needed_c"] is None:
        said.append(f"{MAX_AGENTS:,} agents do not reach the target")
    measured, model = forecast["level_measured"], "A" if "level_a" in forecast else "C"
    predicted = forecast.get("level_a", forecast.get("level_c"))
    if measured is None:
        said.append("nothing measured yet: all of them wait still")
    elif forecast["offered"] < MIN_CALLS:
        said.append(f"too few calls to tell: {forecast['offered']}, and {MIN_CALLS} are the least")
    elif predicted is not None:
        # Two standard errors of a share: what chance alone may do.
        chance = 2 * (predicted * (1 - predicted) / demand.arrivals) ** 0.5
        off = predicted - measured
        if abs(off) > max(TOLERANCE, chance):
            said.append(f"Erlang {model} is off by {100 * off:+.0f} points")
    return "; ".join(said) or "fits"


def _load(queue: str | None, load: Load) -> dict[str, Any]:
    faults = []
    if not load.handled:
        faults.append("no talk is known: calls must send their events, too")
    if not load.abandoned:
        faults.append("nobody gave up: there is no patience for Erlang A")
    if load.handle_cv is not None and not 0.7 <= load.handle_cv <= 1.4:
        regular = "more regular" if load.handle_cv < 1 else "more uneven"
        faults.append(f"talks are {regular} than exponential ones")
    if load.dispersion is not None and load.dispersion > 1.5:
        faults.append("arrivals come in bunches: waits will be longer than predicted")
    return {
        "queue": queue,
        "offered": load.offered,
        "arrivals_per_hour": load.arrivals_per_hour,
        "handled": load.handled,
        "handle_ms": load.handle_ms,
        "handle_cv": load.handle_cv,
        "abandoned": load.abandoned,
        "patience_ms": load.patience_ms,
        "dispersion": load.dispersion,
        "fit": "; ".join(faults) or "nothing speaks against it",
    }


def _said(request: Request, frame: pl.DataFrame) -> list[str]:
    measured = frame.filter(pl.col("fit").is_not_null() & pl.col("level_measured").is_not_null())
    fits = measured.filter(pl.col("fit") == "fits").height
    agents = (
        f"Agents: {request.agents}, as asked."
        if request.agents
        else "Agents are estimated: the most talks in progress while somebody had waited for 10 s, if that was so for "
        "60 s of an interval in all. Those who ring or wrap up, or serve other queues, are not seen: say how many "
        "there are with --agents, to test the models."
    )
    return [
        "Levels here are of the variant offered, which is what Erlang A predicts; targets are read so, too.",
        "Erlang C lets nobody give up, Erlang A after an exponential patience; both assume Poisson arrivals, "
        "exponential talks, one pool of agents and a steady state within each interval.",
        agents,
        "Handle time is talk alone: where agents wrap up, more of them are needed.",
        f"The models fit {fits} of {measured.height} intervals; the others say why not.",
    ]


SPEC = ReportSpec(
    name="staffing",
    summary="load, what Erlang C and A predict against what was measured, agents needed",
    run=report,
    takes=frozenset({"agents"}),
)
