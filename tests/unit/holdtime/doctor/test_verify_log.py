"""`holdtime doctor --verify-log`: every checksum, every signature, again."""

import asyncio
import base64
import contextlib
import json
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
from nacl.signing import SigningKey
from typer.testing import CliRunner

from eventlog.log import Origin, Record
from eventlog.signature_headers import SignatureHeaders
from eventlog.sqlite.log import SqliteLog
from holdtime.cli.main import app
from holdtime.doctor.checks import Check
from holdtime.doctor.verify_log import examine

OLD, NEW = SigningKey(bytes(range(32))), SigningKey(bytes(range(1, 33)))
NOW = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "holdtime.toml").touch()
    monkeypatch.setenv("TELNYX_PUBLIC_KEY", public(NEW, OLD))
    monkeypatch.setenv("HOLDTIME_LOG", "sqlite:log.sqlite")
    return tmp_path / "log.sqlite"


def public(*keys: SigningKey) -> str:
    return ",".join(base64.b64encode(bytes(key.verify_key)).decode() for key in keys)


def signed(number: int, key: SigningKey) -> Record:
    body = b"%d" % number
    return Record(
        body, number, signature_headers=SignatureHeaders(key.sign(b"1800000000|" + body).signature, b"1800000000")
    )


def keep(path: Path, *records: Record) -> None:
    async def append() -> None:
        log = SqliteLog(path)
        await log.start()
        for record in records:
            await log.append(record)
        await log.close()

    asyncio.run(append())


def found(path: Path) -> list[tuple[str, str, str]]:
    checks: tuple[Check, ...] = examine(path.with_name("holdtime.toml"), now=NOW, progress=lambda *_: None).checks
    return [(check.name, check.verdict.value, check.found) for check in checks]


def test_records_are_counted_by_who_signed_them(path: Path) -> None:
    records = [signed(number, OLD if number < 3 else NEW) for number in range(10)]
    keep(path, *records, Record(b"before", 5), Record(b"replayed", 6, Origin.REPLAY, verified=False))
    assert found(path) == [
        ("log", "ok", "12 records were read"),
        ("signatures", "ok", "7 are key 1's"),
        ("signatures", "ok", "3 are key 2's"),
        ("signatures", "note", "1 verified records came before the log kept signatures"),
        ("signatures", "note", "1 records have none: replayed or reconciled"),
    ]


def test_a_key_that_is_gone_and_a_forgery_are_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(path, signed(1, OLD), signed(2, NEW), signed(3, NEW)._replace(body=b"another"))
    monkeypatch.setenv("TELNYX_PUBLIC_KEY", public(NEW))
    assert found(path)[2] == (
        "signatures",
        "failed",
        "2 records count as verified, and none of the keys signed them: unknown key, or forged",
    )


def test_damage_is_told_and_what_follows_is_verified_all_the_same(path: Path) -> None:
    keep(path, *(signed(number, NEW) for number in range(9)))
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("update groups set bodies = 'x' where last_position = 4")
        db.execute("delete from groups where last_position = 7")
    before = path.read_bytes()
    result = CliRunner().invoke(app, ["doctor", "--verify-log", "--json"])
    assert result.exit_code == 1
    assert [(check["name"], check["verdict"], check["found"]) for check in json.loads(result.stdout)["checks"]] == [
        ("log", "ok", "7 records were read"),
        ("signatures", "ok", "7 are key 1's"),
        ("log", "failed", "the group at position 4 is not as it was written"),
        ("log", "failed", "positions 7 to 7 are missing"),
    ]
    assert path.read_bytes() == before


def test_what_cannot_be_read_at_all_is_one_line(path: Path) -> None:
    keep(path, signed(1, NEW))
    content = bytearray(path.read_bytes())
    content[4096:8192] = bytes(4096)
    path.write_bytes(content)
    name, verdict, said = found(path)[-1]
    assert (name, verdict) == ("log", "failed")
    assert "malformed" in said
    path.unlink()
    assert found(path)[0][1] == "note"
