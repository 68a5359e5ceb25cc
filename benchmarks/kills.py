"""What is left of a run that is killed again and again.

    python benchmarks/kills.py [--kills 200] [--cores 2] [--sequences N] [--seed 0]

Runs the default study in a copy of the project and kills the whole process group of Snakemake (SIGKILL) at random
moments, planning included. After each kill every file of a final name under results/ must be whole. The next start
takes the run up as a user does, with the lock removed and `--rerun-incomplete`; a run that ends before its kill begins
anew. After the last kill a run goes on undisturbed to its end: its tables and the values of its shards must equal,
bit for bit, those of a run that was never disturbed. Exits with 1 if anything was not so. --sequences takes a smaller
sample.
"""

import argparse
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
from PIL import Image

from layerscope.extract.activation_shards import ActivationShard, manifest_of
from layerscope.io.files import digest_of, read_json
from layerscope.io.tables import read_csv, read_table
from layerscope.studies.path_length.path_shards import read_path_shard
from layerscope.studies.token_similarity.vectors import read_vectors
from layerscope.summarize.summary_shards import read_layer_summary
from layerscope.tokenize.encoded_documents import read_part
from layerscope.tokenize.token_shards import read_token_shard

PROJECT = Path(__file__).parents[1]
MEAN = 12  # seconds from a start to its kill; now and then it is long enough for the longest job
LAYERS = 8  # of the model whose vectors are taken


def read_activations(path: Path) -> Any:
    with ActivationShard(path) as shard:
        return shard.tokens(), [digest_of([shard.values(name).tobytes()]) for name in sorted(shard.expected)]


def read_summary(path: Path) -> Any:
    with h5py.File(path) as file:
        layers = len(file["mlp_pre"])
    return [read_layer_summary([str(path)], layer) for layer in range(layers)]


def read_hdf5(path: Path) -> Any:
    match path.parts[path.parts.index("results") + 1]:
        case "documents":
            return read_part(path)
        case "tokens":
            return read_token_shard(path)
        case "activations":
            # Killed between the two renames, a shard has no manifest yet, and Snakemake makes it again.
            return read_activations(path) if manifest_of(path).exists() else None
        case "summaries":
            return read_summary(path)
        case "path_length":
            return read_path_shard(path)
        case _:
            return [read_vectors(str(path), layer) for layer in range(LAYERS)]


def read_whole_image(path: Path) -> None:
    with Image.open(path) as image:
        image.load()


def read_to_its_end(end: bytes) -> Callable[[Path], None]:
    def read(path: Path) -> None:
        if not path.read_bytes().rstrip().endswith(end):
            raise ValueError(f"{path} does not end with {end!r}")

    return read


READERS: dict[str, Callable[[Path], Any]] = {
    ".h5": read_hdf5,
    ".parquet": read_table,
    ".json": read_json,
    ".csv": read_csv,
    ".png": read_whole_image,
    ".pdf": read_to_its_end(b"%%EOF"),
    ".html": read_to_its_end(b"</html>"),
}


def files_of(results: Path) -> list[Path]:
    """Those of a final name."""
    found = (path for path in results.rglob("*") if path.is_file() and path.suffix in READERS)
    return [path for path in found if not path.name.startswith(".")]


def copy_project(folder: Path, sequences: int | None) -> None:
    for name in ("src", "workflow", "config", "profiles", "resources"):
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy(PROJECT / "Snakefile", folder)
    if sequences:
        config = f"sampling: {{sequences: {sequences}, sequences_per_shard: {sequences // 2}}}\n"
        (folder / "config.yaml").write_text(config)


def start(folder: Path, cores: int) -> subprocess.Popen[bytes]:
    for lock in folder.glob(".snakemake/locks/*"):  # as `snakemake --unlock` does, and a start sooner
        lock.unlink()
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--rerun-incomplete"]
    if (folder / "config.yaml").exists():
        command += ["--configfile", "config.yaml"]
    environment = {**os.environ, "PYTHONPATH": str(folder / "src")}
    with (folder / "snakemake.log").open("w") as log:
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)


def run_to_the_end(folder: Path, cores: int) -> None:
    if start(folder, cores).wait():
        sys.exit(f"a run that nothing disturbed failed:\n{(folder / 'snakemake.log').read_text()[-5000:]}")


class Checks:
    """Whether files are whole; each is read once as long as it stays as it is."""

    def __init__(self) -> None:
        self.seen: set[tuple[Path, int, int]] = set()
        self.broken: list[str] = []

    def check(self, results: Path) -> None:
        for path in files_of(results):
            status = path.stat()
            key = (path, status.st_ino, status.st_mtime_ns)
            if key not in self.seen:
                self.seen.add(key)
                try:
                    READERS[path.suffix](path)
                except Exception as error:
                    self.broken.append(f"{path}: {type(error).__name__}: {error}")
                    print(f"BROKEN {self.broken[-1]}", flush=True)


def values_of(folder: Path) -> dict[str, str]:
    """Digests of tables, records and the values of shards, by path."""
    digests = {}
    for path in files_of(folder / "results"):
        if path.suffix == ".h5":
            digests[str(path.relative_to(folder))] = digest_of([pickle.dumps(read_hdf5(path))])
        elif path.suffix in (".csv", ".parquet", ".json"):
            digests[str(path.relative_to(folder))] = digest_of([path.read_bytes()])
    return digests


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--sequences", type=int, help="of the sample, even; default: those of the default study")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    draw, checks, kills, ended, partial, began = random.Random(args.seed), Checks(), 0, 0, 0, time.time()
    with tempfile.TemporaryDirectory() as name:
        killed, undisturbed = Path(name) / "killed", Path(name) / "undisturbed"
        for folder in (killed, undisturbed):
            folder.mkdir()
            copy_project(folder, args.sequences)
        while kills < args.kills:
            run = start(killed, args.cores)
            try:
                if run.wait(draw.expovariate(1 / MEAN)):
                    sys.exit(f"a run failed by itself:\n{(killed / 'snakemake.log').read_text()[-5000:]}")
                ended += 1
                checks.check(killed / "results")
                shutil.rmtree(killed / "results")
                continue
            except subprocess.TimeoutExpired:
                os.killpg(run.pid, signal.SIGKILL)
                run.wait()
            kills += 1
            partial += any((killed / "results").rglob("*.partial*"))
            checks.check(killed / "results")
            if kills % 10 == 0:
                print(
                    f"{kills} kills in {time.time() - began:.0f} s: {partial} left files in part, {ended} runs ended, "
                    f"{len(checks.seen)} files checked, {len(checks.broken)} broken",
                    flush=True,
                )
        run_to_the_end(killed, args.cores)
        checks.check(killed / "results")
        left = [str(path) for path in (killed / "results").rglob("*.partial*")]
        run_to_the_end(undisturbed, args.cores)
        found, expected = values_of(killed), values_of(undisturbed)
        differing = sorted(path for path in found | expected if found.get(path) != expected.get(path))
    print(
        f"{kills} kills, {partial} left files in part; {len(checks.seen)} files checked, {len(checks.broken)} broken; "
        f"after the last run {len(left)} files in part, {len(differing)} of {len(expected)} differ from undisturbed"
    )
    print("\n".join([*left, *differing]))
    sys.exit(bool(checks.broken or left or differing))


if __name__ == "__main__":
    main()
