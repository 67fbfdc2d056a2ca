"""The built wheel, installed outside of the checkout: all of it is in, and it works there."""

import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.support.waiting import PATIENCE_S

ROOT = Path(__file__).parents[2]
PACKAGES = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["build-backend"]["module-name"]
BUILD = "import sys, uv_build; print(uv_build.build_wheel(sys.argv[1]))"
PLACES = "import importlib, sys; print(*(importlib.import_module(name).__file__ for name in sys.argv[1:]), sep='\\n')"


def ran(*command: str | Path, folder: Path, path: str = os.environ["PATH"]) -> str:
    """What a command says, run in a folder where nothing tells it of the checkout."""
    ended = subprocess.run(
        command,
        cwd=folder,
        env={"PATH": path, "HOME": str(folder), "COLUMNS": "200"},
        capture_output=True,
        check=False,
        text=True,
        timeout=4 * PATIENCE_S,
    )
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-2000:]
    return ended.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, tools = tmp_path_factory.mktemp("dist"), str(Path(sys.executable).parent)
    return folder / ran(sys.executable, "-c", BUILD, folder, folder=ROOT, path=tools).split()[-1]


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel; what it needs is lent by the one that runs the tests, whose holdtime is not."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=True, symlinks=True)
    ran(folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel, folder=folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "lent.pth").write_text(sysconfig.get_path("purelib"))
    return folder


def test_every_file_of_every_package_is_in_the_wheel_and_no_test(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name and not name.endswith("/")}
    wanted = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert found == wanted
    assert {Path(name).suffix for name in found} >= {".py", ".sql", ".css", ".j2"}


def test_the_demo_works_in_its_folder_and_finds_what_happened(installed: Path, tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "demo", tmp_path / "elsewhere"
    elsewhere.mkdir()
    places = ran(installed / "bin" / "python", "-c", PLACES, *PACKAGES, folder=elsewhere).splitlines()
    assert len(places) == len(PACKAGES)
    assert all(Path(place).is_relative_to(installed) for place in places), places
    assert "as they happened" in ran(installed / "bin" / "holdtime", "demo", "--dir", folder, folder=elsewhere)
    assert "<html" in (folder / "report.html").read_text(encoding="utf-8").lower()
    assert {"report.html", "replica.duckdb", "warehouse.duckdb", "server.log"} <= {
        each.name for each in folder.iterdir()
    }
    assert list(elsewhere.iterdir()) == []
