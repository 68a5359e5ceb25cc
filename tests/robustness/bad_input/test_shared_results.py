"""Two copies of a project share results/ by a link: one of them runs at a time."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Run
from test_whole_workflow import TRACEBACK

TARGET = "results/tokens/mini/mine/shard_0000.h5"
# Python imports this by itself: whatever job tokenizes in the first copy goes on until it is ended.
SLOW = """
import runpy, time

def run_path(path, run_path=runpy.run_path, **options):
    if path.endswith(".tokenize.py"):
        open("sleeps", "w").close()
        time.sleep(60)
    return run_path(path, **options)

runpy.run_path = run_path
"""


@pytest.fixture
def copies(sources: Path, tmp_path: Path, study: dict[str, Any], snakemake: Run) -> list[Path]:
    """Two folders with one results folder."""
    (tmp_path / "shared").mkdir()
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        shutil.copytree(sources, folder)
        (folder / "results").symlink_to(tmp_path / "shared")
        assert snakemake(folder, study, "--dry-run").returncode == 0  # links what a project has, writes study.json
    return folders


@pytest.fixture
def first_run(copies: list[Path], project: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A run in the first copy, in the middle of a job."""
    folder = copies[0]
    (folder / "slow").mkdir()
    (folder / "slow/sitecustomize.py").write_text(SLOW)
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(project / "Snakefile"), "--cores", "1"]
    path = os.pathsep.join(filter(None, [str(folder / "slow"), os.environ.get("PYTHONPATH")]))
    with (folder / "output").open("w") as output:
        run = subprocess.Popen(
            [*command, "--configfile", "study.json", "--", TARGET],
            cwd=folder,
            env={**os.environ, "HOME": str(folder), "PYTHONPATH": path},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    end = time.monotonic() + 120
    while not (folder / "sleeps").exists():
        assert run.poll() is None and time.monotonic() < end, (folder / "output").read_text()
        time.sleep(0.1)
    yield run
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()


def content(folder: Path) -> dict[Path, tuple[int, bytes]]:
    """Every file below a folder, with its date."""
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}


def test_second_run_changes_nothing_until_the_first_is_killed(
    study: dict[str, Any], snakemake: Run, tmp_path: Path, copies: list[Path], first_run: subprocess.Popen[bytes]
) -> None:
    before = content(tmp_path / "shared")
    done = snakemake(copies[1], study, "--", TARGET)
    assert done.returncode != 0 and TRACEBACK not in done.stdout
    said = [line for line in done.stdout.splitlines() if line.startswith("results/")]
    named = f"host {socket.gethostname()}, process {first_run.pid}, folder {copies[0]}, since "
    assert len(said) == 1 and said[0].startswith(f"results/: another run is using it ({named}")
    assert content(tmp_path / "shared") == before
    assert snakemake(copies[1], study, "--dry-run").returncode == 0
    assert snakemake(copies[1], study, "--unlock").returncode == 0

    first_run.kill()  # and not its job, which goes on
    first_run.wait()
    done = snakemake(copies[1], study, "--", TARGET)
    assert done.returncode == 0, done.stdout
    assert (copies[0] / TARGET).is_file()
