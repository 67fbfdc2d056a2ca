"""Settings: the environment and `holdtime.toml`, read once, with every fault in them named at once."""

import os
import tomllib
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, Strict, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from holdtime.schedules.schedule import Schedule
from ingest.kafka_address import servers
from reports.hours import openings

CONFIG_FILE = Path("holdtime.toml")


class ConfigurationError(Exception):
    """The configuration cannot be used. `faults` says of each fault what was expected, what came and what to do."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"expected an IANA time zone such as Europe/Athens, found {name!r}") from None
    return name


def _variant(name: str) -> str:
    from reports.measures import VARIANTS  # noqa: PLC0415 -- polars is slow to import, and `--help` needs none of it

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


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ServiceLevel(_Section):
    """`[service_level]`: which service level the reports show first."""

    threshold_secs: Seconds = 20
    short_abandon_secs: Seconds = 5
    target: Target = 0.8
    variant: Variant = "short_abandons_excluded"


class QueueTerms(_Section):
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


class Kafka(_Section):
    """`[kafka]`: how the log on Kafka is reached and kept; nothing of it matters to a log in a file."""

    tls: bool = False
    ca_file: Path | None = None
    sasl: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    allow_plaintext: bool = False
    partitions: int = Field(default=12, ge=1, le=10_000)
    copies: int = Field(default=3, ge=1, le=7)
    retention_days: float | None = Field(default=None, gt=0, le=36_500)
    topic_prefix: str = Field(default="", pattern=r"^[A-Za-z0-9._-]{0,100}$")
    spool: Path | None = None
    facts: bool = True
    tracing: bool = False


class Completeness(_Section):
    """`[completeness]`: below which score figures are marked."""

    floor: float = Field(default=0.98, ge=0, le=1)


class Reconciliation(_Section):
    """`[reconciler]`: how often Telnyx is asked what the webhooks missed, and how gently."""

    every_minutes: float = Field(default=60, ge=1, le=24 * 60)
    requests_a_minute: int = Field(default=240, ge=1, le=100_000)


class Http(_Section):
    """`[http]`: how many may connect, and under which names the pages are served."""

    connections: int | None = Field(default=None, ge=8, le=1_000_000)
    connections_per_address: int | None = Field(default=None, ge=0, le=1_000_000)
    hosts: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,253}$")], ...] = ()


class Configuration(_Section):
    """`holdtime.toml`, all of it optional."""

    timezone: Zone = "UTC"
    longest_wait_hours: float = Field(default=24, gt=0, le=24 * 31)
    keep_log_days: float = Field(default=7, gt=0, le=36_500)
    service_level: ServiceLevel = ServiceLevel()
    http: Http = Http()
    kafka: Kafka = Kafka()
    reconciler: Reconciliation = Reconciliation()
    completeness: Completeness = Completeness()
    schedule: tuple[Schedule, ...] = ()
    queue: tuple[QueueTerms, ...] = ()

    @field_validator("schedule")
    @classmethod
    def _each_by_its_name(cls, schedules: tuple[Schedule, ...]) -> tuple[Schedule, ...]:
        names = [schedule.name for schedule in schedules]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"expected a name of its own for every schedule, found {', '.join(twice)} more than once")
        return schedules

    @field_validator("queue")
    @classmethod
    def _once(cls, queues: tuple[QueueTerms, ...]) -> tuple[QueueTerms, ...]:
        dated = [(each.name, each.effective_from) for each in queues]
        for name, since in dated:
            if dated.count((name, since)) > 1:
                when = "without effective_from" if since is None else f"effective_from {since}"
                raise ValueError(f"expected one [[queue]] a name and date, found {name!r} {when} more than once")
        return queues


class Environment(BaseSettings):
    """The environment variables that holdtime reads."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, case_sensitive=False)

    log: str = Field(default="sqlite:data/log.sqlite", validation_alias="HOLDTIME_LOG")
    warehouse: Path = Field(default=Path("data/warehouse.duckdb"), validation_alias="HOLDTIME_WAREHOUSE")
    replica: Path = Field(default=Path("data/replica.duckdb"), validation_alias="HOLDTIME_REPLICA")
    schedules: Path = Field(default=Path("data/schedules.sqlite"), validation_alias="HOLDTIME_SCHEDULES")
    http_host: str = Field(default="127.0.0.1", min_length=1, validation_alias="HOLDTIME_HTTP_HOST")
    http_port: int = Field(default=8080, ge=0, le=65_535, validation_alias="HOLDTIME_HTTP_PORT")
    admin_host: str = Field(default="127.0.0.1", min_length=1, validation_alias="HOLDTIME_ADMIN_HOST")
    admin_port: int | None = Field(default=None, ge=0, le=65_535, validation_alias="HOLDTIME_ADMIN_PORT")
    public_key: str = Field(default="", validation_alias="TELNYX_PUBLIC_KEY")
    api_key: SecretStr = Field(default=SecretStr(""), validation_alias="TELNYX_API_KEY")
    base_url: str = Field(default="", validation_alias="TELNYX_BASE_URL")

    kafka_username: str = Field(default="", validation_alias="HOLDTIME_KAFKA_USERNAME")
    kafka_password: SecretStr = Field(default=SecretStr(""), validation_alias="HOLDTIME_KAFKA_PASSWORD")

    @property
    def log_is_kafka(self) -> bool:
        """Whether the log is in a Kafka cluster, as against in a file."""
        return self.log.startswith("kafka:")

    @property
    def kafka_servers(self) -> tuple[str, ...]:
        """The addresses of the cluster's brokers. Raises ValueError."""
        if not self.log.startswith("kafka://"):
            raise ValueError(f"HOLDTIME_LOG: expected kafka://host:port,... found {self.log!r}")
        try:
            return servers(self.log.removeprefix("kafka://"))
        except ValueError as error:
            raise ValueError(f"HOLDTIME_LOG: {error}") from None

    @property
    def log_path(self) -> Path:
        """The SQLite log's file. Raises ValueError where the log is of another kind."""
        kind, separator, rest = self.log.partition(":")
        if kind == "sqlite" and separator and rest:
            return Path(rest)
        raise ValueError(f"HOLDTIME_LOG: expected sqlite:PATH or kafka://host:port,... found {self.log!r}")


