"""Pages of Telnyx's lists as no document describes them: nothing crashes, and what is published lands.

One trial is one page, with fields missing, null, unknown or of another type, or lists that are none.
"""

import tempfile
from pathlib import Path

from bench.reliability.campaign import Campaign, Tally
from tests.unit.holdtime.reconciler.test_pages import reconciled


def run(seed: int, pages: int) -> Tally:
    """Reconcile with so many of them."""
    tally = Tally(trials=pages)
    with tempfile.TemporaryDirectory() as name:
        try:
            center, faults = reconciled(Path(name), seed=seed, pages=pages)
        except Exception as error:  # noqa: BLE001 - whatever is raised is what is looked for
            tally.failures.append(f"{type(error).__name__}: {error}"[:3000])
            tally.counts["pages_crashed"] += 1
            return tally
        rejected = center.warehouse.dicts("rejected")
        tally.counts["pages_rejected"] += len(rejected)
        tally.failures += [f"rejected as {row['reason']}: {row['body'][:300]!r}" for row in rejected[:3]]
        tally.counts["pages_sources_read"] += faults["none"]
        center.close()
    return tally


CAMPAIGN = Campaign("pages", run, 2_000, 200, 200, 600, ("pages_crashed", "pages_rejected"))
