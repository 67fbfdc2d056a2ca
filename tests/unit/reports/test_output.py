"""Files for people: whole or as they were, whatever happens while they are written."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from reports.formats import output

GOOD, NEW = b"good " * 1000, b"new " * 100_000


def unfinished(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir() if each.name.startswith(".")]


def test_a_file_and_its_folders_are_made(tmp_path: Path) -> None:
    former = os.umask(0o027)
    try:
        output.write({tmp_path / "a" / "b" / "x.csv": NEW})
    finally:
        os.umask(former)
    assert (tmp_path / "a" / "b" / "x.csv").read_bytes() == NEW
    assert (tmp_path / "a" / "b" / "x.csv").stat().st_mode & 0o777 == 0o640
    assert unfinished(tmp_path / "a" / "b") == []


def test_a_file_that_is_there_is_replaced_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(GOOD)
    path.chmod(0o640)
    before = path.stat().st_ino
    output.write({path: NEW})
    assert path.read_bytes() == NEW
    assert path.stat().st_mode & 0o777 == 0o640
    assert path.stat().st_ino != before


def test_a_symbolic_link_stays_and_its_target_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link.csv").symlink_to("there/x.csv")
    for content in (GOOD, NEW):
        output.write({tmp_path / "link.csv": content})
        assert (tmp_path / "link.csv").is_symlink()
        assert (tmp_path / "there" / "x.csv").read_bytes() == content


FAILING = """
import resource, signal, sys
from pathlib import Path
from reports.formats import output
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    output.write({Path(sys.argv[1]): b"s", Path(sys.argv[2]): b"new " * 100_000})
except OSError as error:
    print(error.filename, error.strerror)
"""


def test_a_failure_leaves_every_file_as_it_was_and_nothing_beside_it(tmp_path: Path) -> None:
    small, large = tmp_path / "small.csv", tmp_path / "large.csv"
    small.write_bytes(GOOD)
    large.write_bytes(GOOD)
    said = subprocess.run(
        [sys.executable, "-c", FAILING, small, large], capture_output=True, text=True, check=True
    ).stdout
    assert said == f"{large} File too large\n"
    assert (small.read_bytes(), large.read_bytes()) == (GOOD, GOOD)
    assert unfinished(tmp_path) == []


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("file/x.csv", "Not a directory"),
        ("folder", "Is a directory"),
        ("loop", "Too many levels of symbolic links"),
        ("a" * 300, "File name too long"),
        ("full", "No space left on device"),
    ],
)
def test_an_error_names_the_path_that_was_asked_for(tmp_path: Path, place: str, reason: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "full").symlink_to("/dev/full")
    with pytest.raises(OSError, match=reason) as raised:
        output.write({tmp_path / place: NEW})
    assert raised.value.filename == str(tmp_path / place)
    assert unfinished(tmp_path) == []


def test_what_is_no_regular_file_is_written_to_as_it_is(tmp_path: Path) -> None:
    output.write({Path("/dev/null"): NEW})
    assert not Path("/dev/null").is_file()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    output.write({pipe: NEW})
    reader.join(10)
    assert read == [NEW]
    assert pipe.is_fifo()


def test_standard_output_by_its_path_goes_on_where_its_file_ends(tmp_path: Path) -> None:
    script = "from pathlib import Path; from reports.formats import output; output.write({Path('/dev/stdout'): b'new'})"
    (tmp_path / "x").write_bytes(b"before ")
    with (tmp_path / "x").open("ab") as file:
        subprocess.run([sys.executable, "-c", f"print('said', end=' '); {script}"], stdout=file, check=True)
    assert (tmp_path / "x").read_bytes() == b"before said new"
