"""A tiny study that works, for the tests to spoil."""

import copy
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import project
import pytest
from project import PROJECT, STUDIES, link_project
from tiny_models import save_tiny_model

TEXTS = ["One morning she took her coat and went out into the rain. " * 8] * 16
SENTENCES = ["Then she gave her answer.", "We saw her there.", "He asked her again."]
STUDY: dict[str, Any] = {
    "models": {"tiny": {"source": "model", "tokenizer": "mini", "layers": 2}},
    "tokenizers": {"mini": {"source": "tokenizer"}},
    "corpora": {"mine": {"source": "corpus.jsonl"}},
    "sampling": {"sequences": 4, "sequence_length": 32, "sequences_per_shard": 2},
    "studies": {
        "token_length": {"models": ["tiny"], "corpus": "mine", "histogram_layer": 1, "pairs": []},
        "token_similarity": {"models": ["tiny"], "sentences": "sentences.txt", "target": "her", "matrix_layer": 1},
    },
}


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, a tokenizer, a corpus and sentences."""
    folder = tmp_path_factory.mktemp("sources")
    layers = {"num_layers": 2, "attention_types": [[["global", "local"], 1]], "max_position_embeddings": 64}
    save_tiny_model("gpt_neo", folder / "model", vocab_size=8192, **layers)
    shutil.copytree(PROJECT / "resources/tokenizers/mini", folder / "tokenizer")
    (folder / "corpus.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    (folder / "sentences.txt").write_text("\n".join(SENTENCES) + "\n")
    return folder


@pytest.fixture
def study(sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The configuration of a study whose sources are in the working directory."""
    shutil.copytree(sources, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return copy.deepcopy(STUDY)


Run = Callable[..., subprocess.CompletedProcess[str]]


def run_snakemake(
    folder: Path, study: dict[str, Any], *arguments: str, before: tuple[str, ...] = (), **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the real command on a study in a folder, as a user does; standard output and error come as one text.

    With an environment or a command of its own it starts afresh.
    """
    link_project(folder)
    study = {**study, "studies": {**dict.fromkeys(STUDIES), **study["studies"]}}
    (folder / "study.json").write_text(json.dumps(study))
    done = project.snakemake(
        folder,
        *("--cores", "1", "--configfile", "study.json", *arguments),
        fresh=bool(environment),
        before=before,
        environment={**os.environ, "HOME": str(folder), "XDG_CACHE_HOME": str(folder / ".cache"), **environment},
    )
    done.stdout += done.stderr
    return done


@pytest.fixture
def snakemake() -> Run:
    return run_snakemake
