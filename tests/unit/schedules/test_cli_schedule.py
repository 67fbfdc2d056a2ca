"""`holdtime schedule` used wrongly: what was expected is said, with exit code 2, and nothing is made."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from holdtime.cli.main import app
from holdtime.config.settings import CONFIG_FILE

ONE = '[[schedule]]\nname = "daily"\ncron = "0 7 * * *"\nreport = "sla"\nfolder = "summaries"\n'


@pytest.mark.parametrize(
    ("config", "arguments", "wanted"),
    [
        (ONE, ["daily"], "--now daily"),
        (ONE, ["--now"], "--now NAME"),
        (ONE, ["--now", "--preview", "daily"], "one of"),
        (ONE, ["--now", "weekly"], "expected one of daily"),
        (ONE, ["--status", "weekly"], "expected one of daily"),
        ("", [], "docs/schedules.md has examples"),
        (ONE.replace("folder", "color"), ["--status"], "color is not a setting"),
    ],
)
def test_wrong_use_exits_with_2_and_says_what_was_expected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: str, arguments: list[str], wanted: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    CONFIG_FILE.write_text(config)
    ended = CliRunner().invoke(app, ["schedule", *arguments])
    assert ended.exit_code == 2
    assert wanted in " ".join(ended.output.split())
    assert [path.name for path in tmp_path.iterdir()] == ["holdtime.toml"]
