"""`[[schedule]]` in holdtime.toml: every fault at once, and nothing secret in any text."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from holdtime.config.settings import (
    CONFIG_FILE,
    ConfigurationError,
    Settings,
    load,
)
from schedules import recipients

SECRET = "hunter2-not-to-be-seen"
MAIL = f"mailto://team:{SECRET}@127.0.0.1/?from=ops@example.com&to=ann@example.com,bob@example.com"
HOOK = f"json://127.0.0.1/hook/{SECRET}"
GOOD = """
[[schedule]]
name = "daily"
cron = "0 7 * * mon-fri"
timezone = "Europe/Athens"
report = "sla"
filters = { period = "yesterday", queues = ["support"], interval = "30m", threshold_secs = 30 }
formats = ["html", "csv", "xlsx"]
recipients = ["env:TEAM_MAIL"]
folder = "summaries"
"""


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty folder, and nothing in the environment that would be a recipient."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TEAM_MAIL", raising=False)


def configured(text: str, *, sending: bool = False) -> Settings:
    CONFIG_FILE.write_text(text)
    return load(sending=sending)


def faults_of(text: str, *, sending: bool = False) -> list[str]:
    with pytest.raises(ConfigurationError) as raised:
        configured(text, sending=sending)
    assert SECRET not in str(raised.value) + repr(raised.value)
    return raised.value.faults


def one(**changed: object) -> str:
    """A schedule that is right but for what is changed; None leaves a setting out."""
    lines: dict[str, object] = {"name": "daily", "cron": "0 7 * * *", "report": "sla", "folder": "out", **changed}
    told = [f"{name} = {_toml(value)}" for name, value in lines.items() if value is not None]
    return "\n".join(["[[schedule]]", *told, ""])


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_toml(each)}" for name, each in value.items()) + " }"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return repr(value)


def test_nothing_is_sent_unless_somebody_says_so() -> None:
    assert load().configuration.schedule == ()
    assert load().environment.schedules == Path("data/schedules.sqlite")


def test_a_schedule_is_what_the_file_says() -> None:
    (schedule,) = configured(GOOD).configuration.schedule
    assert (schedule.name, schedule.report, schedule.formats) == ("daily", "sla", ("html", "csv", "xlsx"))
    asked = schedule.asked(datetime(2026, 3, 30, 4, tzinfo=UTC), "UTC")
    assert asked == {
        "from_": "2026-03-28T22:00:00+00:00",
        "to": "2026-03-29T21:00:00+00:00",
        "tz": "Europe/Athens",
        "queues": ("support",),
        "interval": "30m",
        "threshold_secs": 30,
    }


def test_a_schedule_without_a_zone_is_in_the_configured_one() -> None:
    (schedule,) = configured('timezone = "Asia/Kolkata"\n' + one()).configuration.schedule
    assert str(schedule.times("Asia/Kolkata")) == "0 7 * * * in Asia/Kolkata"
    assert schedule.times("Asia/Kolkata").next(datetime(2026, 1, 1, tzinfo=UTC)) == datetime(
        2026, 1, 1, 1, 30, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("changed", "place", "wanted"),
    [
        ({"name": "a/b"}, "name", "string should match"),
        ({"name": None}, "name", "field required"),
        ({"cron": "0 7"}, "cron", "five fields"),
        ({"timezone": "Mars/Olympus"}, "timezone", "'Mars/Olympus' is not known"),
        ({"report": "horoscope"}, "report", "'horoscope' is not known: expected one of sla"),
        ({"formats": ("pdf",)}, "formats", "expected some of table, csv"),
        ({"formats": ()}, "formats", "at least 1 item"),
        ({"filters": {"period": "tomorrow"}}, "filters", "period: expected yesterday"),
        ({"filters": {"period": 7}}, "filters", "period: expected words"),
        ({"filters": {"interval": "2h"}}, "filters", "'2h' is not known"),
        ({"filters": {"queue": "support"}}, "filters", "'queue'"),
        ({"filters": {"from_": "2026-01-01"}}, "filters", "from_: expected `period`"),
        ({"filters": {"target": 80}}, "filters", "target must be a fraction"),
        ({"filters": {"threshold_secs": "20"}}, "filters", "values of their kinds"),
        ({"patience_minutes": -1}, "patience_minutes", "found -1"),
        ({"retry_minutes": 1e9}, "retry_minutes", "less than or equal"),
        ({"folder": None}, "schedule.0", "it would go nowhere"),
        ({"color": "red"}, "color", "is not a setting"),
    ],
)
def test_a_fault_is_named_with_its_place_and_what_was_expected(
    changed: dict[str, object], place: str, wanted: str
) -> None:
    (fault,) = faults_of(one(**changed))
    assert fault.startswith("holdtime.toml: schedule.0")
    assert place in fault
    assert wanted in fault


def test_every_fault_of_every_schedule_is_named_at_once() -> None:
    text = one(cron="x", report="y") + one(name="weekly", formats=("pdf",), recipients=("env:NOBODY",))
    assert len(faults_of(text, sending=True)) == 3
    assert len(faults_of(one() + one())) == 1  # of one name


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (MAIL, "tuple"),
        ([7, HOOK], "string"),
        ([{"url": HOOK}], "string"),
    ],
)
def test_a_recipient_of_the_wrong_kind_is_a_fault_that_does_not_show_it(given: object, wanted: str) -> None:
    faults = faults_of(one(recipients=given))
    assert any("recipients" in fault and wanted in fault for fault in faults)


def test_recipients_are_needed_only_by_what_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    assert configured(GOOD).configuration.schedule
    (fault,) = faults_of(GOOD, sending=True)
    assert fault == (
        "holdtime.toml: schedule daily: recipients 1: expected an apprise URL in the environment variable TEAM_MAIL, "
        "which is not set"
    )
    monkeypatch.setenv("TEAM_MAIL", MAIL)
    assert configured(GOOD, sending=True).configuration.schedule


@pytest.mark.parametrize(
    "url", [f"nosuch://{SECRET}", SECRET, f"env:{SECRET}://x", f"mailto://{SECRET}", f"slack://{SECRET}", ""]
)
@pytest.mark.parametrize("where", ["recipients", "on_failure"])
def test_a_recipient_that_cannot_be_is_a_fault_that_does_not_show_it(url: str, where: str) -> None:
    (fault,) = faults_of(one(**{where: (url,)}), sending=True)
    assert fault.startswith(f"holdtime.toml: schedule daily: {where} 1: expected ")


def test_nobody_can_be_a_recipient_twice() -> None:
    again = f"mailtos://other:{SECRET}@127.0.0.2/?from=me@example.com&to=BOB@example.com"
    faults = faults_of(one(recipients=(MAIL, HOOK, again, HOOK)), sending=True)
    assert faults == [
        "holdtime.toml: schedule daily: recipients 3: expected everybody once, recipients 1 (mailto), address 2 is the "
        "same one",
        "holdtime.toml: schedule daily: recipients 4: expected everybody once, recipients 2 (json) is the same one",
    ]


def test_a_secret_is_in_no_text() -> None:
    settings = configured(one(recipients=(MAIL, HOOK), on_failure=(HOOK,)), sending=True)
    (schedule,) = settings.configuration.schedule
    found, faults = recipients.found(schedule.recipients, {}, where="recipients")
    assert faults == []
    assert [each.label for each in found] == [
        "recipients 1 (mailto), address 1",
        "recipients 1 (mailto), address 2",
        "recipients 2 (json)",
    ]
    texts = f"{settings!r} {settings} {settings.model_dump_json()} {schedule!r} {found!r} {found}"
    assert SECRET not in texts
    assert "ann@example.com" not in repr(found)  # nor who it is


def test_a_recipient_is_the_same_one_with_another_password() -> None:
    def keys(url: str) -> list[str]:
        settings = configured(one(recipients=("env:TEAM_MAIL",)))
        urls = settings.configuration.schedule[0].recipients
        return [each.key for each in recipients.found(urls, {"TEAM_MAIL": url}, where="recipients")[0]]

    assert keys(MAIL) == keys(MAIL.replace(SECRET, "changed"))
    assert keys(HOOK) == keys(HOOK.replace(SECRET, "changed")) == ["env:TEAM_MAIL"]


def test_the_example_of_the_documentation_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[3] / "docs" / "schedules.md").read_text(encoding="utf-8")
    (toml,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    for name, url in re.findall(r"^export (\w+)='(.*)'$", page, re.MULTILINE):
        monkeypatch.setenv(name, url)
    monkeypatch.setenv("OPS_MAIL", MAIL)
    daily, monthly = configured(toml, sending=True).configuration.schedule
    assert (daily.name, monthly.name) == ("daily", "monthly")
