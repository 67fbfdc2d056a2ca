"""Settings: what they are when nobody says anything, and every fault in them at once."""

import os
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from holdtime.config.queue_policies import policies
from holdtime.config.requests import request_of
from holdtime.config.settings import (
    CONFIG_FILE,
    ConfigurationError,
    load,
)

SECRET = "KEY0123456789_not-to-be-seen"


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty folder, and an environment that says nothing to holdtime."""
    monkeypatch.chdir(tmp_path)
    for name in ("LOG", "WAREHOUSE", "REPLICA", "HTTP_HOST", "HTTP_PORT", "CONFIG"):
        monkeypatch.delenv(f"HOLDTIME_{name}", raising=False)
    for name in ("TELNYX_PUBLIC_KEY", "TELNYX_API_KEY", "TELNYX_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def faults_of(config: str) -> list[str]:
    CONFIG_FILE.write_text(config)
    with pytest.raises(ConfigurationError) as raised:
        load()
    assert str(raised.value) == "\n".join(raised.value.faults)
    return raised.value.faults


def test_nothing_has_to_be_configured() -> None:
    settings = load()
    environment, configuration = settings.environment, settings.configuration
    assert environment.log_path == Path("data/log.sqlite")
    assert (environment.warehouse, environment.replica) == (Path("data/warehouse.duckdb"), Path("data/replica.duckdb"))
    assert environment.gateway == Path("data/live.duckdb")
    assert (environment.http_host, environment.http_port) == ("127.0.0.1", 8080)
    assert (configuration.timezone, configuration.longest_wait_hours, configuration.keep_log_days) == ("UTC", 24, 7)
    level = configuration.service_level
    assert (level.threshold_secs, level.short_abandon_secs, level.target) == (20, 5, 0.8)


def test_what_is_configured_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDTIME_LOG", "sqlite:here/it is.sqlite")
    monkeypatch.setenv("HOLDTIME_HTTP_PORT", "9000")
    CONFIG_FILE.write_text('timezone = "Europe/Athens"\n[service_level]\nthreshold_secs = 30\n')
    settings = load()
    assert settings.environment.log_path == Path("here/it is.sqlite")
    assert settings.environment.http_port == 9000
    assert settings.configuration.timezone == "Europe/Athens"
    assert settings.configuration.service_level.threshold_secs == 30


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "/etc/localtime", "europe/nowhere", "Europe"])
def test_an_unknown_time_zone_is_a_fault(name: str) -> None:
    (fault,) = faults_of(f'timezone = "{name}"')
    assert "timezone" in fault
    assert "IANA" in fault
    assert repr(name) in fault


def test_every_fault_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDTIME_HTTP_PORT", "99999")
    monkeypatch.setenv("HOLDTIME_HTTP_HOST", "")
    faults = faults_of(
        "longest_wait_hours = -1\nkeep_log_days = 'x'\nspeed = 3\n[service_level]\ntarget = 80\nthresold_secs = 20\n"
    )
    wanted = (
        "HOLDTIME_HTTP_PORT",
        "HOLDTIME_HTTP_HOST",
        "longest_wait_hours",
        "keep_log_days",
        "speed is not a setting",
        "service_level.target",
        "service_level.thresold_secs is not a setting",
    )
    for name in wanted:
        assert sum(name in fault for fault in faults) == 1, (name, faults)
    assert len(faults) == len(wanted)


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("HOLDTIME_HTTP_PORT", "http", "'http'"),
        ("HOLDTIME_HTTP_PORT", "-1", "'-1'"),
        ("HOLDTIME_HTTP_PORT", "65536", "'65536'"),
    ],
)
def test_a_fault_says_what_came(monkeypatch: pytest.MonkeyPatch, name: str, text: str, found: str) -> None:
    monkeypatch.setenv(name, text)
    with pytest.raises(ConfigurationError) as raised:
        load()
    (fault,) = raised.value.faults
    assert fault.startswith(f"{name}: ")
    assert found in fault


def test_a_file_that_is_not_toml_is_a_fault_with_its_name() -> None:
    (fault,) = faults_of("timezone = Europe/Athens")
    assert fault.startswith("holdtime.toml: expected TOML; ")


def test_a_file_of_other_bytes_is_a_fault_with_its_name() -> None:
    CONFIG_FILE.write_bytes(b"timezone = \xff")
    with pytest.raises(ConfigurationError, match=r"holdtime\.toml: expected TOML in UTF-8"):
        load()


def test_a_file_that_was_named_must_be_there() -> None:
    with pytest.raises(ConfigurationError, match=r"mine\.toml: cannot be read: No such file"):
        load(Path("mine.toml"))


@pytest.mark.parametrize("log", ["", "sqlite", "sqlite:", "mysql:x", "data/log.sqlite"])
def test_a_log_of_no_known_kind_is_a_fault(monkeypatch: pytest.MonkeyPatch, log: str) -> None:
    monkeypatch.setenv("HOLDTIME_LOG", log)
    with pytest.raises((ConfigurationError, ValueError), match="HOLDTIME_LOG: expected sqlite:PATH"):
        print(load().environment.log_path)  # noqa: T201 - it must not come to that


def test_a_secret_is_in_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELNYX_API_KEY", SECRET)
    settings = load()
    assert SECRET not in repr(settings) + str(settings) + settings.model_dump_json()
    assert settings.environment.api_key.get_secret_value() == SECRET
    monkeypatch.setenv("HOLDTIME_HTTP_PORT", "x")
    with pytest.raises(ConfigurationError) as raised:
        load()
    assert SECRET not in str(raised.value) + repr(raised.value)


QUEUE = """
timezone = "Europe/Athens"
[[queue]]
name = "support"
threshold_secs = 30
business_hours = ["mon-fri 09:00-17:00"]
holidays = [2026-12-25]
[[queue]]
name = "support"
effective_from = 2026-03-02T12:00:00
timezone = "America/New_York"
target = 0.9
[[queue]]
name = "sales"
effective_from = 2026-03-02
variant = "answered_only"
"""


def test_what_is_agreed_for_a_queue_has_dates_of_its_own_time_zone() -> None:
    CONFIG_FILE.write_text(QUEUE)
    first, second, third = policies(load().configuration)
    assert (first.queue, first.since, first.threshold_secs, first.tz) == ("support", None, 30, "Europe/Athens")
    assert first.hours is not None
    assert len(first.hours) == 5
    assert first.holidays == (date(2026, 12, 25),)
    assert (second.since, second.target, second.hours) == (datetime(2026, 3, 2, 17, tzinfo=UTC), 0.9, None)
    assert (third.since, third.variant) == (datetime(2026, 3, 1, 22, tzinfo=UTC), "answered_only")


def test_an_option_holds_for_every_queue_and_the_zone_of_the_only_queue_is_the_reports() -> None:
    CONFIG_FILE.write_text(QUEUE)
    now = datetime(2026, 3, 4, tzinfo=UTC)
    request = request_of(load().configuration, {"threshold_secs": 10.0, "queues": ("support",)}, now)
    assert {each.threshold_secs for each in request.effective_policies} == {10.0}
    assert {each.target for each in request.effective_policies} == {0.8, 0.9}
    assert request.tz == "America/New_York"
    assert request_of(load().configuration, {"queues": ("support", "sales")}, now).tz == "Europe/Athens"
    assert request_of(load().configuration, {"queues": ("support",), "tz": "UTC"}, now).tz == "UTC"
    assert request_of(load().configuration, {}, now).tz == "Europe/Athens"


def test_without_a_zone_for_all_a_report_is_in_the_one_that_all_queues_agree_on() -> None:
    now = datetime(2026, 3, 4, tzinfo=UTC)
    queue = '[[queue]]\nname = "{}"\ntimezone = "{}"\n'
    CONFIG_FILE.write_text(queue.format("support", "Asia/Kolkata") + queue.format("sales", "Asia/Kolkata"))
    assert request_of(load().configuration, {}, now).tz == "Asia/Kolkata"
    CONFIG_FILE.write_text(queue.format("support", "Asia/Kolkata") + queue.format("sales", "Europe/Athens"))
    assert request_of(load().configuration, {}, now).tz == "UTC"


@pytest.mark.parametrize(
    ("config", "queues", "tz", "origin"),
    [
        ("", (), "UTC", "default"),
        ('[[queue]]\nname = "support"\n', (), "UTC", "default"),
        ('[[queue]]\nname = "support"\n', ("support",), "UTC", "default"),
        ('timezone = "UTC"\n', (), "UTC", "holdtime.toml"),
        ('[[queue]]\nname = "support"\ntimezone = "UTC"\n', (), "UTC", "holdtime.toml"),
        ('[[queue]]\nname = "support"\ntimezone = "Asia/Tokyo"\n', ("support",), "Asia/Tokyo", "holdtime.toml"),
        ('[[queue]]\nname = "support"\ntimezone = "Asia/Tokyo"\n', ("sales",), "UTC", "default"),
        # Two queues of two zones: neither zone is the report's.
        ('[[queue]]\nname = "support"\ntimezone = "Asia/Tokyo"\n', ("support", "sales"), "UTC", "default"),
    ],
)
def test_a_time_zone_is_said_to_come_from_the_file_only_where_the_file_names_it(
    config: str, queues: tuple[str, ...], tz: str, origin: str
) -> None:
    CONFIG_FILE.write_text(config)
    request = request_of(load().configuration, {"queues": queues}, datetime(2026, 3, 4, tzinfo=UTC))
    (found,) = request.settings("tz")
    assert (found.value, found.origin) == (tz, origin)


def test_a_byte_order_mark_before_the_file_is_no_part_of_it() -> None:
    CONFIG_FILE.write_bytes(b"\xef\xbb\xbf" + b'timezone = "Asia/Tokyo"\r\n')
    assert load().configuration.timezone == "Asia/Tokyo"


def test_every_fault_in_what_is_agreed_is_named() -> None:
    faults = faults_of(
        '[[queue]]\nname = ""\nvariant = "best"\nbusiness_hours = ["nine to five"]\n'
        "effective_from = 7\nthresold_secs = 3\n"
    )
    text = "\n".join(faults)
    for name in ("queue.0.name", "answered_only", "mon-fri 09:00-17:00", "effective_from", "thresold_secs"):
        assert name in text, text
    (twice,) = faults_of('[[queue]]\nname = "a"\n[[queue]]\nname = "a"\n')
    assert "'a' without effective_from more than once" in twice


def test_the_address_of_the_api_is_checked_and_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load().environment.base_url == "https://api.telnyx.com/v2"
    monkeypatch.setenv("TELNYX_BASE_URL", f"https://user:{SECRET}@api.telnyx.com/v2")
    (fault,) = faults_of("")
    assert fault.startswith("TELNYX_BASE_URL: expected an address such as https://api.telnyx.com/v2")
    assert SECRET not in fault


@pytest.mark.parametrize("key", [f"{SECRET}\n", f"{SECRET} ", f"{SECRET}é", f"\x1b{SECRET}"])
def test_a_key_that_no_header_can_hold_is_a_fault(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("TELNYX_API_KEY", key)
    (fault,) = faults_of("")
    assert fault.startswith("TELNYX_API_KEY: expected a v2 API key")
    assert SECRET not in fault


@pytest.mark.parametrize(
    "log",
    [
        f"kafka://user:{SECRET}@host:9092",
        f"kafka://user:{SECRET}",
        f"kafka:/user:{SECRET}@host",
        f"user:{SECRET}@host",
        f"kafka://user:{SECRET}%40host:9092",
        f"kafka://h:9,user:{SECRET}@host:9",
        f"redis://:{SECRET}@host",
        f"kafka://host:{SECRET}",
        f"kafka:{SECRET}",
        f"sqlite://user:{SECRET}@host",
        f"{SECRET}:x",
        SECRET,
    ],
)
def test_no_error_echoes_a_password_in_the_address_of_a_log(monkeypatch: pytest.MonkeyPatch, log: str) -> None:
    monkeypatch.setenv("HOLDTIME_LOG", log)
    with pytest.raises(ConfigurationError) as raised:
        load()
    (fault,) = raised.value.faults
    assert fault.startswith("HOLDTIME_LOG: expected ")
    assert SECRET not in str(raised.value) + repr(raised.value)


@pytest.mark.parametrize("name", ["HOLDTIME_HTTP_PORT", "HOLDTIME_LOG", "HOLDTIME_WAREHOUSE", "HOLDTIME_SCHEDULES"])
@pytest.mark.parametrize("secret", [SECRET, f"postgres://user:{SECRET}@host/x", f"md:x?motherduck_token={SECRET}"])
def test_no_error_echoes_a_secret_that_was_set_under_another_name(
    monkeypatch: pytest.MonkeyPatch, name: str, secret: str
) -> None:
    monkeypatch.setenv(name, secret)
    with suppress(ConfigurationError):
        load()
        return
    with pytest.raises(ConfigurationError) as raised:
        load()
    assert SECRET not in str(raised.value) + repr(raised.value)


@pytest.mark.parametrize("line", [f'sasl = "{SECRET}"', f'ca_file = ["{SECRET}"]', f'partitions = "x:{SECRET}@y"'])
def test_no_error_echoes_a_secret_of_the_file(line: str) -> None:
    (fault,) = faults_of(f"[kafka]\n{line}\n")
    assert SECRET not in fault


@pytest.mark.parametrize(
    "text", ["sqlite:", "sqlite::memory:", "sqlite:file:x?mode=memory", "sqlite:///x", "sqlite:data/"]
)
def test_a_log_is_a_file(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("HOLDTIME_LOG", text)
    with pytest.raises(ConfigurationError, match="HOLDTIME_LOG: expected sqlite:PATH"):
        load()


def test_every_path_may_begin_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    for name, text in (("LOG", "sqlite:~/l"), ("WAREHOUSE", "~/w"), ("REPLICA", "~/r"), ("SCHEDULES", "~/s")):
        monkeypatch.setenv(f"HOLDTIME_{name}", text)
    CONFIG_FILE.write_text(
        "[kafka]\nca_file = '~/ca'\nspool = '~/spool'\n"
        "[[schedule]]\nname = 'a'\ncron = '0 8 * * 1'\nreport = 'sla'\nfolder = '~/out'\n"
    )
    settings = load()
    environment, kafka, (schedule,) = (
        settings.environment,
        settings.configuration.kafka,
        settings.configuration.schedule,
    )
    paths = (environment.log_path, environment.warehouse, environment.replica, environment.schedules)
    assert [str(path) for path in paths] == [f"/home/somebody/{name}" for name in "lwrs"]
    assert [str(path) for path in (kafka.ca_file, kafka.spool, schedule.folder)] == [
        f"/home/somebody/{name}" for name in ("ca", "spool", "out")
    ]


def test_a_database_never_takes_the_place_of_what_is_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo("pipe")
    for name, text in (("LOG", "sqlite:/dev/null"), ("WAREHOUSE", "/dev/zero"), ("REPLICA", "pipe")):
        monkeypatch.setenv(f"HOLDTIME_{name}", text)
    log, warehouse, replica = faults_of("")
    assert log.startswith("HOLDTIME_LOG: expected sqlite:PATH; expected the path of a file, found a device, ")
    assert warehouse.startswith("HOLDTIME_WAREHOUSE: expected the path of a file, found a device, '/dev/zero'")
    assert replica.startswith("HOLDTIME_REPLICA: expected the path of a file, found a pipe, 'pipe'")


def test_every_path_that_cannot_be_one_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (
        *(("LOG", "sqlite::memory:"), ("WAREHOUSE", "md:x"), ("REPLICA", ":memory:"), ("SCHEDULES", "~nosuchuser/s")),
        ("HTTP_PORT", "x"),
    ):
        monkeypatch.setenv(f"HOLDTIME_{name}", text)
    faults = faults_of("[kafka]\nca_file = ''\nspool = 'http://x/y'\n")
    for name in ("LOG", "WAREHOUSE", "REPLICA", "SCHEDULES", "HTTP_PORT"):
        assert sum(fault.startswith(f"HOLDTIME_{name}: ") for fault in faults) == 1, faults
    assert sum("kafka.ca_file" in fault or "kafka.spool" in fault for fault in faults) == 2
    assert len(faults) == 7
    assert [each.name for each in Path().iterdir()] == ["holdtime.toml"]


def test_a_byte_order_mark_is_no_part_of_the_file() -> None:
    CONFIG_FILE.write_bytes(b"\xef\xbb\xbftimezone = 'Europe/Athens'\n")
    assert load().configuration.timezone == "Europe/Athens"


@pytest.mark.parametrize(
    "content", [b"x = " + b"[" * 100_000, b"x = " + b"9" * 5_000, b"#" * (2 << 20), b"\0", b"a.b" * 9]
)
def test_a_file_of_nonsense_is_a_fault_in_one_line(content: bytes) -> None:
    CONFIG_FILE.write_bytes(content)
    with pytest.raises(ConfigurationError) as raised:
        load()
    (fault,) = raised.value.faults
    assert fault.startswith("holdtime.toml: ")
    assert len(fault) < 300


def test_the_gateway_is_beside_the_replica_unless_it_is_said_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDTIME_REPLICA", "elsewhere/replica.duckdb")
    assert load().environment.gateway == Path("elsewhere/live.duckdb")
    monkeypatch.setenv("HOLDTIME_LIVE", "public/dashboards.duckdb")
    assert load().environment.gateway == Path("public/dashboards.duckdb")
