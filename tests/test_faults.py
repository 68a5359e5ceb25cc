"""Faults of disks and memory in a run: one line that says what to do, and a run that completes when it is done."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import pandas as pd
import pytest

PROJECT = Path(__file__).parents[1]
STUDY = {
    "models": {"tiny": {"source": "tiny", "tokenizer": "mini", "layers": 3}},
    "sampling": {"sequences": 4, "sequence_length": 32, "sequences_per_shard": 2},
    "studies": {
        "token_length": {"models": ["tiny"], "corpus": "embedded", "histogram_layer": 1, "draws": 100},
        "token_similarity": {"models": ["tiny"], "matrix_layer": 1},
        "path_length": {"models": ["tiny"], "corpus": "embedded"},
    },
}
TABLES = [f"results/{study}/layers.csv" for study in STUDY["studies"]]


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "snakemake", "--configfile", "study.json", "--cores", "2", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "src")}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with a tiny study whose tables are made."""
    from tiny_models import save_tiny_model

    folder = tmp_path_factory.mktemp("faults") / "finished"
    for name in ("workflow", "config", "profiles", "resources", "Snakefile"):
        (shutil.copytree if (PROJECT / name).is_dir() else shutil.copy)(PROJECT / name, folder / name)
    save_tiny_model("gpt2", folder / "tiny", vocab_size=8192)
    (folder / "study.json").write_text(json.dumps(STUDY))
    run = snakemake(folder, *TABLES)
    assert run.returncode == 0, run.stderr[-5000:]
    return folder


def change_a_value(path: Path, name: str) -> None:
    """As a program would: the file's own checksums are right."""
    with h5py.File(path, "r+") as file:
        file[name][0] += 1


def test_changed_files_are_named_and_the_commands_repair_them(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "changed"
    shutil.copytree(finished, folder)
    results = folder / "results"
    layer = "results/token_length/tiny/layer_02.parquet"
    changed = [
        results / "activations/tiny/embedded/shard_0001.h5",
        results / "path_length/tiny/shard_0000.h5",
        results / "token_similarity/tiny/layer_00.parquet",
    ]
    change_a_value(changed[0], "mlp_pre/layer_02")
    change_a_value(changed[1], "step_mlp")
    table = pd.read_parquet(changed[2])
    table.assign(cosine_mean=table["cosine_mean"] + 1e-9).to_parquet(changed[2])
    (folder / layer).unlink()  # nothing else asks for the activations again
    run = snakemake(folder, "--keep-going", layer, *TABLES)
    assert run.returncode == 1
    line_of = re.compile(r"^layerscope: .*: (\S+): .*; delete it and run again \((rm .*)\) \(log: ", re.MULTILINE)
    commands = dict(line_of.findall(run.stderr))
    assert set(commands) == {str(path.relative_to(folder)) for path in changed}
    for command in commands.values():
        subprocess.run(command, shell=True, cwd=folder, check=True)
    assert not any(path.exists() for path in changed)
    again = snakemake(folder, layer, *TABLES)
    assert again.returncode == 0, again.stderr[-5000:]
    for path in [*TABLES, layer, *(str(path.relative_to(folder)) for path in changed)]:
        assert (folder / path).read_bytes() == (finished / path).read_bytes(), path


def test_flipped_bytes_of_every_kind_of_file_are_found() -> None:
    """The benchmark, with 12 flips a kind: its exit status says whether all were found that change anything."""
    command = [sys.executable, PROJECT / "benchmarks/byte_flips.py", "--flips", "12"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.count(" bytes: 6 of 6 found in values; ") == 5