class Settings(_Section):
    """Everything that is configured."""

    environment: Environment
    configuration: Configuration


def load(
    config: Path = CONFIG_FILE, *, also: Callable[[Settings], list[str]] = lambda _: [], sending: bool = False
) -> Settings:
    """Read the environment and the file. Raises ConfigurationError.

    `also` gives the faults of what only some commands need, to be named together with the others, if there are any; it
    is given what could be read, and defaults for the rest.
    `sending` is for those that send summaries: then a recipient that cannot be used is a fault, too.
    """
    faults: list[str] = []
    environment = configuration = None
    try:
        environment = Environment()
    except ValidationError as error:
        faults += _faults(error, where="")
    try:
        configuration = Configuration.model_validate(_read(config))
    except ValidationError as error:
        faults += _faults(error, where=f"{config}: ")
    except (OSError, ValueError) as error:
        faults.append(f"{config}: {error}")
    if configuration is not None and sending:
        faults += [f"{config}: {fault}" for each in configuration.schedule for fault in each.unreachable(os.environ)]
    if environment is None or configuration is None or faults:
        # No default stands for a port that cannot be read: that somebody else has it would be no fault.
        readable = environment or Environment.model_construct(
            public_key=os.environ.get("TELNYX_PUBLIC_KEY", ""), http_port=0
        )
        believed = Settings.model_construct(environment=readable, configuration=configuration or Configuration())
        raise ConfigurationError([*also(believed), *faults])
    return Settings(environment=environment, configuration=configuration)


def _read(config: Path) -> dict[str, Any]:
    if config == CONFIG_FILE and not config.exists():
        return {}  # nobody has to have one
    try:
        return tomllib.loads(config.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"expected TOML; {error}") from None
    except UnicodeDecodeError:
        raise ValueError("expected TOML in UTF-8, found other bytes") from None
    except OSError as error:
        raise OSError(f"cannot be read: {error.strerror}") from None


def _faults(error: ValidationError, *, where: str) -> list[str]:
    """One line a fault; a secret's value is never in it."""
    lines = []
    for fault in error.errors(include_url=False, include_context=False):
        name = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "extra_forbidden":
            lines.append(f"{where}{name} is not a setting: take it out, or see docs/operations.md for those there are")
            continue
        text = fault["msg"].removeprefix("Value error, ")
        found = "" if _is_secret(fault["loc"]) or "found" in text else _found(fault["input"])
        lines.append(f"{where}{name}: {text[0].lower()}{text[1:]}{found}")
    return lines


def _is_secret(place: tuple[int | str, ...]) -> bool:
    return any("KEY" in str(part) or part in {"recipients", "on_failure"} for part in place)


def _found(value: object) -> str:
    # Tables and arrays are left out: there may be a secret somewhere in them.
    return f", found {value!r}" if isinstance(value, str | int | float) else ""
