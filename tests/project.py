"""The project as its user has it: copies of it, the command that runs it, and tiny studies."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import warm

PROJECT = Path(__file__).parents[1]
FOLDERS = ("src", "workflow", "config", "profiles", "resources", "docs", ".test/config")
STUDIES = ("token_length", "token_similarity", "path_length")


def copy_project(folder: Path, *ignored: str) -> None:
    """Make ``folder`` the project as it is cloned, but for what matches ``ignored``."""
    for name in FOLDERS:
        unwanted = shutil.ignore_patterns("__pycache__", "*.egg-info", *ignored)
        shutil.copytree(PROJECT / name, folder / name, ignore=unwanted)
    for name in ("Snakefile", "README.md"):
        shutil.copy(PROJECT / name, folder / name)


def link_project(folder: Path) -> None:
    """Link what a run reads of the project beside its code; ``snakemake`` then runs the project's own Snakefile."""
    for name in ("config", "profiles", "resources"):
        if not (folder / name).exists():
            (folder / name).symlink_to(PROJECT / name)


def snakemake(
    folder: Path,
    *arguments: str,
    fresh: bool = False,
    before: tuple[str, ...] = (),
    umask: int = -1,
    environment: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run the command in a copy of the project, or in a folder that links to it.

    Args:
        fresh: start the command and its jobs as for a user; else they are forks of a process that has the libraries
            imported, which have read their settings from the environment of the tests.
        before: a command that runs this one, which is then fresh.
        umask: of the command, which is then fresh.
        environment: all of it; that of this process, if not given.
    """
    copied = (folder / "Snakefile").exists()
    options = [] if copied else ["--snakefile", str(PROJECT / "Snakefile")]
    # Else that of this process, which mutated code replaces.
    source = folder / "src" if copied else Path(find_spec("layerscope").origin).parents[1]
    if not (fresh or before or umask >= 0):
        return warm.call(
            "warm:run_snakemake", *options, *arguments, source=source, folder=folder, environment=environment
        )
    environment = {**(environment or os.environ)}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(source), environment.get("PYTHONPATH")]))
    return subprocess.run(
        [*before, sys.executable, "-m", "snakemake", *options, *arguments],
        cwd=folder,
        env=environment,
        umask=umask,
        capture_output=True,
        text=True,
        check=False,
    )
