"""What a report costs over the bare SQL that yields its largest table.

`report_vs_sql`: the time to make the SLA report over 10 million visits (a year, 20 queues, half hours: every measure by
queue, by interval, by both and over all, the trend and the distributions of waits), over the time of one DuckDB
GROUP BY that gives the same counts, rates and percentiles by queue and half hour, and nothing else. Each in a process
of its own, in turn; opening the file is part of both. The two tables are compared, figure by figure.

`report_html_mib` is the size of that report as a page, `report_html_opens_s` how long Chromium takes from being told
to open it until it has drawn it.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from holdtime.service import allocator
from tests.support.browser import started

TIP = datetime(2027, 1, 1, tzinfo=UTC)
VISITS = Path(__file__).with_name("visits.sql")
FIGURES = ("offered", "answered_within", "service_level", "abandonment_rate", "mean_wait_answered_ms", "wait_p90_ms")


def measure(*, quick: bool) -> dict[str, float | str]:
    """Return the ratio, the times behind it, the report's peak memory, and how heavy its page is.

    Quick takes half a minute, else about 3.
    """
    visits, rounds = (1_000_000, 3) if quick else (10_000_000, 5)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _make_visits(folder / "visits.duckdb", visits)
        took: dict[str, list[dict[str, float]]] = {"report": [], "sql": []}
        for number in range(rounds):
            for way in ("report", "sql") if number % 2 else ("sql", "report"):
                took[way].append(_in_a_process(way, folder))
        _require_equal(folder)
        page = folder / "report.html"
        opens_s = [_opens(page) for _ in range(rounds)]
        html_mib = page.stat().st_size / 2**20

    def times(way: str) -> list[float]:
        return [found["secs"] for found in took[way]]

    return {
        "report_vs_sql": round(statistics.median(a / b for a, b in zip(times("report"), times("sql"), strict=True)), 3),
        "report_visits": visits,
        "report_secs": round(statistics.median(times("report")), 2),
        "report_sql_secs": round(statistics.median(times("sql")), 2),
        "report_peak_memory_mib": max(found["peak_mib"] for found in took["report"]),
        "report_html_mib": round(html_mib, 2),
        "report_html_opens_s": round(statistics.median(opens_s), 2),
    }


def _make_visits(path: Path, visits: int) -> None:
    from warehouse.database import open_writer

    with open_writer(path, memory_limit="4GB") as db:
        db.execute(VISITS.read_text(), {"visits": visits, "tip": TIP})
        db.execute("checkpoint")


def _in_a_process(way: str, folder: Path) -> dict[str, float]:
    script = f"from bench import reports; reports.{'_report' if way == 'report' else '_sql'}({str(folder)!r})"
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL, env=os.environ)
    found: dict[str, float] = json.loads((folder / "found.json").read_text())  # DuckDB's progress bar has the output
    return found


def _report(name: str) -> None:
    """Note how long the report took, and leave its largest table and its page in the folder."""
    from reports.calendar.intervals import Interval
    from reports.catalogue import registry
    from reports.formats import render
    from reports.request.request import Request
    from reports.source import opened

    began = time.perf_counter()
    with opened(Path(name) / "visits.duckdb") as source:
        report = registry.run("sla", source, Request(now=TIP, interval=Interval.HALF_HOUR))
    _note(Path(name), time.perf_counter() - began)
    both = report.section("queue_intervals").frame
    both.filter(pl.col("offered") > 0).select("queue", "interval_start", *FIGURES).write_parquet(
        Path(name) / "report.parquet"
    )
    (Path(name) / "report.html").write_text(render(report, "html"), encoding="utf-8")


def _opens(page: Path) -> float:
    """Return the seconds until a browser that was just started has loaded, laid out and painted a page."""
    with started() as browser:
        tab = browser.new_page(viewport={"width": 1280, "height": 900})
        began = time.perf_counter()
        tab.goto(page.as_uri())
        tab.screenshot()
        return time.perf_counter() - began


def _sql(name: str) -> None:
    """Note how long the GROUP BY took, and leave its table in the folder."""
    from reports.measures.definitions import (
        Aggregate,
        Percentile,
        Ratio,
    )
    from reports.measures.measures import (
        AGGREGATES,
        PERCENTILES,
        every_measure,
    )
    from warehouse.database import open_reader

    taken: tuple[Aggregate | Percentile, ...] = (*AGGREGATES, *PERCENTILES)
    counts = ", ".join(f"{measure.sql} as {measure.name}" for measure in taken)
    rates = ", ".join(f"{m.sql} as {m.name}" for m in every_measure() if isinstance(m, Ratio))
    query = f"""
        with counted as (
            select queue, time_bucket(interval '30 minutes', enqueued_at) as interval_start, {counts}
            from (select *, 20000 as threshold_ms, 5000 as short_abandon_ms from queue_visits)
            group by all
        )
        select *, {rates} from counted
    """
    began = time.perf_counter()
    with open_reader(Path(name) / "visits.duckdb", memory_limit="6GB") as db:
        table = db.sql(query).to_arrow_table()
    _note(Path(name), time.perf_counter() - began)
    frame = pl.DataFrame(table).select("queue", "interval_start", *FIGURES)
    frame.write_parquet(Path(name) / "sql.parquet")


def _note(folder: Path, secs: float) -> None:
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    (folder / "found.json").write_text(json.dumps({"secs": secs, "peak_mib": int(peak.split()[1]) // 1024}))


def _require_equal(folder: Path) -> None:
    ours, sql = (pl.read_parquet(folder / f"{name}.parquet") for name in ("report", "sql"))
    together = ours.join(sql, on=["queue", "interval_start"], suffix="_sql", validate="1:1")
    same = [pl.col(name).cast(pl.Float64).eq_missing(pl.col(f"{name}_sql").cast(pl.Float64)) for name in FIGURES]
    differing = together.filter(~pl.all_horizontal(same))
    if not len(ours) == len(sql) == len(together) or len(differing):
        raise AssertionError(f"the report and the SQL differ: {len(ours)} rows, {len(sql)} rows, {differing}")


if __name__ == "__main__":
    allocator.enlarge_cache()
    sys.stdout.write(json.dumps(measure(quick="--quick" in sys.argv), indent=2) + "\n")
