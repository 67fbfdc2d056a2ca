"""`python -m supply.sbom FILE`: the bill of materials of what runs, as CycloneDX JSON, from the lock file.

It names every package that a user of holdtime may get, on any platform, with all optional parts and nothing that only
developers need: version, the hashes of its files, licence where the package says one, and what it needs. The same lock
gives the same bytes: no time of its making is in it.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from itertools import product
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import License
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
PROJECT = ROOT / "pyproject.toml"
LONGEST_LICENCE = 80
"""Some packages put the whole text where the name belongs."""

_PLATFORMS = [
    {"sys_platform": system, "platform_system": name, "os_name": kind, "python_version": version}
    for (system, name, kind), version in product(
        (("linux", "Linux", "posix"), ("darwin", "Darwin", "posix"), ("win32", "Windows", "nt")),
        ("3.11", "3.12", "3.13", "3.14"),
    )
]
_LINE = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True)
class Locked:
    """A package in the lock file."""

    name: str
    version: str
    hashes: tuple[str, ...]

    @property
    def purl(self) -> PackageURL:
        return PackageURL("pypi", name=self.name, version=self.version)


def locked(text: str) -> dict[str, Locked]:
    """The packages of a lock file, by name."""
    found: dict[str, Locked] = {}
    for part in re.split(r"\n(?=\S)", text):
        if (line := _LINE.match(part)) is not None:
            name = canonicalize_name(line[1])
            found[name] = Locked(name, line[2], tuple(sorted(_HASH.findall(part))))
    return found


def runtime(packages: dict[str, Locked], project: dict[str, Any]) -> dict[str, set[str]]:
    """What users get, and what each of these needs; the project itself is ''."""
    wanted = [Requirement(text) for text in _required(project)]
    needs: dict[str, set[str]] = {"": {canonicalize_name(each.name) for each in wanted}}
    seen: set[tuple[str, str]] = set()
    while wanted:
        each = wanted.pop()
        name = canonicalize_name(each.name)
        if name not in packages:
            continue  # never chosen, on no platform that the lock is for
        needs.setdefault(name, set())
        for extra in ("", *sorted(each.extras)):
            if (name, extra) not in seen:
                seen.add((name, extra))
                found = [one for one in _requirements(name, extra) if canonicalize_name(one.name) in packages]
                needs[name] |= {canonicalize_name(one.name) for one in found} - {name}
                wanted += found
    return needs


def bill(lock: str, project: str) -> str:
    """The document, for the texts of a lock file and of pyproject.toml."""
    said = tomllib.loads(project)
    packages = locked(lock)
    needs = runtime(packages, said)
    ours = said["project"]
    root = Component(
        name=ours["name"],
        version=ours["version"],
        description=ours["description"],
        type=ComponentType.APPLICATION,
        bom_ref=ours["name"],
        licenses=[LicenseFactory().make_from_string(ours["license"])],
    )
    components = {name: _component(packages[name]) for name in sorted(needs) if name}
    bom = Bom(components=components.values(), serial_number=uuid5(NAMESPACE_URL, lock + project))
    bom.metadata.component = root
    bom.metadata.timestamp = None  # type: ignore[assignment] # the schema asks for none, and it would be another each time
    for name, needed in needs.items():
        bom.register_dependency(components[name] if name else root, [components[each] for each in sorted(needed)])
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def _required(project: dict[str, Any]) -> Iterator[str]:
    yield from project["project"]["dependencies"]
    for optional in project["project"]["optional-dependencies"].values():
        yield from optional


def _requirements(name: str, extra: str) -> Iterator[Requirement]:
    """What a package that is installed needs, on any platform; of one that is for other platforms nothing is known."""
    try:
        texts = distribution(name).requires or []
    except PackageNotFoundError:
        return
    for each in map(Requirement, texts):
        if each.marker is None:
            if not extra:
                yield each
        elif any(each.marker.evaluate({**platform, "extra": extra}) for platform in _PLATFORMS):
            yield each


def _component(package: Locked) -> Component:
    return Component(
        name=package.name,
        version=package.version,
        type=ComponentType.LIBRARY,
        bom_ref=str(package.purl),
        purl=package.purl,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=each) for each in package.hashes],
        licenses=_licences(package.name),
    )


def _licences(name: str) -> list[License]:
    try:
        told = distribution(name).metadata
    except PackageNotFoundError:
        return []
    expression, words = (next(iter(told.get_all(header, [])), None) for header in ("License-Expression", "License"))
    if expression:
        return [LicenseFactory().make_from_string(expression)]
    classified = [
        each.rpartition(" :: ")[2] for each in told.get_all("Classifier", []) if each.startswith("License :: OSI")
    ]
    if words and len(words) <= LONGEST_LICENCE and "\n" not in words:
        return [LicenseFactory().make_from_string(words)]
    return [LicenseFactory().make_from_string(each) for each in sorted(set(classified))]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(bill(LOCK.read_text(), PROJECT.read_text()), encoding="utf-8")
    print(target)  # noqa: T201 - where it is
