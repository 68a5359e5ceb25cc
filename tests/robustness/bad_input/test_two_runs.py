"""Results of two runs in one folder: what does not belong together is refused, and what is whole is kept."""

import copy
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import STUDY, TEXTS, Run, run_snakemake
from tiny_models import save_tiny_model

TABLE = "results/token_length/tiny/layer_01.parquet"
SHARDS = "results/activations/tiny/mine"


def refusal(done: subprocess.CompletedProcess[str]) -> tuple[str, str]:
    """The one line of a job that refuses its input, and the command in it."""
    assert done.returncode != 0, done.stdout
    jobs = "layerscope: correlate_token_length", "layerscope: summarize_stored"
    [line] = {line for line in done.stdout.splitlines() if line.startswith(jobs)}
    assert "Traceback" not in done.stdout
    command = re.search(r"\((rm -r .+?)\) \(log:", line)
    assert command, line
    return line, command[1]


@pytest.fixture(scope="module")
def made(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tiny study and its table."""
    folder = tmp_path_factory.mktemp("made")
    shutil.copytree(sources, folder, dirs_exist_ok=True)
    done = run_snakemake(folder, copy.deepcopy(STUDY), "--", TABLE)
    assert done.returncode == 0, done.stdout
    return folder


@pytest.fixture
def finished(made: Path, study: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """The study, whose folder is the working directory, with what was made of it."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True, symlinks=True)
    return study


def contents(folder: Path) -> dict[Path, bytes]:
    """All results; logs and the lock are written by every run."""
    results = folder / "results"
    files = [path for path in results.rglob("*") if path.is_file() and path.name != ".lock"]
    return {path: path.read_bytes() for path in files if not path.is_relative_to(results / "logs")}


def save_another_model(folder: Path) -> None:
    layers = {"num_layers": 2, "attention_types": [[["global", "local"], 1]], "max_position_embeddings": 64}
    save_tiny_model("gpt_neo", folder, seed=1, vocab_size=8192, **layers)


def repaired(snakemake: Run, folder: Path, study: dict[str, Any], command: str) -> pd.DataFrame:
    subprocess.run(command, shell=True, cwd=folder, check=True)
    done = snakemake(folder, study, "--", TABLE)
    assert done.returncode == 0, done.stdout
    return pd.read_parquet(folder / TABLE)


def test_half_of_the_sample_in_another_precision(finished: dict[str, Any], snakemake: Run, tmp_path: Path) -> None:
    """Without its memory of what was run, Snakemake takes the old shards for those of the new settings."""
    shutil.rmtree(tmp_path / ".snakemake")
    (tmp_path / TABLE).unlink()
    study = copy.deepcopy(finished)
    study["extraction"] = {"dtype": "bfloat16"}
    study["sampling"]["sequences"] = 8
    line, command = refusal(snakemake(tmp_path, study, "--", TABLE))
    said = f"{SHARDS}/shard_0002.h5: its dtype is bfloat16, that of {SHARDS}/shard_0000.h5 is float32; "
    assert said in line
    assert (
        repaired(snakemake, tmp_path, study, command)["tokens"][0] > 7 * 32
    )  # of eight sequences, less a few special ones


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ("model", r"its model_content is \w+, that of"),
        ("corpus", r"its (corpus_content|token_shard_digest) is \S.*?, "),
    ],
)
def test_shard_copied_in_from_another_study(
    finished: dict[str, Any], snakemake: Run, tmp_path: Path, other: str, said: str
) -> None:
    """With its manifest and under its own name; the other study has other weights or another text."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("model", "tokenizer", "corpus.jsonl", "sentences.txt"):
        (elsewhere / name).symlink_to(tmp_path / name)
    if other == "model":
        (elsewhere / "model").unlink()
        save_another_model(elsewhere / "model")
    else:
        (elsewhere / "corpus.jsonl").unlink()
        (elsewhere / "corpus.jsonl").write_text(
            "".join(json.dumps({"text": text.replace("rain", "snow")}) + "\n" for text in TEXTS)
        )
    shard = f"{SHARDS}/shard_0001"
    done = snakemake(elsewhere, finished, "--", f"{shard}.h5")
    assert done.returncode == 0, done.stdout
    for ending in ("h5", "json"):
        shutil.copy(elsewhere / f"{shard}.{ending}", tmp_path / f"{shard}.{ending}")
    (tmp_path / TABLE).unlink()
    line, command = refusal(snakemake(tmp_path, finished, "--", TABLE))
    assert re.search(said, line), line
    assert f"{shard}.h5" in line and SHARDS in command


def planned(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.parametrize(
    ("kind", "name"), [("models", "tiny"), ("tokenizers", "mini"), ("corpora", "mine")], ids=lambda value: value
)
def test_fetch_that_fails_costs_nothing(
    finished: dict[str, Any], snakemake: Run, tmp_path: Path, kind: str, name: str
) -> None:
    """A mistyped id, and back: every record is there as it was, and nothing runs again."""
    before = contents(tmp_path)
    mistyped = copy.deepcopy(finished)
    mistyped[kind][name]["source"] = "owner/mistyped"
    done = snakemake(tmp_path, mistyped, "--", TABLE, HF_ENDPOINT="http://127.0.0.1:9")
    assert done.returncode != 0
    assert "hub: " in done.stdout and "owner/mistyped" in done.stdout
    assert contents(tmp_path) == before
    assert "Nothing to be done" in planned(snakemake(tmp_path, finished, "--dry-run", "--", TABLE))


def test_source_changed_and_changed_back_keeps_what_was_made_of_it(
    finished: dict[str, Any], snakemake: Run, tmp_path: Path
) -> None:
    """Another model, found and not yet run: going back runs nothing, since no shard was touched."""
    save_another_model(tmp_path / "other")
    changed = copy.deepcopy(finished)
    changed["models"]["tiny"]["source"] = "other"
    planned(snakemake(tmp_path, changed, "--until", "fetch_model", "--", TABLE))
    assert "Nothing to be done" in planned(snakemake(tmp_path, finished, "--dry-run", "--", TABLE))
    assert re.search(r"^extract +2$", planned(snakemake(tmp_path, changed, "--dry-run", "--", TABLE)), re.MULTILINE)
