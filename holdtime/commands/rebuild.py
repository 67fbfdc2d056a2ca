"""`holdtime rebuild`: every fact derived anew from the warehouse's events."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from holdtime.config.settings import ConfigurationError, Settings
from holdtime.service import opening, store
from holdtime.service.store import Needs
from processors.replay import rebuild as rebuilding


def run(
    settings: Settings, *, on_migration: Callable[[int, int], None], on_progress: Callable[[int, int], None]
) -> None:
    """Rebuild the facts, and publish the replica. The warehouse must be ours alone.

    `on_migration` and `on_progress` get how much is done and how much there is. Raises ConfigurationError.
    """
    paths = settings.environment
    if not paths.warehouse.exists():
        raise ConfigurationError([f"HOLDTIME_WAREHOUSE: {paths.warehouse} does not exist: nothing to rebuild"])
    needs = Needs(memory_limit=rebuilding.MEMORY_LIMIT, bulk=True, on_migration=on_migration)
    with store.opened_database(settings, needs) as db:
        longest_wait = timedelta(hours=settings.configuration.longest_wait_hours)
        for done, total in rebuilding.rebuild(db, longest_wait=longest_wait, now=datetime.now(UTC)):
            on_progress(done, total)
        opening.make_publisher(db, settings).publish()
