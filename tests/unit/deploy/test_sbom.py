"""The bill of materials: valid, the same for the same lock, and all of what users get."""

import json
from importlib.metadata import requires
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from supply.sbom import LOCK, PROJECT, bill, locked

TEXT = bill(LOCK.read_text(), PROJECT.read_text())
BOM: dict[str, Any] = json.loads(TEXT)
COMPONENTS: dict[str, dict[str, Any]] = {each["name"]: each for each in BOM["components"]}


def test_it_is_valid_cyclonedx() -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(TEXT) is None
    assert BOM["metadata"]["component"]["name"] == "holdtime"


def test_the_same_lock_gives_the_same_bytes_and_another_one_another_serial_number() -> None:
    assert bill(LOCK.read_text(), PROJECT.read_text()) == TEXT
    another = json.loads(bill(LOCK.read_text() + "\n", PROJECT.read_text()))
    assert another["serialNumber"] != BOM["serialNumber"]


def test_it_names_every_package_that_users_get_with_its_version_and_hashes_and_no_developers_tool() -> None:
    packages = locked(LOCK.read_text())
    own = {canonicalize_name(Requirement(each).name) for each in requires("holdtime") or []}
    assert own | {"colorama", "pycparser", "opentelemetry-sdk"} <= COMPONENTS.keys() <= packages.keys()
    assert not {"pytest", "mypy", "ruff", "hypothesis", "cyclonedx-python-lib", "playwright"} & COMPONENTS.keys()
    for name, component in COMPONENTS.items():
        assert component["version"] == packages[name].version
        assert component["purl"] == f"pkg:pypi/{name}@{component['version']}"
        assert {each["content"] for each in component["hashes"]} == set(packages[name].hashes) != set()


def test_it_says_licences_and_what_needs_what() -> None:
    licensed = [name for name, component in COMPONENTS.items() if component.get("licenses")]
    assert len(licensed) >= 0.9 * len(COMPONENTS)
    assert BOM["metadata"]["component"]["licenses"] == [{"license": {"id": "Apache-2.0"}}]
    needs = {each["ref"]: each.get("dependsOn", []) for each in BOM["dependencies"]}
    assert COMPONENTS["duckdb"]["bom-ref"] in needs["holdtime"]
    assert COMPONENTS["cffi"]["bom-ref"] in needs[COMPONENTS["pynacl"]["bom-ref"]]
