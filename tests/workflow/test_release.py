"""What a release says of itself is the same in every file that says it."""

import re
import tomllib
from pathlib import Path

import yaml

import layerscope


def test_version_and_licence_are_the_same_everywhere(project: Path) -> None:
    stated = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((project / "CITATION.cff").read_text(encoding="utf-8"))
    newest = re.search(r"^## (\S+) \(", (project / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest and {stated["version"], layerscope.__version__, str(citation["version"]), newest[1]} == {
        stated["version"]
    }
    assert stated["license"] == citation["license"]


def test_cited_are_those_who_hold_the_copyright(project: Path) -> None:
    (author,) = yaml.safe_load((project / "CITATION.cff").read_text(encoding="utf-8"))["authors"]
    assert author["name"].lower() in (project / "LICENSE").read_text(encoding="utf-8").lower()
