"""What the estimate says of the disk, against what short runs wrote with other settings than the default study's."""

import json
from pathlib import Path

import pytest
import yaml
from project import link_project, snakemake
from snakemake.utils import update_config

from layerscope.preflight.load import load_config
from layerscope.workflow.costs import ModelCosts, model_costs
from layerscope.workflow.model_size import local_model_size
from layerscope.workflow.resources import Needs

MODEL = "neo-2m"
STUDIES = {"token_length": {"models": [MODEL]}, "path_length": {"models": [MODEL]}, "token_similarity": None}
# Summaries of two shards of 8,192 tokens; activations of the first quarter of these, or of all of the first shard.
SAMPLING = {"sequences": 64, "sequence_length": 256, "sequences_per_shard": 32}
QUARTER = {**SAMPLING, "stored_sequences": 16, "stored_sequences_per_shard": 8}
HALF = {**SAMPLING, "stored_sequences": 32}
FOLDERS = {
    f"activations/{MODEL}/embedded": ("extract",),
    f"summaries/{MODEL}/embedded": ("summarize", "summarize_stored"),
    f"path_length/{MODEL}": ("extract_paths", "reduce_paths"),
}
VARIANTS = {
    "rounded activations, streams among them, and fewer types": (
        {"sampling": QUARTER, "extraction": {"storage_dtype": "float16"}, "summaries": {"token_types": 512}},
        "stored",
        ["extract", "summarize", "reduce_paths"],
    ),
    "a summary of what is stored, one of a run, and a covariate": (
        {"sampling": HALF, "summaries": {"properties": ["bytes"]}},
        "reduced",
        ["extract", "summarize", "summarize_stored", "extract_paths"],
    ),
}


def costs_of(folder: Path) -> ModelCosts:
    config = yaml.safe_load((folder / "config/config.yaml").read_text())
    update_config(config, json.loads((folder / "study.json").read_text()))
    loaded = load_config(config)
    size = local_model_size(loaded.models[MODEL].source)
    assert size
    return model_costs(loaded, Needs(loaded, gpu=False), MODEL, size)


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_disk_is_as_estimated(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, streams, rules = VARIANTS[name]
    link_project(tmp_path)
    studies = {**STUDIES, "path_length": {"models": [MODEL], "streams": streams}}
    (tmp_path / "study.json").write_text(json.dumps({**settings, "studies": studies}))
    monkeypatch.chdir(tmp_path)
    costs = costs_of(tmp_path)
    counts = {
        folder: sum(job.jobs for job in costs.jobs if job.rule in of_folder) for folder, of_folder in FOLDERS.items()
    }
    assert {of.rule for of in costs.jobs} >= set(rules)
    targets = [f"results/{folder}/shard_{shard:04d}.h5" for folder in counts for shard in range(counts[folder])]
    run = snakemake(tmp_path, "--cores", "2", "--configfile", "study.json", "--", *targets)
    assert run.returncode == 0, run.stdout + run.stderr
    for folder, of_folder in FOLDERS.items():
        files = list((tmp_path / "results" / folder).glob("*.h5"))
        assert len(files) == counts[folder]
        written = sum(path.stat().st_size for path in files)
        assert costs.bytes_of(*of_folder) == pytest.approx(written, rel=0.05), folder
