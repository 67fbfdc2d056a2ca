"""A replica in a folder, and reports and differences of it."""

import json
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from holdtime.commands.destination import Destination
from holdtime.commands.report import (
    write_difference,
    write_report,
)
from holdtime.config.settings import (
    Configuration,
    Environment,
    Settings,
)
from processors.landing.landing import Landing
from reports.request.options import ReportOptions
from tests.support.builders import (
    NOON,
    Said,
    a_batch,
    bodies,
)
from warehouse.database import open_writer

SETTINGS = Settings(environment=Environment(), configuration=Configuration())


class ReplicaFolder:
    """A replica in a folder, into which batches land."""

    def __init__(self, folder: Path) -> None:
        self.replica = folder / "replica.duckdb"
        self.last = 0
        self.outputs = folder

    def copied(self, folder: Path) -> "ReplicaFolder":
        """Another with the same replica, in `folder`."""
        other = ReplicaFolder(folder)
        shutil.copy(self.replica, other.replica)
        other.last = self.last
        return other

    def land(self, *said: Said, now: datetime) -> int:
        """Land all of it as received now; returns the position it reached."""
        found = bodies(*said)
        with open_writer(self.replica) as db:
            Landing(db).land(a_batch(found, first_offset=self.last + 1, received=now), now)
        self.last += len(found)
        return self.last

    def report(self, name: str = "sla", *, form: str = "json", as_of: str | None = None, **asked: Any) -> bytes:
        output = self.outputs / "out"
        write_report(
            name,
            ReportOptions(**asked),
            Destination(form, output, raw=False, bom=False),
            settings=SETTINGS,
            source=self.replica,
            as_of=as_of,
            section=None,
            now=NOON + timedelta(minutes=40) if as_of is None else datetime.now(NOON.tzinfo),
        )
        return output.read_bytes()

    def difference(
        self,
        first: str,
        last: str | None = None,
        *,
        name: str = "sla",
        form: str = "json",
        events: bool = False,
        **asked: Any,
    ) -> Any:
        output = self.outputs / "out"
        write_difference(
            name,
            first,
            last,
            ReportOptions(**{"interval": "30m", **asked}),
            Destination(form, output, raw=False, bom=False),
            settings=SETTINGS,
            source=self.replica,
            events=events,
            now=datetime.now(NOON.tzinfo),
        )
        text = output.read_text(encoding="utf-8")
        return json.loads(text) if form == "json" else text
