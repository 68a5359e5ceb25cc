"""Layers of small models share jobs, as the configuration and the models on this machine say."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from layerscope.config.sections import Model, Sampling
from layerscope.studies.token_length.study import TokenLength, TokenLengthSettings
from layerscope.workflow import layer_jobs as module
from layerscope.workflow.layer_jobs import PRODUCTS, LayerJobs, jobs_of_models, layer_jobs, matching, whole_models
from layerscope.workflow.model_size import ModelSize

TOKENS, WIDTH = 1024, 256
PATTERN = "<results>/{model}/layer_{layer}.parquet"


@pytest.fixture(autouse=True)
def job_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job reads eight layers of ``WIDTH`` neurons."""
    monkeypatch.setattr(module, "JOB_VALUES", 8 * TOKENS * WIDTH)


def study(folder: Path, **models: dict) -> TokenLength:
    """The study, of models with the given keys of their config.json, or of the hub."""
    entries = {}
    for name, keys in models.items():
        source = "owner/name"
        if keys:
            (folder / name).mkdir()
            common = {"model_type": "gpt_neo", "hidden_size": 64, "num_heads": 2, "vocab_size": 9}
            text = json.dumps(common | {"max_position_embeddings": 64} | keys)
            (folder / name / "config.json").write_text(keys.get("text", text))
            source = str(folder / name)
        entries[name] = Model(source=source, tokenizer="mini", layers=keys.get("num_layers", 12))
    settings = TokenLengthSettings(models=list(entries), corpus="mine")
    return TokenLength(settings, entries, Sampling())


def values(size: ModelSize) -> int:
    return TOKENS * size.mlp


@pytest.mark.parametrize(
    ("layers", "width", "jobs"),
    [
        (8, WIDTH, [range(8)]),
        (9, WIDTH, [range(4), range(4, 9)]),  # about as many in one as in the next
        (20, WIDTH, [range(6), range(6, 13), range(13, 20)]),
        (4, 4 * WIDTH, [range(2), range(2, 4)]),
        (4, 5 * WIDTH, [None]),  # not two in a job
        (1, WIDTH, [None]),
    ],
)
def test_how_many_layers_share_a_job(tmp_path: Path, layers: int, width: int, jobs: list[range | None]) -> None:
    found = layer_jobs(study(tmp_path, a={"num_layers": layers, "intermediate_size": width}), values)
    assert found == [LayerJobs(("a",), of) for of in jobs]


def test_models_of_as_many_layers_share_a_rule(tmp_path: Path) -> None:
    """A model of the hub has a job for each layer, and so has one whose files do not say how large it is."""
    small, other = {"num_layers": 2, "intermediate_size": 8}, {"num_layers": 3, "intermediate_size": 8}
    found = layer_jobs(study(tmp_path, a=small, hub={}, b=small, other=other, broken={"text": "{"}), values)
    assert found == [
        LayerJobs(("a", "b"), range(2)),
        LayerJobs(("hub", "broken"), None),
        LayerJobs(("other",), range(3)),
    ]


@pytest.mark.parametrize(("shards", "jobs"), [(169, 12), (170, 6), (340, 4), (1000, 2), (10_000, 1)])
def test_with_many_shards_layers_share_jobs(tmp_path: Path, shards: int, jobs: int) -> None:
    """Also those of a model of the hub, so that a plan has few links."""
    many = study(tmp_path, hub={}, wide={"num_layers": 3, "intermediate_size": 100 * WIDTH})
    many.sampling = Sampling(sequences=shards, sequences_per_shard=1)
    found = layer_jobs(many, values)
    assert jobs_of_models(many, found) == {"hub": jobs, "wide": -(-3 // (1 + shards // 170))}


def test_one_job_takes_all_layers_of_a_model(tmp_path: Path) -> None:
    """Also of one of the hub."""
    models = study(tmp_path, a={"num_layers": 2}, hub={}, b={"num_layers": 2}, one={"num_layers": 1})
    assert whole_models(models) == [
        LayerJobs(("a", "b"), range(2)),
        LayerJobs(("hub",), range(12)),
        LayerJobs(("one",), range(1)),
    ]


def test_what_a_rule_of_several_layers_is_called_and_writes() -> None:
    jobs = LayerJobs(("neo-2.7b", "b"), range(8, 11))
    assert jobs.rule("correlate") == "correlate_layers_08_10"
    assert jobs.files(PATTERN) == [f"<results>/{{model}}/layer_{layer}.parquet" for layer in ("08", "09", "10")]
    assert jobs.file("<logs>/{model}/layer_{layer}.log") == "<logs>/{model}/layers_08_10.log"
    assert jobs.label == "layers 8 to 10"
    assert jobs.layers_each == 3
    assert re.fullmatch(jobs.constraint, "neo-2.7b")
    assert not re.fullmatch(jobs.constraint, "neo-2x7b")


def test_what_a_rule_with_a_job_for_each_layer_is_called_and_writes() -> None:
    jobs = LayerJobs(("a",), None)
    assert jobs.rule("correlate") == "correlate"
    assert jobs.files(PATTERN) == [PATTERN]
    assert jobs.file("<logs>/{model}/layer_{layer}.log") == "<logs>/{model}/layer_{layer}.log"
    assert jobs.label.format(wildcards=SimpleNamespace(layer="03")) == "layer 03"
    assert jobs.layers_each == 1


def test_matching_costs_products_with_all_neurons_of_the_other_model(tmp_path: Path) -> None:
    """With a model of as many neurons as products that count as one, it costs what reading does; with twice as many,
    twice that; with one of the hub, a layer has a job of its own."""
    layer = {"intermediate_size": PRODUCTS // 2}
    small = {"num_layers": 8, "intermediate_size": WIDTH}
    models = study(tmp_path, one={"num_layers": 2} | layer, two={"num_layers": 4} | layer, hub={}, other=small)

    def jobs(*names: str) -> list[range | None]:
        values = matching([models.models[name] for name in names], TOKENS)
        return [found.layers for found in layer_jobs(models, values) if "other" in found.models]

    assert jobs("one") == jobs() == [range(8)]
    assert jobs("one", "two") == [range(4), range(4, 8)]
    assert jobs("one", "hub") == [None]
