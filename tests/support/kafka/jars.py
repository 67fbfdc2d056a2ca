"""Where the broker's jars are: gathered once by Maven, with the Java that runs them."""

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

POM = Path(__file__).with_name("broker.pom.xml")
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "holdtime"
OLDEST_JAVA = 17


class NoBrokerError(Exception):
    """A broker cannot be had here; the text says what is missing and what to do."""


def gathered() -> Path:
    """The folder with the jars, filled if it is not there yet. Raises NoBrokerError."""
    folder = CACHE / f"kafka-{hashlib.sha256(POM.read_bytes()).hexdigest()[:12]}"
    if folder.is_dir():
        return folder
    maven = shutil.which("mvn")
    if maven is None:
        raise NoBrokerError(f"mvn (Apache Maven), which gathers the broker's jars, was not found; {OTHER_WAYS}")
    CACHE.mkdir(parents=True, exist_ok=True)
    unfinished = folder.with_name(f"{folder.name}.{os.getpid()}")
    command = [maven, "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={unfinished}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode != 0:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise NoBrokerError(f"Maven could not gather the broker's jars; {OTHER_WAYS}\n{done.stdout}{done.stderr}")
    try:
        unfinished.rename(folder)
    except OSError:  # somebody else was quicker
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def java() -> str:
    """A Java that can run the broker. Raises NoBrokerError."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=f"{home}/bin" if home else None) or shutil.which("java")
    if found is None:
        raise NoBrokerError(f"java was not found, and the broker needs {OLDEST_JAVA} or newer; {OTHER_WAYS}")
    said = subprocess.run([found, "-version"], capture_output=True, text=True, timeout=60, check=False).stderr
    version = re.search(r'version "(\d+)', said)
    if version is None or int(version[1]) < OLDEST_JAVA:
        raise NoBrokerError(f"{found} says {said.splitlines()[:1]}, the broker needs {OLDEST_JAVA}+; {OTHER_WAYS}")
    return found


OTHER_WAYS = (
    "install it, or start Docker, or set KAFKA_BOOTSTRAP_SERVERS to a broker that may be filled with test topics, "
    "or leave all that needs a broker untested with HOLDTIME_TEST_KAFKA=off"
)
