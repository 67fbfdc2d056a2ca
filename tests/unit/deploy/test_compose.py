"""What can be said of the containers without an engine to run them."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from holdtime.cli.main import app
from holdtime.config.settings import Configuration

ROOT = Path(__file__).parents[3]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
SERVICES: dict[str, Any] = COMPOSE["services"]
DIGEST = r"@sha256:[0-9a-f]{64}"
OURS = {name: service for name, service in SERVICES.items() if name != "kafka"}


def test_there_is_a_service_for_each_role() -> None:
    assert set(SERVICES) == {"kafka", "ingest", "process", "reconcile", "schedule"}


@pytest.mark.parametrize("name", SERVICES)
def test_no_service_has_more_rights_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert not str(service["user"]).startswith(("0", "root"))
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["pids_limit"] > 0
    assert service["mem_limit"]
    assert service["cpus"] > 0
    assert not {"privileged", "network_mode", "pid", "cap_add"} & service.keys()


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_listens_but_on_this_machine(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


def test_the_broker_listens_in_the_network_of_its_containers_only() -> None:
    """Anybody on a machine who could reach it could read every body, and write events that nobody signed."""
    broker = SERVICES["kafka"]
    assert "ports" not in broker
    assert "expose" not in broker
    listeners = broker["environment"]["KAFKA_LISTENERS"].split(",")
    assert [each.partition("://")[0] for each in listeners] == ["PLAINTEXT", "CONTROLLER"]
    assert broker["environment"]["KAFKA_ADVERTISED_LISTENERS"] == "PLAINTEXT://kafka:9092"


def test_tests_get_a_port_of_the_same_broker_by_a_file_of_their_own() -> None:
    over = yaml.safe_load((ROOT / "tests" / "kafka" / "compose.host.yaml").read_text())
    assert over["services"].keys() == {"kafka"}
    broker = over["services"]["kafka"]
    assert broker["ports"] == ["127.0.0.1:9092:19092"]
    assert broker["environment"].keys() <= SERVICES["kafka"]["environment"].keys()


def test_every_image_from_elsewhere_is_named_by_its_digest() -> None:
    bases = [line.split()[1] for line in DOCKERFILE.splitlines() if line.startswith("FROM ")]
    images = [service["image"] for service in SERVICES.values() if "build" not in service]
    assert len(set(bases)) == 1, "build and run on the same"
    assert all(re.fullmatch(rf"[a-z0-9./_-]+:[A-Za-z0-9._-]+{DIGEST}", image) for image in (*bases, *images))


def test_what_installs_the_rest_is_installed_by_hash() -> None:
    lines = (ROOT / "requirements-uv.txt").read_text().splitlines()
    pinned = [line for line in lines if "==" in line and not line.startswith("#")]
    assert len(pinned) == 1
    assert pinned[0].startswith("uv==")
    assert sum("--hash=sha256:" in line for line in lines) > 10, "of all platforms' wheels"
    for command in re.findall(r"pip install .*", (ROOT / "Makefile").read_text() + DOCKERFILE):
        assert "--require-hashes" in command or "--no-deps" in command, command


@pytest.mark.parametrize("name", ["kafka", "ingest", "process", "reconcile"])
def test_what_serves_is_asked_for_its_health(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


def test_every_volume_is_declared_and_nothing_of_the_machine_is_mounted() -> None:
    used = {mount.split(":")[0] for service in SERVICES.values() for mount in service.get("volumes", [])}
    assert used == set(COMPOSE["volumes"])


def test_only_one_service_writes_the_warehouse_and_the_others_only_read_the_replica() -> None:
    mounts = [(name, mount) for name, service in SERVICES.items() for mount in service.get("volumes", [])]
    assert [name for name, mount in mounts if mount.startswith("warehouse:")] == ["process"]
    assert all(mount.endswith(":ro") for name, mount in mounts if mount.startswith("replica:") and name != "process")


@pytest.mark.parametrize("name", ["ingest", "process", "reconcile"])
def test_every_service_runs_a_command_that_there_is(name: str) -> None:
    commands = getattr(get_command(app), "commands")  # noqa: B009 - the group's, which Typer does not type
    assert SERVICES[name]["command"][0] in commands


def test_no_secret_is_in_the_file() -> None:
    for service in OURS.values():
        for variable, said in service["environment"].items():
            if "KEY" in variable or "PASSWORD" in variable:
                assert re.fullmatch(r"\$\{[A-Z_]+:[-?].*\}", said)


def test_the_configuration_in_it_is_one() -> None:
    configured = Configuration.model_validate(tomllib.loads(COMPOSE["configs"]["holdtime"]["content"]))
    assert configured.kafka.spool == Path("/data/spool/spool.sqlite")
    assert "spool:/data/spool" in SERVICES["ingest"]["volumes"]


def test_the_image_installs_from_the_lock_file_and_does_not_run_as_root() -> None:
    lines = DOCKERFILE.splitlines()
    assert any("--require-hashes" in line and "requirements.lock" in line for line in lines)
    assert [line for line in lines if line.startswith("USER ")] == ["USER 10001"]
    assert not any(line.startswith("ADD ") for line in lines)


def test_the_build_context_holds_every_file_that_the_image_copies() -> None:
    copied = {
        source
        for line in DOCKERFILE.splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    }
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied == let_through
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["build-backend"]["module-name"]
    assert set(packages) <= copied


def test_the_broker_is_the_one_that_the_tests_ran_with() -> None:
    tested = re.search(
        r"<version>(\d+\.\d+\.\d+)</version>", (ROOT / "tests" / "support" / "kafka" / "broker.pom.xml").read_text()
    )
    assert tested is not None
    assert re.fullmatch(rf"apache/kafka:{re.escape(tested[1])}{DIGEST}", SERVICES["kafka"]["image"])
