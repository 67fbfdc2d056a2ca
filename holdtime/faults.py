"""Which errors are the user's to mend, and how they read."""

from pathlib import Path

import duckdb

from holdtime.schedules.ledger import LedgerError
from holdtime.schedules.lock import TakenError
from holdtime.settings import ConfigurationError
from processors.as_of import UnreachedError
from reports.errors import RequestError, SourceError
from warehouse.errors import Trouble, WarehouseError, described, trouble


def named(error: BaseException) -> list[str] | None:
    """The faults of a wrong use or configuration, a line each; None for an error of holdtime's own."""
    if isinstance(error, ConfigurationError):
        return error.faults
    if isinstance(error, (LedgerError, RequestError, SourceError, TakenError, UnreachedError, WarehouseError)):
        return [str(error)]
    if isinstance(error, duckdb.Error) and trouble(error) is not Trouble.FAULT:
        return [described(error, Path("the warehouse"))]
    return None
