"""`python -m bench.reliability [--quick] [--seed N] [NAME ...]`: try the promises; write bench/reliability.json.

A campaign is the same for the same seed, but for the moments at which processes are killed. Quick takes some
minutes on an idle machine, all of it about an hour.
"""

import argparse
import json
import os
import platform
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from bench.reliability import (
    bodies,
    clocks,
    commands,
    disks,
    faults,
    flips,
    floods,
    http_fuzz,
    kills,
    laws,
    pages,
    reconciled,
    rolling,
    rules,
    truth,
)
from bench.reliability.campaign import Tally

_HOSTILE = (floods, http_fuzz, flips, disks, clocks, commands, kills)
_MODULES = (truth, rules, bodies, faults, rolling, laws, reconciled, pages, *_HOSTILE)
CAMPAIGNS = {module.CAMPAIGN.name: module.CAMPAIGN for module in _MODULES}
GROUPS = {"hostile": [module.CAMPAIGN.name for module in _HOSTILE]}
"""Names for several campaigns: `hostile` is what strangers, failing machines and mistakes do."""
RESULTS = Path(__file__).parent.with_name("reliability.json")
FAILURES_SHOWN = 5


def main() -> int:
    """Try, write, print; returns 1 if a bar is missed."""
    arguments = _arguments()
    console = Console()
    tallies = _held(arguments.campaigns or list(CAMPAIGNS), arguments.seed, console, quick=arguments.quick)
    figures: dict[str, object] = {}
    table = Table("figure", "found", "bar")
    missed = False
    for name, (tally, seconds) in tallies.items():
        campaign = CAMPAIGNS[name]
        bars = campaign.bars(quick=arguments.quick)
        found = {**dict.fromkeys(bars, 0), **tally.counts, name: tally.trials}
        figures |= {**found, f"{name}_seconds": round(seconds, 1), f"{name}_failures": tally.failures}
        for figure, value in found.items():
            met = figure not in bars or (value >= bars[figure] if figure == name else value <= bars[figure])
            missed = missed or not met
            bar = f"{'>=' if figure == name else '<='} {bars[figure]:,}" if figure in bars else ""
            table.add_row(figure, f"[{'green' if met else 'red'}]{value:,}[/]" if bar else f"{value:,}", bar)
        table.add_row(f"{name}_seconds", f"{seconds:.0f}", "", end_section=True)
    figures |= {
        "seed": arguments.seed,
        "quick": arguments.quick,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}",
    }
    RESULTS.write_text(json.dumps(figures, indent=2) + "\n")
    console.print(table)
    for failure in [failure for tally, _ in tallies.values() for failure in tally.failures][:FAILURES_SHOWN]:
        console.print(f"[red]{escape(failure)}[/]\n", soft_wrap=True)
    return int(missed)


def _held(names: list[str], seed: int, console: Console, *, quick: bool) -> dict[str, tuple[Tally, float]]:
    """Hold the campaigns one after the other; what came of each, and the seconds that it took."""
    tallies: dict[str, tuple[Tally, float]] = {}
    columns = (TextColumn("{task.description:<14}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        tasks = [progress.add_task(name, total=CAMPAIGNS[name].wanted(quick=quick), start=False) for name in names]
        for name, task in zip(names, tasks, strict=True):
            began = time.monotonic()
            progress.start_task(task)
            tally = CAMPAIGNS[name].hold(
                quick=quick, seed=seed, progress=lambda done, task=task: progress.advance(task, done)
            )
            progress.stop_task(task)
            tallies[name] = tally, time.monotonic() - began
    return tallies


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.reliability", description="Try what is promised.")
    parser.add_argument(
        "campaigns", nargs="*", metavar="NAME", help=f"of {', '.join([*GROUPS, *CAMPAIGNS])}; all without a name"
    )
    parser.add_argument("--quick", action="store_true", help="a sample of each, in some minutes")
    parser.add_argument("--seed", type=int, default=1, help="another seed tries other things; 1")
    arguments = parser.parse_args()
    named = [name for each in arguments.campaigns for name in GROUPS.get(each, [each])]
    arguments.campaigns = list(dict.fromkeys(named))
    if unknown := set(arguments.campaigns) - set(CAMPAIGNS):
        parser.error(f"no campaign is named {', '.join(sorted(unknown))}: expected {', '.join(CAMPAIGNS)}")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
