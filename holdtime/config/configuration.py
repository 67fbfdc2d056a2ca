"""`holdtime.toml`: its sections, and how the file is read."""

import os
import re
import tomllib
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, field_validator

from reports.calendar.hours import openings
from schedules.schedule import Schedule
from warehouse.paths import AnyPath, DatabasePath

CONFIG_FILE = Path("holdtime.toml")
MAX_BYTES = 1 << 20
"""A longer file holds no settings."""


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"expected an IANA time zone such as Europe/Athens, found {name!r}") from None
    return name


def _variant(name: str) -> str:
    from reports.measures.measures import VARIANTS  # noqa: PLC0415 -- polars is slow to import, and `--help` needs none of it

    if name not in VARIANTS:
        raise ValueError(f"expected one of {', '.join(VARIANTS)}, found {name!r}")
    return name


def _hours(text: str) -> str:
    openings(text)
    return text


Seconds = Annotated[float, Field(ge=0, le=86_400)]
Target = Annotated[float, Field(gt=0, le=1)]
Zone = Annotated[str, AfterValidator(_time_zone)]
Variant = Annotated[str, AfterValidator(_variant)]


class ConfigSection(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ServiceLevel(ConfigSection):
    """`[service_level]`: which service level the reports show first."""

    threshold_secs: Seconds = 20
    short_abandon_secs: Seconds = 5
    target: Target = 0.8
    variant: Variant = "short_abandons_excluded"


class QueueSection(ConfigSection):
    """`[[queue]]`: what holds for one queue from a date on, in the queue's time zone. Left open, it stays as before."""

    name: str = Field(min_length=1)
    effective_from: Annotated[datetime, Strict()] | Annotated[date, Strict()] | None = None
    timezone: Zone | None = None
    threshold_secs: Seconds | None = None
    short_abandon_secs: Seconds | None = None
    target: Target | None = None
    variant: Variant | None = None
    business_hours: tuple[Annotated[str, AfterValidator(_hours)], ...] | None = None
    holidays: tuple[Annotated[date, Strict()], ...] | None = None


class Kafka(ConfigSection):
    """`[kafka]`: how the log on Kafka is reached and kept; nothing of it matters to a log in a file."""

    tls: bool = False
    ca_file: AnyPath | None = None
    sasl: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    allow_plaintext: bool = False
    partitions: int = Field(default=12, ge=1, le=10_000)
    copies: int = Field(default=3, ge=1, le=7)
    retention_days: float | None = Field(default=None, gt=0, le=36_500)
    topic_prefix: str = Field(default="", pattern=r"^[A-Za-z0-9._-]{0,100}$")
    spool: DatabasePath | None = None
    facts: bool = True
    tracing: bool = False


class Completeness(ConfigSection):
    """`[completeness]`: below which score figures are marked."""

    floor: float = Field(default=0.98, ge=0, le=1)


class Reconciliation(ConfigSection):
    """`[reconciler]`: how often Telnyx is asked what the webhooks missed, and how gently."""

    every_minutes: float = Field(default=60, ge=1, le=24 * 60)
    requests_a_minute: int = Field(default=240, ge=1, le=100_000)


def _mode(text: str) -> str:
    mode = int(text, 8) if re.fullmatch(r"0?[0-7]{3}", text) else None
    if mode is None or mode & 0o222 or not mode & 0o400:
        raise ValueError(f"expected a mode by which the owner reads and nobody writes, such as 0440, found {text!r}")
    return text


class Publish(ConfigSection):
    """`[publish]`: who may read what is published beside its owner, and how the gateway names the replica."""

    mode: Annotated[str, AfterValidator(_mode)] | None = None
    group: str | None = Field(default=None, min_length=1)
    paths: Literal["absolute", "relative"] = "absolute"


class Http(ConfigSection):
    """`[http]`: how many may connect, and under which names the pages are served."""

    connections: int | None = Field(default=None, ge=8, le=1_000_000)
    connections_per_address: int | None = Field(default=None, ge=0, le=1_000_000)
    hosts: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,253}$")], ...] = ()


class Configuration(ConfigSection):
    """`holdtime.toml`, all of it optional."""

    timezone: Zone = "UTC"
    longest_wait_hours: float = Field(default=24, gt=0, le=24 * 31)
    keep_log_days: float = Field(default=7, gt=0, le=36_500)
    service_level: ServiceLevel = ServiceLevel()
    publish: Publish = Publish()
    http: Http = Http()
    kafka: Kafka = Kafka()
    reconciler: Reconciliation = Reconciliation()
    completeness: Completeness = Completeness()
    schedule: tuple[Schedule, ...] = ()
    queue: tuple[QueueSection, ...] = ()

    @field_validator("schedule")
    @classmethod
    def _each_by_its_name(cls, schedules: tuple[Schedule, ...]) -> tuple[Schedule, ...]:
        names = [schedule.name for schedule in schedules]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"expected a name of its own for every schedule, found {', '.join(twice)} more than once")
        return schedules

    @field_validator("queue")
    @classmethod
    def _once(cls, queues: tuple[QueueSection, ...]) -> tuple[QueueSection, ...]:
        dated = [(each.name, each.effective_from) for each in queues]
        for name, since in dated:
            if dated.count((name, since)) > 1:
                when = "without effective_from" if since is None else f"effective_from {since}"
                raise ValueError(f"expected one [[queue]] a name and date, found {name!r} {when} more than once")
        return queues


def read(config: Path) -> dict[str, Any]:
    """Return the tables of the file; none where nobody made the default one. Raises OSError and ValueError."""
    if config == CONFIG_FILE and not os.path.lexists(config):
        return {}  # nobody has to have one
    with config.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"expected TOML of {MAX_BYTES:,} bytes at most, found more")
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"expected TOML; {error}") from None
    except UnicodeDecodeError:
        raise ValueError("expected TOML in UTF-8, found other bytes") from None
    except RecursionError:
        raise ValueError("expected TOML of settings, found arrays or tables within one another too often") from None
