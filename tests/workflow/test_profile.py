"""The cluster profile, planned without a cluster and without a network."""

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
    assert text.count("Token length: measure layer") == 12 + 24
    assert text.count("Group job lengths") == 3
    assert text.count("Token similarity: compute cosines of") == 48
    assert text.count("Group job similarities") == 4
