"""A study of revisions of one model, from the hub to the report."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from hub_standin import HubStandIn, environment
from project import STUDIES, link_project, snakemake
from tiny_models import save_tiny_model

REVISIONS = {"late": "step200", "first": "step0", "early": "step10"}  # not in their order
STUDY = {
    "models": {
        **{
            name: {"source": "acme/tiny-neo", "revision": revision, "tokenizer": "mini", "layers": 2}
            for name, revision in REVISIONS.items()
        },
        "control": {"source": "acme/tiny-neo", "tokenizer": "mini", "layers": 2, "weights": "random"},
    },
    "sampling": {"sequences": 4, "sequence_length": 32, "sequences_per_shard": 4},
    "studies": {
        "token_length": {"models": [*REVISIONS, "control"], "corpus": "embedded", "resamples": 100},
        "token_similarity": {"models": list(REVISIONS)},
        "path_length": {"models": list(REVISIONS), "corpus": "embedded"},
    },
}


@pytest.mark.slow
def test_revisions_are_laid_out_by_their_steps(tmp_path: Path) -> None:
    folders = {revision: tmp_path / revision for revision in REVISIONS.values()}
    for seed, folder in enumerate(folders.values()):
        changes = {"vocab_size": 8192, "num_layers": 2, "attention_types": [[["global", "local"], 1]]}
        save_tiny_model("gpt_neo", folder, seed, **changes)
    study = tmp_path / "study"
    study.mkdir()
    link_project(study)
    (study / "study.yaml").write_text(json.dumps(STUDY))
    threads = [f"{rule}=1" for rule in ("extract", "extract_paths", "extract_vectors")]
    options = ["--configfile", "study.yaml", "--cores", "2", "--resources", "gpu=2", "--set-threads", *threads]
    with HubStandIn({"models/acme/tiny-neo": {"main": folders["step200"], **folders}}) as hub:
        settings = environment(hub.endpoint, tmp_path / "home")
        done = snakemake(study, *options, fresh=True, environment=settings)
        assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
        again = snakemake(study, "--dry-run", *options, fresh=True, environment=settings)
    assert "Nothing to be done" in again.stdout + again.stderr

    results = study / "results"
    matches = pd.read_csv(results / "token_length/matches.csv")
    pairs = matches[["model", "other"]].drop_duplicates()
    assert pairs.to_numpy().tolist() == [["first", "late"], ["early", "late"]]
    page = " ".join((results / "report.html").read_text(encoding="utf-8").split())
    sentence = (
        "3 of the models are revisions of tiny-neo; figures lay them out along the training step, from 0 to 200: "
    )
    assert f"<p>{sentence}first, early, late.</p>" in page
    assert "Activations of 3 revisions of tiny-neo and 1 untrained control were measured" in page
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", page)
    assert len(captions) == sum(len(list((results / name / "figures").glob("*.png"))) for name in STUDIES)
    along = [caption for caption in captions if "Revisions of one model" in caption]
    assert len(along) == len(captions) - 2  # all but those of the sample
    assert all("training step" in caption and "{" not in caption for caption in along)
