"""What every command waits for before it begins, `--help` too."""

import subprocess
import sys

SLOW = ("aiokafka", "altair", "apprise", "duckdb", "jinja2", "polars", "pyarrow", "telnyx", "uvicorn")


def test_the_command_line_starts_without_databases_clients_or_charts() -> None:
    program = f"import sys, holdtime.cli.main; print([name for name in {SLOW!r} if name in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"
