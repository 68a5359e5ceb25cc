"""The default study from nothing, at this commit and at an older one, and a second run that has nothing to do.

    python benchmarks/default_study.py COMMIT [--rounds 3] [--cores 8]

Clones the repository twice and runs ``snakemake --cores 8`` in each clone in turn, with the package of that clone, so
that a change of the machine's speed meets both alike. Prints wall seconds, CPU seconds of all processes, and jobs.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).parents[1]
WHAT = ("wall", "CPU", "nothing to do")


class Run(NamedTuple):
    wall: float  # seconds
    cpu: float  # seconds of all processes
    idle: float  # seconds of a second run, which has nothing to do
    jobs: int


def clone(commit: str, folder: Path) -> Path:
    subprocess.run(["git", "clone", "--quiet", REPOSITORY, folder], check=True)
    subprocess.run(["git", "-c", "advice.detachedHead=false", "checkout", "--quiet", commit], cwd=folder, check=True)
    return folder


def study(folder: Path, cores: int) -> Run:
    """Run the default study of a clone from nothing, and once more."""
    for name in ("results", "logs", ".snakemake"):
        shutil.rmtree(folder / name, ignore_errors=True)
    environment = os.environ | {"PYTHONPATH": str(folder / "src")}
    walls, before, printed = [], os.times(), ""
    for _ in range(2):
        started = time.time()
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", "--cores", str(cores)],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        walls.append(time.time() - started)
        if not printed:
            printed, after = done.stdout + done.stderr, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    jobs = max(map(int, re.findall(r"\d+ of (\d+) steps", printed)))
    return Run(walls[0], cpu, walls[1], jobs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit", help="the older one")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cores", type=int, default=8)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folders = [clone(commit, Path(name) / commit.replace("/", "_")) for commit in (arguments.commit, "HEAD")]
        rounds = []
        for _ in range(arguments.rounds):
            rounds.append([study(folder, arguments.cores) for folder in folders])
            for folder, run in zip(folders, rounds[-1], strict=True):
                print(
                    f"{folder.name}: {run.jobs} jobs, wall {run.wall:.0f} s, CPU {run.cpu:.0f} s, "
                    f"nothing to do {run.idle:.1f} s",
                    flush=True,
                )
    for i, what in enumerate(WHAT):
        ratio = statistics.median(new[i] / old[i] for old, new in rounds)
        old, new = (statistics.median(runs[side][i] for runs in rounds) for side in range(2))
        print(f"{what}: median {old:.1f} -> {new:.1f} s, ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
