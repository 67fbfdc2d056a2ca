"""Pages of Telnyx's lists as no document describes them: nothing crashes, and what is published lands.

One trial is one page, of any endpoint that the reconciler asks. In every second share they are the stand-in's, spoiled;
in the others they are made from the documented fields, some of them missing, null, unknown or besides.
"""

import logging
import tempfile
from pathlib import Path

import structlog

from bench.reliability.campaign import Campaign, Tally
from tests.support.documented import FIELDS
from tests.support.generated import Generated
from tests.support.nonsense import reconciled


def run(seed: int, pages: int) -> Tally:
    """Reconcile with so many of them."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))  # nonsense is wanted
    tally = Tally(trials=pages)
    with tempfile.TemporaryDirectory() as name:
        try:
            center, faults, nonsense = reconciled(Path(name), seed=seed, pages=pages, mangled=seed % 2 == 0)
        except Exception as error:  # noqa: BLE001 - whatever is raised is what is looked for
            tally.failures.append(f"{type(error).__name__}: {error}"[:3000])
            tally.counts["pages_crashed"] += 1
            return tally
        rejected = center.warehouse.dicts("rejected")
        tally.counts["pages_rejected"] += len(rejected)
        tally.failures += [f"rejected as {row['reason']}: {row['body'][:300]!r}" for row in rejected[:3]]
        tally.counts["pages_sources_read"] += faults["none"]
        if isinstance(nonsense, Generated):
            unasked = sorted(set(FIELDS) - set(nonsense.asked))
            tally.counts["pages_endpoints_unasked"] += len(unasked)
            tally.failures += [f"never asked: {', '.join(unasked)}"] * bool(unasked)
        center.close()
    return tally


CAMPAIGN = Campaign("pages", run, 4_000, 400, 200, 600, ("pages_crashed", "pages_rejected", "pages_endpoints_unasked"))
