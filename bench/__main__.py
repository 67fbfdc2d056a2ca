"""`python -m bench [--quick]`: measure everything, write bench/results.json, print a table.

Every figure is a ratio taken within one run, because the machines are noisy; the raw rates stand beside them.
"""

import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import ingest, kafka, landing, rebuild, reconcile, reports
from holdtime.service import allocator

BARS = {
    "ingest_vs_bare_receiver": (">=", 0.85),
    "ingest_vs_fastapi_sdk": (">=", 7.0),
    "landing_vs_read_json": (">=", 0.3),
    "landing_10k_vs_read_json": (">=", 0.1),
    "landing_flatness": ("<=", 1.3),
    "landing_peak_memory_mib": ("<", 1024.0),
    "kafka_landing_vs_limit": (">=", 0.7),
    "freshness_p95_s": ("<", 1.0),
    "rebuild_vs_read_json": (">=", 1.0),
    "rebuild_peak_memory_mib": ("<", 4096.0),
    "report_vs_sql": ("<=", 1.5),
    "report_peak_memory_mib": ("<", 2048.0),
    "report_html_mib": ("<", 5.0),
    "report_html_opens_s": ("<", 3.0),
    "reconcile_peak_memory_mib": ("<", 500.0),
    "reconcile_back": (">=", 1.0),
    "reconcile_untrue_tables": ("<=", 0.0),
    "reconcile_unread_sources": ("<=", 0.0),
    "reconcile_published_again": ("<=", 0.0),
}
RESULTS = Path(__file__).with_name("results.json")


def main() -> int:
    """Measure, write, print; returns 1 if a bar is missed."""
    quick = "--quick" in sys.argv
    console = Console()
    figures: dict[str, float | str] = {}
    parts = {
        "ingest": ingest,
        "landing": landing,
        "kafka": kafka,
        "rebuild": rebuild,
        "reports": reports,
        "reconcile": reconcile,
    }
    for name, module in parts.items():
        with console.status(f"measuring {name}"):
            figures |= module.measure(quick=quick)
    figures |= {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}",
        "quick": str(quick).lower(),
    }
    RESULTS.write_text(json.dumps(figures, indent=2) + "\n")
    table = Table("figure", "measured", "bar")
    missed = False
    for name, value in figures.items():
        sign, bar = BARS.get(name, ("", 0.0))
        met = not sign or (float(value) >= bar if sign == ">=" else float(value) <= bar)
        missed = missed or not met
        table.add_row(
            name, f"[{'green' if met else 'red'}]{value}[/]" if sign else str(value), f"{sign} {bar:g}" if sign else ""
        )
    console.print(table)
    return int(missed)


if __name__ == "__main__":
    allocator.enlarge_cache()  # as every process of holdtime does
    sys.exit(main())
