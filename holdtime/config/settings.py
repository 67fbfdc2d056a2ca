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

from eventlog.kafka.address import servers
from reconciler import address
from reports.calendar.hours import openings
from schedules.schedule import Schedule
from warehouse import os_error
from warehouse.paths import (
    AnyPath,
    DatabasePath,
    database,
)

CONFIG_FILE = Path("holdtime.toml")
_OTHER_LOGS = {"amqp", "file", "http", "https", "mysql", "nats", "postgres", "postgresql", "redis", "rediss", "s3"}
_SHORT = 5
"""No secret has so few characters, and every port has."""
MAX_BYTES = 1 << 20
"""A longer file holds no settings."""


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
    from reports.measures.measures import VARIANTS  # noqa: PLC0415 -- polars is slow to import, and `--help` needs none of it

    if name not in VARIANTS:
        raise ValueError(f"expected one of {', '.join(VARIANTS)}, found {name!r}")
    return name


def _hours(text: str) -> str:
    openings(text)
    return text


def _key(secret: SecretStr) -> SecretStr:
    key = secret.get_secret_value()
    if not key.isascii() or not key.isprintable() or key != key.strip():
        raise ValueError("expected a v2 API key, in printable ASCII with no space around it: copy it again")
    return secret


def _log(address: str) -> str:
    """No text of an error holds more of an address than its kind: the rest may be a password."""
    kind, separator, rest = address.partition(":")
    if separator and kind == "sqlite":
        if rest.startswith("//"):
            raise ValueError("expected sqlite:PATH, found sqlite://...: leave the slashes out, but for a path's own")
        try:
            database(rest)
        except ValueError as error:
            raise ValueError(f"expected sqlite:PATH; {error}") from None
    elif separator and kind == "kafka" and rest.startswith("//"):
        if "@" in rest:
            raise ValueError(
                "expected kafka://host:port,... without a user or a password, found both or either: set "
                "HOLDTIME_KAFKA_USERNAME and HOLDTIME_KAFKA_PASSWORD"
            )
        servers(rest.removeprefix("//"))
    else:
        found = f"an address of the kind {kind!r}" if separator and kind in _OTHER_LOGS else "something else"
        raise ValueError(f"expected sqlite:PATH or kafka://host:port,..., found {found}")
    return address


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

    log: Annotated[str, AfterValidator(_log)] = Field(default="sqlite:data/log.sqlite", validation_alias="HOLDTIME_LOG")
    warehouse: DatabasePath = Field(default=Path("data/warehouse.duckdb"), validation_alias="HOLDTIME_WAREHOUSE")
    replica: DatabasePath = Field(default=Path("data/replica.duckdb"), validation_alias="HOLDTIME_REPLICA")
    schedules: DatabasePath = Field(default=Path("data/schedules.sqlite"), validation_alias="HOLDTIME_SCHEDULES")
    http_host: str = Field(default="127.0.0.1", min_length=1, validation_alias="HOLDTIME_HTTP_HOST")
    http_port: int = Field(default=8080, ge=0, le=65_535, validation_alias="HOLDTIME_HTTP_PORT")
    admin_host: str = Field(default="127.0.0.1", min_length=1, validation_alias="HOLDTIME_ADMIN_HOST")
    admin_port: int | None = Field(default=None, ge=0, le=65_535, validation_alias="HOLDTIME_ADMIN_PORT")
    public_key: str = Field(default="", validation_alias="TELNYX_PUBLIC_KEY")
    api_key: Annotated[SecretStr, AfterValidator(_key)] = Field(
        default=SecretStr(""), validation_alias="TELNYX_API_KEY"
    )
    base_url: Annotated[str, AfterValidator(address.checked)] = Field(
        default=address.TELNYX, validation_alias="TELNYX_BASE_URL"
    )

    kafka_username: str = Field(default="", validation_alias="HOLDTIME_KAFKA_USERNAME")
    kafka_password: SecretStr = Field(default=SecretStr(""), validation_alias="HOLDTIME_KAFKA_PASSWORD")

    @property
    def log_is_kafka(self) -> bool:
        """Whether the log is in a Kafka cluster, as against in a file."""
        return self.log.startswith("kafka:")

    @property
    def kafka_servers(self) -> tuple[str, ...]:
        """The addresses of the cluster's brokers. Raises ValueError where the log is of another kind."""
        if not self.log_is_kafka:
            raise ValueError("HOLDTIME_LOG: expected kafka://host:port,..., found a log in a file")
        return servers(self.log.removeprefix("kafka://"))

    @property
    def log_path(self) -> Path:
        """The SQLite log's file. Raises ValueError where the log is of another kind."""
        if self.log_is_kafka:
            raise ValueError("HOLDTIME_LOG: expected sqlite:PATH, found a log on Kafka")
        return database(self.log.removeprefix("sqlite:"))


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
    configuration = None
    environment, unusable = _environment()
    faults += unusable
    try:
        configuration = Configuration.model_validate(_read(config))
    except ValidationError as error:
        faults += _faults(error, where=f"{config}: ")
    except OSError as error:
        faults.append(f"{config}: cannot be read: {os_error.reason(error)}")
    except ValueError as error:
        faults.append(f"{config}: {error}")
    if configuration is not None and sending:
        faults += [f"{config}: {fault}" for each in configuration.schedule for fault in each.unreachable(os.environ)]
    if configuration is None or faults:
        believed = Settings.model_construct(environment=environment, configuration=configuration or Configuration())
        raise ConfigurationError([*also(believed), *faults])
    return Settings(environment=environment, configuration=configuration)


def _environment() -> tuple[Environment, list[str]]:
    """The environment with defaults for what cannot be read, and the faults of that."""
    try:
        return Environment(), []
    except ValidationError as error:
        wrong = {str(fault["loc"][0]) for fault in error.errors(include_url=False, include_input=False)}
        # No default stands for a port that cannot be read: that somebody else has it would be no fault.
        stand_ins: dict[str, Any] = {
            str(field.validation_alias): 0 if name == "http_port" else field.default
            for name, field in Environment.model_fields.items()
            if field.validation_alias in wrong
        }
        return Environment(**stand_ins), _faults(error, where="")


def _read(config: Path) -> dict[str, Any]:
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


def _faults(error: ValidationError, *, where: str) -> list[str]:
    """One line a fault; a secret's value is never in it."""
    lines = []
    for fault in error.errors(include_url=False, include_context=False):
        name = ".".join(_shown(str(part)) for part in fault["loc"])
        if fault["type"] == "extra_forbidden":
            lines.append(f"{where}{name} is not a setting: take it out, or see docs/operations.md for those there are")
            continue
        text = fault["msg"].removeprefix("Value error, ")
        found = "" if "found" in text or _is_secret(fault["loc"]) else _found(fault["input"])
        if not where and len(str(fault["input"])) > _SHORT:
            found = ""  # it may be a secret that was set under the wrong name
        lines.append(f"{where}{name}: {text[0].lower()}{text[1:]}{found}")
    return lines


def _is_secret(place: tuple[int | str, ...]) -> bool:
    return any("KEY" in str(part) or part in {"recipients", "on_failure", "sasl"} for part in place)


def _found(value: object) -> str:
    # Tables and arrays are left out: there may be a secret somewhere in them.
    return f", found {_shown(repr(value))}" if isinstance(value, str | int | float) else ""


def _shown(text: str) -> str:
    """The text without what precedes an `@`, which may be a password, and not longer than a line."""
    safe = f"...{text[text.rindex('@') :]}" if "@" in text else text
    return safe if len(safe) <= 80 else f"{safe[:80]}..."
