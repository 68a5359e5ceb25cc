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
from project import PROJECT, copy_project, snakemake

from layerscope.extract.activation_shards import FORMAT, PLACE
from layerscope.io.errors import UserError
from layerscope.report.section import run_rows

STUDY = {
    "models": {"tiny": {"source": "tiny", "tokenizer": "mini", "layers": 3}},
    "sampling": {"sequences": 4, "sequence_length": 32, "sequences_per_shard": 2},
    "studies": {
        "token_length": {"models": ["tiny"], "corpus": "embedded", "histogram_layer": 1, "resamples": 100, "pairs": []},
        "token_similarity": {"models": ["tiny"], "matrix_layer": 1},
        "path_length": {"models": ["tiny"], "corpus": "embedded"},
    },
}
TABLES = [f"results/{study}/layers.csv" for study in STUDY["studies"]]


def run_study(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return snakemake(folder, "--configfile", "study.json", "--cores", "2", *arguments)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with a tiny study whose tables are made."""
    from tiny_models import save_tiny_model

    folder = tmp_path_factory.mktemp("faults") / "finished"
    copy_project(folder)
    save_tiny_model("gpt2", folder / "tiny", vocab_size=8192)
    (folder / "study.json").write_text(json.dumps(STUDY))
    run = run_study(folder, "results/claims.csv", *TABLES)
    assert run.returncode == 0, run.stderr[-5000:]
    return folder


def test_report_does_not_tell_of_a_shard_of_another_model(finished: Path, tmp_path: Path) -> None:
    """The report reads attributes alone, and by themselves those of the foreign shard are whole."""
    folder = tmp_path / "results/activations/other/embedded"
    folder.mkdir(parents=True)
    shutil.copy(finished / "results/activations/tiny/embedded/shard_0000.h5", folder)
    [row] = run_rows([str(finished / "results/activations/tiny/embedded/shard_0000.h5")], {FORMAT: PLACE})
    assert row.model == "tiny"
    with pytest.raises(UserError, match=r"holds what belongs in activations/tiny/embedded/shard_0000\.h5; delete it"):
        run_rows([str(folder / "shard_0000.h5")], {FORMAT: PLACE})


def change_a_value(path: Path, name: str) -> None:
    """As a program would: the file's own checksums are right."""
    with h5py.File(path, "r+") as file:
        file[name][0] += 1


def commands_of(run: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """Of a run that failed: files that were refused → the commands that it gives."""
    assert run.returncode == 1
    line_of = re.compile(r"^layerscope: .*: (\S+): .*; delete it and run again \((rm .*)\) \(log: ", re.MULTILINE)
    return dict(line_of.findall(run.stderr))


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
    commands = commands_of(run_study(folder, "--keep-going", layer, *TABLES))
    assert set(commands) == {str(path.relative_to(folder)) for path in changed}
    for command in commands.values():
        subprocess.run(command, shell=True, cwd=folder, check=True)
    assert not any(path.exists() for path in changed)
    again = run_study(folder, layer, *TABLES)
    assert again.returncode == 0, again.stderr[-5000:]
    for path in [*TABLES, layer, *(str(path.relative_to(folder)) for path in changed)]:
        assert (folder / path).read_bytes() == (finished / path).read_bytes(), path


@pytest.mark.parametrize(
    ("changed", "reader"),
    [("path_length/claims.csv", "claims.csv"), ("sources/tokenizers/mini/*.json", "token_similarity/tiny/vectors.h5")],
)
def test_changed_text_file_is_named_and_the_command_repairs_it(
    finished: Path, tmp_path: Path, changed: str, reader: str
) -> None:
    """As an editor or a spreadsheet does; what reads it is asked for again."""
    folder = tmp_path / "changed"
    shutil.copytree(finished, folder)
    [path] = (folder / "results").glob(changed)
    changed, reader = str(path.relative_to(folder)), f"results/{reader}"
    path.write_text(path.read_text().replace("tiny", "Tiny").replace("mini", "Mini"))
    (folder / reader).unlink()
    commands = commands_of(run_study(folder, reader))
    assert set(commands) == {changed}
    subprocess.run(commands[changed], shell=True, cwd=folder, check=True)
    again = run_study(folder, reader)
    assert again.returncode == 0, again.stderr[-5000:]
    for name in (changed, reader):
        assert (folder / name).read_bytes() == (finished / name).read_bytes(), name


@pytest.mark.slow
def test_flipped_bytes_of_every_kind_of_file_are_found() -> None:
    """The benchmark, with 12 flips a kind: its exit status says whether all were found that change anything."""
    command = [sys.executable, PROJECT / "benchmarks/byte_flips.py", "--flips", "12"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.count(" bytes: 6 of 6 found in values; ") == 6  # and a table, where values mix with others


# A job of the workflow, without Snakemake.
JOB = """
import sys
from pathlib import Path
from types import SimpleNamespace
from layerscope.model import loading
from layerscope.workflow.job import job
from tiny_models import extract

folder, prepare = Path(sys.argv[1]), sys.argv[2]
record = {"name": "tiny", "source": "tiny", "commit": None, "content": None, "path": str(folder / "model")}
task = SimpleNamespace(log=[str(folder / "log")], rule="extract", wildcards={"model": "tiny"})
exec(prepare)
with job(task):
    record |= {"model_type": "gpt2", "weights": "trained"}
    extract(folder / "tokens.h5", record, folder / "activations/shard.h5", batch_size=32, sites=["mlp_pre"])
"""
# As soon as the model is loaded, there is room for a part of a pass only.
LITTLE_MEMORY = """
import resource
load = loading.load_base_model

def load_and_limit(*args):
    model = load(*args)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + (8 << 20), -1))
    return model

loading.load_base_model = load_and_limit
"""
# There was room when the job began.
FILLS_UP = """
from layerscope.extract import store_activations
store_activations.check_space = lambda *_: None
"""


@pytest.fixture
def extraction(tmp_path: Path) -> Path:
    """A folder with a model and the tokens of 64 sequences of 64."""
    from tiny_models import save_random_tokens, save_tiny_model

    save_tiny_model("gpt2", tmp_path / "model", n_embd=256)
    save_random_tokens(tmp_path / "tokens.h5", 64, 64)
    return tmp_path


def run_job(folder: Path, prepare: str, *before: str) -> subprocess.CompletedProcess[str]:
    search = os.pathsep.join([str(PROJECT / "src"), str(PROJECT / "tests")])
    command = [*before, sys.executable, "-c", JOB, str(folder), prepare]
    environment = {**os.environ, "PYTHONPATH": search}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def check_line_and_second_run(folder: Path, run: subprocess.CompletedProcess[str], said: str) -> None:
    """One line, nothing left of the shard, and with room the job completes."""
    assert run.returncode == 1
    assert run.stderr.startswith("layerscope: extract tiny: ") and run.stderr.count("\n") == 1, run.stderr
    assert said in run.stderr
    shards = folder / "activations"
    assert not shards.exists() or not list(shards.iterdir())
    again = run_job(folder, "")
    assert again.returncode == 0, again.stderr
    assert sorted(path.name for path in shards.iterdir()) == ["shard.h5", "shard.json"]


@pytest.mark.slow
def test_memory_that_runs_out_in_the_middle_is_one_line(extraction: Path) -> None:
    run = run_job(extraction, LITTLE_MEMORY)
    check_line_and_second_run(extraction, run, "memory ran out (")
    assert "needs less with a lower extraction.batch_size" in run.stderr


@pytest.mark.slow
def test_disk_that_fills_up_in_the_middle_is_one_line(extraction: Path) -> None:
    """The shard takes 48 MB; here it has a file system of 20."""
    (extraction / "activations").mkdir()
    own = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    mount = f"mount -t tmpfs -o size=20m none {extraction}/activations"
    if not shutil.which("unshare") or subprocess.run([*own, mount], check=False, capture_output=True).returncode:
        pytest.skip("needs file systems of its own (unshare), which are not allowed here")
    left = f'"$@"; status=$?; ls -A {extraction}/activations; exit $status'
    run = run_job(extraction, FILLS_UP, *own, f"{mount} && {left}", "sh")
    assert run.stdout == ""  # nothing is left there
    check_line_and_second_run(extraction, run, "no space left (No space left on device); free some where results/ is")
