"""The cluster profile, planned without a cluster and without a network."""

import json
from pathlib import Path

import pytest
from project import snakemake

pytest.importorskip("snakemake_executor_plugin_slurm", reason="needs the extra 'slurm': pip install '.[slurm]'")


def test_full_study(project: Path) -> None:
    """The profile runs the full study, and twelve layers share a job, so that the scheduler is not flooded."""
    plan = snakemake(project, "--profile", "profiles/slurm", "--dry-run", "--forceall")
    assert plan.returncode == 0, plan.stderr[-3000:]
    text = plan.stdout + plan.stderr
    assert "Tokenize fineweb with gpt2" in text
    assert text.count("Token length: correlate layer") == 2 * (12 + 24)  # with the untrained controls
    assert text.count("Group job correlations") == 2 * 3
    assert text.count("Token similarity: compute cosines of") == 2 * 48
    assert text.count("Group job cosines") == 2 * 4
    assert text.count("Group job shards") == 1


def test_many_shards_of_a_local_corpus(project: Path, tmp_path: Path) -> None:
    """Fifty token shards share a job, and so do all parts of the documents, each of which reads the one before."""
    sampling = {"sequences": 4800, "sequences_per_shard": 40, "sequence_length": 512}
    (tmp_path / "many.json").write_text(json.dumps({"sampling": sampling}))
    config = ["--configfile", "config/config.yaml", str(tmp_path / "many.json")]
    plan = snakemake(project, "--profile", "profiles/slurm", "--dry-run", "--forceall", *config)
    assert plan.returncode == 0, plan.stderr[-3000:]
    text = plan.stdout + plan.stderr
    assert text.count("Tokenize embedded with mini") == 120
    assert text.count("Group job shards") == 3
    assert text.count("Encode documents of embedded") == 3
    assert text.count("Group job documents") == 1
