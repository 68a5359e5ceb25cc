"""What a run costs, said before it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from project import PROJECT, link_project, snakemake
from snakemake.utils import update_config

from layerscope.io.errors import UserError
from layerscope.io.files import write_json
from layerscope.preflight.config import Config
from layerscope.preflight.load import load_config
from layerscope.workflow.costs import model_costs
from layerscope.workflow.estimate import jobs_of_plan, planned_jobs, slurm_jobs
from layerscope.workflow.model_size import ModelSize
from layerscope.workflow.resources import Needs
from layerscope.workflow.specs import Specs

SMALL = ModelSize(layers=2, hidden=8, mlp=32, weights_per_layer=768, embeddings=100)


def config_of(**sections: dict) -> Config:
    config = yaml.safe_load((PROJECT / "config/config.yaml").read_text())
    for name, section in sections.items():
        config[name] = {**config[name], **section}
    return load_config(config)


def test_costs_follow_from_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)
    sampling = {"sequences": 8, "sequence_length": 64, "sequences_per_shard": 4}
    config = config_of(sampling=sampling | {"stored_sequences": 4})
    costs = model_costs(config, Needs(config, gpu=False), "neo-8m", SMALL)
    jobs = {of.rule: of.jobs for of in costs.jobs}
    # One of two token shards is stored, and gives its summary; for the other the model runs.
    assert [jobs[rule] for rule in ("extract", "summarize_stored", "summarize", "extract_paths")] == [1, 1, 1, 2]
    assert costs.bytes_of("extract") == 4 * 64 * 2 * 32 * 4
    vectors = next(of for of in costs.jobs if of.rule == "extract_vectors")
    assert costs.tokens == 4 * 64 + 4 * 64 + 8 * 64 + vectors.tokens
    assert costs.operations == 2 * 2 * 768 * costs.tokens
    half = config_of(sampling=sampling, extraction={"storage_dtype": "float16"})
    of_half = model_costs(half, Needs(half, gpu=False), "neo-8m", SMALL)
    assert of_half.bytes_of("extract") == 8 * 64 * 2 * 32 * 2
    # Rounded activations give no summary.
    assert {of.rule: of.jobs for of in of_half.jobs}["summarize"] == 2


def test_slurm_jobs_are_those_of_the_profile() -> None:
    jobs = jobs_of_plan(
        "job   count\n----  -----\nreport   1\ncorrelate  25\nresample  3\nextract  4\nall  1\ntotal  34\n"
    )
    assert jobs == {"report": 1, "correlate": 25, "resample": 3, "extract": 4}
    profile = {"groups": ["correlate=statistics", "resample=statistics"], "group-components": ["statistics=12"]}
    assert slurm_jobs(jobs, ["report"], profile) == 3 + 4
    assert slurm_jobs(jobs, ["report"], {}) == 25 + 3 + 4


def test_command_tells_costs_and_runs_nothing(tmp_path: Path) -> None:
    link_project(tmp_path)
    told = snakemake(tmp_path, "--cores", "1", "estimate")
    assert told.returncode == 0, told.stderr
    assert re.search(r"^neo-8m +\d", told.stdout, re.MULTILINE)
    planned = snakemake(tmp_path, "--dry-run", "--quiet", "rules")
    [jobs] = re.findall(r"([\d,]+) jobs from scratch", told.stdout)
    assert int(jobs) == sum(jobs_of_plan(planned.stdout).values())
    assert [path.name for path in (tmp_path / "results").iterdir() if path.is_dir()] == ["logs"]


def test_estimate_beside_a_run_that_goes_on(tmp_path: Path) -> None:
    """It waits for no lock, takes none away, and plans past what the run has begun."""
    link_project(tmp_path)
    running = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "snakemake",
            "--snakefile",
            PROJECT / "Snakefile",
            "--cores",
            "1",
            "--until",
            "tokenize",
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(find_spec("layerscope").origin).parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        begun = tmp_path / ".snakemake/incomplete"
        waited = time.monotonic() + 120
        while not (begun.is_dir() and any(begun.iterdir())) and running.poll() is None:
            assert time.monotonic() < waited
            time.sleep(0.05)
        running.send_signal(signal.SIGSTOP)  # so that it goes on for as long as the estimate takes
        locks = sorted((tmp_path / ".snakemake/locks").iterdir())
        assert locks and any(begun.iterdir())
        before = (tmp_path / "results/.lock").read_text()
        told = snakemake(tmp_path, "--cores", "1", "estimate")
        assert told.returncode == 0, told.stderr
        assert "jobs from scratch" in told.stdout
        assert sorted((tmp_path / ".snakemake/locks").iterdir()) == locks
        assert (tmp_path / "results/.lock").read_text() == before
        # What writes results is still refused.
        refused = snakemake(tmp_path, "--cores", "1", "--nolock", "--rerun-incomplete", "--until", "tokenize")
        assert refused.returncode == 1 and "another run is using it" in refused.stdout + refused.stderr
    finally:
        running.send_signal(signal.SIGCONT)
        said, _ = running.communicate()
    assert running.returncode == 0, said


def test_models_of_the_hub_are_named_before_they_are_fetched(tmp_path: Path) -> None:
    link_project(tmp_path)
    told = snakemake(tmp_path, "--cores", "1", "--configfile", "config/gpt_neo.yaml", "--", "estimate")
    assert told.returncode == 0, told.stderr
    assert "not counted" in told.stdout and "gpt-neo-1.3b" in told.stdout


def test_models_of_the_hub_are_counted_once_they_are_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    study = {"models": ["gpt2-large"], "corpus": "embedded"}
    overlay = {"results": "results-large", "studies": {"token_length": study, "path_length": None}}
    overlay["studies"]["token_similarity"] = None
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(overlay))
    raw = yaml.safe_load((tmp_path / "config/config.yaml").read_text())
    update_config(raw, overlay)
    specs = Specs(load_config(raw), PROJECT / "workflow/scripts", str(tmp_path / "digests.json"))
    record = tmp_path / specs.record("models", "gpt2-large").replace("<results>", "results-large")
    record.parent.mkdir(parents=True)
    write_json(record, {"path": str(tmp_path / "model")})
    (tmp_path / "model").mkdir()
    shape = {
        "model_type": "gpt2",
        "n_layer": 36,
        "n_embd": 1280,
        "n_head": 20,
        "n_positions": 1024,
        "vocab_size": 50257,
    }
    (tmp_path / "model/config.json").write_text(json.dumps(shape))
    told = snakemake(tmp_path, "--cores", "1", "--configfile", "study.yaml", "--", "estimate")
    assert told.returncode == 0, told.stderr
    assert "not counted" not in told.stdout
    operations = re.escape(f"{2 * 36 * 12 * 1280**2 * 16384:.2g}")
    assert re.search(rf"^gpt2-large +16,384 +{operations} ", told.stdout, re.MULTILINE)
    assert re.search(r"GB to [\d.]+ GB$", told.stdout, re.MULTILINE)  # on a GPU


def test_what_cannot_be_planned_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Snakefile").write_text("rule all:\n    input: 'nothing'\n")
    with pytest.raises(UserError, match="cannot be planned"):
        planned_jobs({}, "Snakefile")
