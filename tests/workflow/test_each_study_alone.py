"""Each study runs without the others."""

import json
from pathlib import Path

import pytest
import yaml
from project import PROJECT, STUDIES, link_project, snakemake


# Of token_length more is run in other tests.
@pytest.mark.parametrize("study", [pytest.param(STUDIES[0], marks=pytest.mark.slow), *STUDIES[1:]])
def test_a_study_alone(tmp_path: Path, study: str) -> None:
    link_project(tmp_path)
    text = (PROJECT / ".test/config/config.yaml").read_text(encoding="utf-8")
    config = yaml.safe_load(text.replace("../", "")) | {"activations": []}
    config["studies"] = {name: settings if name == study else None for name, settings in config["studies"].items()}
    (tmp_path / "alone.json").write_text(json.dumps(config))
    done = snakemake(tmp_path, "--cores", "2", "--configfile", "alone.json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "results/report.html").exists()
    assert {name for name in STUDIES if (tmp_path / "results" / name).exists()} == {study}
