"""The lock has what pyproject.toml pins, and all that these packages need in turn, each with hashes.

It is made by ``uv pip compile``, with the options that its first lines and CONTRIBUTING.md say.
"""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).parents[2]
TEXT = (PROJECT / "requirements.lock").read_text(encoding="utf-8")
# A requirement and its hashes are one line, continued by backslashes; what it comes from follows in comments.
LINES = [line for line in TEXT.replace("\\\n", " ").splitlines() if not line.lstrip().startswith("#")]
LOCKED = {canonicalize_name(pin.name): pin for pin in (Requirement(line.split(" --hash=")[0]) for line in LINES)}
PINS = {name: next(iter(pin.specifier)).version for name, pin in LOCKED.items()}


def pinned() -> list[Requirement]:
    """All that pyproject.toml asks for, with every extra."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    return [Requirement(line) for wanted in lists for line in wanted]


def applies(requirement: Requirement, extras: set[str]) -> bool:
    """Whether a package that was asked for with ``extras`` needs it on this machine."""
    environments = ({**default_environment(), "extra": extra} for extra in ("", *extras))
    return requirement.marker is None or any(map(requirement.marker.evaluate, environments))


@pytest.mark.parametrize("requirement", pinned(), ids=str)
def test_what_the_project_pins_is_locked(requirement: Requirement) -> None:
    assert str(requirement.specifier).startswith("=="), "pin one version"
    assert PINS[canonicalize_name(requirement.name)] == str(requirement.specifier).removeprefix("==")


def test_every_package_has_one_version_and_hashes_of_its_files() -> None:
    assert len(LINES) == len(LOCKED)
    for line in LINES:
        assert re.fullmatch(r"\S+==\S+( ; [^\\]*?)?( +--hash=sha256:[0-9a-f]{64})+", line.strip()), line


def test_no_index_is_named() -> None:
    """A registry is chosen where pip runs."""
    assert not re.search(r"^-|://|@ ", TEXT, re.MULTILINE)


def test_what_locked_packages_need_is_locked() -> None:
    """As far as they are installed here in the versions of the lock."""
    pending = [(canonicalize_name(requirement.name), frozenset(requirement.extras)) for requirement in pinned()]
    seen = set()
    while pending:
        name, extras = pending.pop()
        try:
            here = distribution(name)
        except PackageNotFoundError:
            continue  # of the extra for SLURM
        if (name, extras) in seen or here.version != PINS[name]:
            continue
        seen.add((name, extras))
        for requirement in map(Requirement, here.requires or []):
            if applies(requirement, set(extras)):
                needed = canonicalize_name(requirement.name)
                assert needed in PINS, f"{name} needs {requirement}"
                assert requirement.specifier.contains(PINS[needed], prereleases=True), f"{name} needs {requirement}"
                pending.append((needed, frozenset(requirement.extras)))
    assert len(seen) > len(pinned())


def test_contributors_are_told_how_it_was_made() -> None:
    (command,) = re.findall(r"^#    (uv pip compile .*)$", TEXT, re.MULTILINE)
    assert f"    {command}\n" in (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")
