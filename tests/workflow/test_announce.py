"""Planning says what it does where that takes long, and nothing where it does not."""

import copy
import time
from typing import Any

import pytest
from planning import CONFIG
from project import PROJECT

from layerscope.preflight.config import Config
from layerscope.workflow import announce
from layerscope.workflow.announce import announce_pages, announce_plan, plan_size, telling


def study(shards: int, **changes: Any) -> Config:
    settings = copy.deepcopy(CONFIG)
    for name, model in settings["models"].items():
        model["layers"] = {"a": 2, "b": 3, "c": 4}[name]
    settings["tokenizers"]["mini"] = {"source": "resources/tokenizers/mini"}
    settings["corpora"]["embedded"] = {"source": "resources/corpus/documents.jsonl"}
    settings["studies"]["token_similarity"] |= {"sentences": "resources/sentences_her.txt", "target": "her"}
    settings["sampling"] = {"sequences": shards, "sequences_per_shard": 1}
    for place, value in changes.items():
        section, key = place.split("__")
        settings["studies"][section][key] = value
    return Config.model_validate(settings)


# Each layer has a job of its own.
LAYER_JOBS = {"token_length": {"a": 2, "b": 3}}


def size_of(config: Config) -> tuple[int, int]:
    return plan_size(config, LAYER_JOBS)


def test_size() -> None:
    # One corpus is tokenized, two models are extracted and summarized, the lengths of one reduced. Five layers are read
    # by five rules, shards and manifests, and by four, summaries; without further properties by one fewer. Three
    # layers are matched, from shards and manifests of two models.
    jobs = 1 + 2 + 2 + 1
    assert size_of(study(10)) == (10 * jobs, 10 * (5 * 5 * 2 + 5 * 4 + 3 * 4 + jobs))
    few = study(10, token_length__properties=[])
    assert size_of(few) == (10 * jobs, 10 * (5 * 4 * 2 + 5 * 3 + 3 * 4 + jobs))
    few = few.model_copy(update={"sampling": few.sampling.model_copy(update={"stored_sequences": 4})})
    assert size_of(few) == (10 * 4 + 4 * 2, 10 * (4 + 5 * 3) + 4 * (2 + 5 * 4 * 2 + 3 * 4))
    jobs += 1  # of another corpus
    assert size_of(study(10, path_length__corpus="other"))[0] == 10 * jobs
    jobs += 1  # whose streams are stored
    assert size_of(study(10, path_length__corpus="other", path_length__streams="stored"))[0] == 10 * jobs


def test_layers_that_share_a_job_read_a_shard_once() -> None:
    _, reads = plan_size(study(10), {"token_length": {"a": 1, "b": 2}})
    assert size_of(study(10))[1] - reads == 10 * (2 * 5 * 2 + 2 * 4 + 4)


def test_much_is_announced(capsys: pytest.CaptureFixture[str]) -> None:
    announce_plan(study(10_000), LAYER_JOBS)
    assert capsys.readouterr().err == (
        "layerscope: planning about 60,000 jobs for 10,000 shards; this takes about 3 minutes\n"
    )


@pytest.mark.parametrize("shards", [1, 2, 1_000])
def test_little_is_not(capsys: pytest.CaptureFixture[str], shards: int) -> None:
    announce_plan(study(shards), LAYER_JOBS)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (
            ["out/explorer/index.html", "out/report.html"],
            "layerscope: now open out/report.html and out/explorer/index.html\n",
        ),
        (["out/path_length/figures/path_r.svg", "out/report.html"], "layerscope: now open out/report.html\n"),
        (["out/tokens/mini/shard_0000.h5"], ""),
    ],
)
def test_pages_that_were_written_are_named(capsys: pytest.CaptureFixture[str], written: list[str], said: str) -> None:
    announce_pages(written)
    assert capsys.readouterr().err == said


def test_what_takes_long_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with telling("nothing"):
        pass
    monkeypatch.setattr(announce, "PATIENCE", 0.05)
    with telling("reading the sources"):
        time.sleep(0.3)
    assert capsys.readouterr().err == "layerscope: reading the sources\n"


def test_fingerprints_are_taken_once_a_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take longer than all else that a job needs of a plan."""
    from layerscope.workflow import specs

    taken = []
    monkeypatch.setattr(specs, "code_fingerprint", lambda script: str(taken.append(script)))
    plan = specs.Specs(study(2), PROJECT / "workflow/scripts", "digests.json")
    for _ in range(3):
        plan.extract("a", "embedded"), plan.tokenize()
    assert len(taken) == 2
