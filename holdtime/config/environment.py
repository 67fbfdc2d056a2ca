"""The environment variables that holdtime reads."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from eventlog.kafka.address import servers
from holdtime.config.faults import fault_lines
from reconciler import address
from warehouse.paths import DatabasePath, database

_OTHER_LOGS = {"amqp", "file", "http", "https", "mysql", "nats", "postgres", "postgresql", "redis", "rediss", "s3"}


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


class Environment(BaseSettings):
    """The environment variables that holdtime reads."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, case_sensitive=False)

    log: Annotated[str, AfterValidator(_log)] = Field(default="sqlite:data/log.sqlite", validation_alias="HOLDTIME_LOG")
    warehouse: DatabasePath = Field(default=Path("data/warehouse.duckdb"), validation_alias="HOLDTIME_WAREHOUSE")
    replica: DatabasePath = Field(default=Path("data/replica.duckdb"), validation_alias="HOLDTIME_REPLICA")
    live: DatabasePath | None = Field(default=None, validation_alias="HOLDTIME_LIVE")
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
    def gateway(self) -> Path:
        """The file that dashboards keep open; beside the replica where nothing else is said."""
        return self.live or self.replica.with_name("live.duckdb")

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


def read() -> tuple[Environment, list[str]]:
    """Return the environment, with defaults for variables that cannot be read, and their faults."""
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
        return Environment(**stand_ins), fault_lines(error, where="")
