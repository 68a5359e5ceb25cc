"""Memory and time that jobs ask a cluster for, against what they took."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_models import CASES, open_with_size, save_tiny_model

from layerscope.io.errors import UserError
from layerscope.io.files import write_json
from layerscope.model.loading import load_base_model
from layerscope.preflight.config import Config
from layerscope.workflow.model_size import UNKNOWN, ModelSize, model_size, stored_width
from layerscope.workflow.resources import LEAST_MB, Expected, Needs

# As on the hub, but for keys that say nothing of the size; and how many weights the base model has.
CONFIGS = {
    "gpt-neo-125m": (
        {"model_type": "gpt_neo", "num_layers": 12, "hidden_size": 768, "num_heads": 12, "intermediate_size": None},
        {"vocab_size": 50257, "max_position_embeddings": 2048},
        125_198_592,
    ),
    "gpt-neo-1.3b": (
        {"model_type": "gpt_neo", "num_layers": 24, "hidden_size": 2048, "num_heads": 16, "intermediate_size": None},
        {"vocab_size": 50257, "max_position_embeddings": 2048},
        1_315_575_808,
    ),
    "gpt2-xl": (
        {"model_type": "gpt2", "n_layer": 48, "n_embd": 1600, "n_head": 25},
        {"vocab_size": 50257, "n_positions": 1024},
        1_557_611_200,
    ),
    "llama-2-7b": (
        {"model_type": "llama", "num_hidden_layers": 32, "hidden_size": 4096, "num_attention_heads": 32},
        {"intermediate_size": 11008, "vocab_size": 32000, "max_position_embeddings": 4096, "num_key_value_heads": 32},
        6_607_343_616,
    ),
    "llama-3-8b": (
        {"model_type": "llama", "num_hidden_layers": 32, "hidden_size": 4096, "num_attention_heads": 32},
        {"intermediate_size": 14336, "vocab_size": 128256, "max_position_embeddings": 8192, "num_key_value_heads": 8},
        7_504_924_672,
    ),
}


# They name positions and have no weights for them, or, OPT, two more; its embeddings may be narrower than the stream.
ABOUT = ("gpt_neox", "gptj", "falcon", "starcoder2", "opt")
MILLION = {"sequences": 20480, "sequence_length": 512, "sequences_per_shard": 2048, "stored_sequences": 128}
MILLION |= {"stored_sequences_per_shard": 8}
DEFAULT = {"sequences": 64, "sequence_length": 256, "sequences_per_shard": 64}
SIXTEEN = {"sequences": 16, "sequence_length": 512, "sequences_per_shard": 16}
SIXTY_FOUR = {"sequences": 128, "sequence_length": 512, "sequences_per_shard": 128}
GPT_NEO_125M = ModelSize(12, 768, 3072, 7_077_888, 40_170_240)
NEO_8M = ModelSize(8, 256, 1024, 786_432, 2_162_688)


def size_of(name: str, folder: Path) -> ModelSize:
    shape, others, _ = CONFIGS[name]
    (folder / "config.json").write_text(json.dumps(shape | others))
    write_json(folder / "record.json", {"path": str(folder)})
    return model_size(str(folder / "record.json"))


def needs(sampling: dict, properties: Sequence[str] = (), **extraction: object) -> Needs:
    studies = {"token_length": None, "token_similarity": None, "path_length": None}
    model = {"source": "a/b", "tokenizer": "t", "layers": 1}
    sources = {"models": {"m": model}, "tokenizers": {"t": {"source": "a/b"}}, "corpora": {"c": {"source": "a/b"}}}
    config = {**sources, "sampling": sampling, "extraction": {"device": "cpu", **extraction}, "studies": studies}
    config["summaries"] = {"properties": [*properties]}
    return Needs(Config.model_validate(config))


def asked(expected: Expected, attempt: int = 1) -> tuple[int, int]:
    """MB and minutes."""
    resources = needs(DEFAULT).ask(lambda wildcards, input, threads: expected)
    return tuple(resources[name](None, None, 1, attempt) for name in ("mem_mb", "runtime"))


@pytest.mark.parametrize("name", CONFIGS)
def test_weights_are_those_of_the_published_models(name: str, tmp_path: Path) -> None:
    """But for norms and biases."""
    assert size_of(name, tmp_path).weights == pytest.approx(CONFIGS[name][2], rel=0.003)


@pytest.mark.parametrize("name", CASES)
def test_size_is_that_of_the_loaded_model(name: str, tmp_path: Path) -> None:
    model_type, changes = CASES[name]
    record = save_tiny_model(model_type, tmp_path, **changes)
    size, loaded = open_with_size(record, tmp_path)
    assert (size.layers, size.mlp, size.hidden) == (loaded.layers, loaded.width("mlp_pre"), loaded.width("resid_pre"))
    weights = load_base_model(record, "float32", torch.device("cpu")).parameters()
    matrices = sum(tensor.numel() for tensor in weights if tensor.ndim > 1)
    assert size.weights == matrices or (model_type in ABOUT and size.weights == pytest.approx(matrices, rel=0.15))


def test_size_of_what_is_not_there_or_not_right(tmp_path: Path) -> None:
    """Snakemake knows a missing input by the path in the error; of others the job says what is wrong."""
    for read in (model_size, stored_width):
        with pytest.raises(FileNotFoundError) as error:
            read(f"{tmp_path}/none.json")
        assert error.value.filename == f"{tmp_path}/none.json"
    (tmp_path / "damaged.json").write_text("{")
    assert model_size(str(tmp_path / "damaged.json")) == UNKNOWN
    assert stored_width(str(tmp_path / "damaged.json")) == UNKNOWN.mlp
    for config in ({"path": str(tmp_path)}, {"path": str(tmp_path / "nowhere")}, {}):
        write_json(tmp_path / "record.json", config)
        (tmp_path / "config.json").write_text('{"model_type": "gpt2", "n_layer": 2, "n_head": 1}')
        assert model_size(str(tmp_path / "record.json")) == UNKNOWN


def test_width_follows_the_manifest(tmp_path: Path) -> None:
    for width in (3072, 8192):
        write_json(tmp_path / "shard.json", {"datasets": {"mlp_pre/layer_00": {"shape": [4096, width]}}})
        assert stored_width(str(tmp_path / "shard.json")) == width


# What was measured, on two cores without a GPU: peak of resident memory in MB, of default studies the largest of any
# model and layer; and seconds, of cores that other work shared.
MEASURED = {
    "extract, default": (lambda: needs(DEFAULT).extract(NEO_8M, ["mlp_pre"], 1), 647, 8),
    "extract, 125M": (lambda: needs(SIXTEEN).extract(GPT_NEO_125M, ["mlp_pre"], 2), 1324, 49),
    "extract_paths, default": (lambda: needs(DEFAULT).extract_paths(NEO_8M, 1), 657, 9),
    "extract_vectors, default": (lambda: needs(DEFAULT).extract_vectors(NEO_8M, 54, 1), 587, 6),
    "summarize_stored, default": (lambda: needs(DEFAULT).summarize_stored(8, 1024), 605, 5),
    "summarize_stored, one layer of 3,072": (lambda: needs(SIXTY_FOUR).summarize_stored(1, 3072), 687, 17),
    "summarize, 125M": (lambda: needs(MILLION).summarize(GPT_NEO_125M, "mlp_pre", 2), 3429, 1094),
    "correlate, default": (lambda: needs(DEFAULT).correlate(1024), 352, 2),
    "correlate, 65,536 tokens": (lambda: needs(SIXTY_FOUR).correlate(3072), 667, 13),
    "correlate, 125M": (lambda: needs(MILLION).correlate(3072), 668, 12),
    "describe, default": (lambda: needs(DEFAULT).describe(1024), 341, 2),
    "describe, 65,536 tokens": (lambda: needs(SIXTY_FOUR).describe(3072), 626, 7),
    "resample, default": (lambda: needs(DEFAULT).resample(1024, 200), 425, 2),
    "resample, 65,536 tokens": (lambda: needs(SIXTY_FOUR).resample(3072, 200), 796, 15),
    "resample, 125M": (lambda: needs(MILLION).resample(3072, 200), 797, 15),
    "describe_weights, default": (lambda: needs(DEFAULT).describe_weights(NEO_8M, 1), 558, 6),
    "describe_weights, 125M": (lambda: needs(SIXTEEN).describe_weights(GPT_NEO_125M, 2), 1087, 52),
    "write_explorer_neurons, default": (lambda: needs(DEFAULT).explorer_layer(3_035_960), 229, 1),
    "write_explorer_neurons, 1.3B": (lambda: needs(SIXTY_FOUR).explorer_layer(23_044_785), 443, 4),
    "test_unimodality, default": (lambda: needs(DEFAULT).test_unimodality(1024, 200), 285, 2),
    "test_unimodality, 65,536 tokens": (lambda: needs(SIXTY_FOUR).test_unimodality(3072, 200), 367, 22),
    "match_neurons, default": (lambda: needs(DEFAULT).match(512, 4, 1024, 2), 364, 4),
    "match_neurons, 65,536 tokens": (lambda: needs(SIXTY_FOUR).match(512, 1, 1024, 1), 515, 4),
    "match_neurons, 125M with 1.3B": (lambda: needs(SIXTEEN).match(3072, 12, 8192, 2), 1003, 52),
    "compute_cosines, default": (lambda: needs(DEFAULT).cosines(54 * 6 * 8 * 256, 8, 54), 208, 2),
}


@pytest.mark.parametrize("job", MEASURED)
def test_jobs_ask_for_enough_and_not_for_much_more(job: str) -> None:
    expected, megabytes, seconds = MEASURED[job]
    memory, minutes = asked(expected())
    assert megabytes < memory <= max(LEAST_MB, 4 * megabytes)
    assert expected().memory / 1e6 > 0.9 * megabytes or memory == LEAST_MB
    assert seconds / 60 < minutes <= 15 + 4 * seconds / 60


@pytest.mark.parametrize(
    ("name", "extraction", "summary", "layer"),
    [
        ("gpt-neo-125m", (5, 10), (7, 12), (1.5, 3)),
        ("gpt-neo-1.3b", (13, 24), (24, 40), (1.6, 3)),
        ("gpt2-xl", (14, 28), (35, 60), (1.5, 3)),
        ("llama-2-7b", (50, 80), (65, 110), (2.2, 4)),
    ],
)
def test_what_models_ask_for_on_a_gpu(
    name: str, extraction: tuple, summary: tuple, layer: tuple, tmp_path: Path
) -> None:
    """In GB; weights of one precision are converted into another while they are loaded."""
    model, of = size_of(name, tmp_path), needs(MILLION, device="auto")
    found = of.extract(model, ["mlp_pre"], 4), of.summarize(model, "mlp_pre", 4), of.resample(model.mlp, 200)
    for expected, (low, high) in zip(found, (extraction, summary, layer), strict=True):
        memory, minutes = asked(expected)
        assert low * 1000 <= memory <= high * 1000
        assert minutes <= 180


def test_requests_grow_with_the_job_and_with_attempts(tmp_path: Path) -> None:
    model, of = size_of("gpt-neo-1.3b", tmp_path), needs(MILLION)
    larger = needs({**MILLION, "sequences_per_shard": 4096})
    assert larger.summarize(model, "mlp_pre", 4).minutes > 1.9 * of.summarize(model, "mlp_pre", 4).minutes - 5
    assert larger.summarize(model, "mlp_pre", 4).memory == of.summarize(model, "mlp_pre", 4).memory
    assert of.summarize(model, "mlp_pre", 4).minutes > of.summarize(model, "mlp_pre", 8).minutes
    assert of.tokenize(9).memory >= of.tokenize(0).memory and of.encode(30).minutes > of.encode(3).minutes
    once, again = (asked(of.summarize(model, "mlp_pre", 4), attempt) for attempt in (1, 3))
    assert again == (3 * once[0], 3 * once[1])
    assert asked(Expected(10e9, 98)) == (15_000, 150)
    assert asked(Expected(1, 0)) == (LEAST_MB, 3)


def test_each_property_asks_for_as_much_time_as_length() -> None:
    of = needs(DEFAULT)
    one, four = (of.resample_properties(3072, 200, properties) for properties in (1, 4))
    assert one == of.resample(3072, 200) and four.minutes == 4 * one.minutes
    # Four measures of a neuron in each resample, and without each cluster, of every further property.
    assert four.memory - one.memory > 3 * 3072 * 8 * 4 * (200 + 100)
    ahead = needs(DEFAULT, ["bytes", "valence"])
    assert ahead.resample(3072, 200).memory > of.resample(3072, 200).memory
    assert (
        ahead.summarize_stored(8, 1024).memory - of.summarize_stored(8, 1024).memory
        == 8 * 1024 * of.clusters(of.shard) * 2 * 8
    )


def test_the_environment_sets_the_margin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAYERSCOPE_MARGIN", "2")
    assert asked(Expected(10e9, 98)) == (20_000, 200)
    for value in ("much", "", "0", "-1", "inf", "nan"):
        monkeypatch.setenv("LAYERSCOPE_MARGIN", value)
        with pytest.raises(UserError, match=f"^LAYERSCOPE_MARGIN: '{value}' is not a number above 0, such as 1.5$"):
            needs(DEFAULT)


# Peaks of resident memory in MB, in one run of each: the default study, and token_length of GPT-Neo 125M's exact shape
# with random weights on 8,192 tokens (benchmarks/estimate.py).
PEAKS = {
    "extract": (512, 1280),
    "summarize_stored": (630, 1120),
    "describe_weights": (514, 1087),
    "correlate_token_length": (348, 462),
    "describe_neurons": (437, 565),
    "resample_token_length": (377, 483),
    "test_unimodality": (303, 358),
    "extract_paths": (555, None),
    "extract_vectors": (489, None),
    "compute_cosines": (184, None),
}


def expected_peaks() -> dict[str, tuple[float, float | None]]:
    """What was expected in these runs, in MB."""
    by_model = []
    for of, size in (
        (needs(DEFAULT), replace(NEO_8M, file_bytes=2)),
        (needs(SIXTEEN), replace(GPT_NEO_125M, file_bytes=4)),
    ):
        by_model.append(
            {
                "extract": of.extract(size, ["mlp_pre"], 2),
                "summarize_stored": of.summarize_stored(size.layers, size.mlp),
                "describe_weights": of.describe_weights(size, 2),
                "correlate_token_length": of.correlate(size.mlp),
                "describe_neurons": of.describe(size.mlp),
                "resample_token_length": of.resample(size.mlp, 200),
                "test_unimodality": of.test_unimodality(size.mlp, 200),
                "extract_paths": of.extract_paths(size, 2),
                "extract_vectors": of.extract_vectors(size, 54, 2),
                "compute_cosines": of.cosines(54 * 6 * size.layers * size.hidden, size.layers, 54),
            }
        )
    default, shape = by_model
    return {rule: (default[rule].memory / 1e6, shape[rule].memory / 1e6 if PEAKS[rule][1] else None) for rule in PEAKS}


@pytest.mark.parametrize("rule", PEAKS)
def test_memory_is_within_30_percent_of_a_run(rule: str, project: Path) -> None:
    page = (project / "docs/cluster.md").read_text(encoding="utf-8")
    cells = [f"memory of `{rule}`"]
    for expected, measured in zip(expected_peaks()[rule], PEAKS[rule], strict=True):
        if measured:
            assert expected == pytest.approx(measured, rel=0.3)
        cells += [f"{expected / 1000:.2f} GB", f"{measured / 1000:.2f} GB"] if measured else ["", ""]
    row = f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |")
    assert f"{row}\n" in page, row


def rows_of_page(folder: Path) -> list[str]:
    """The rows of the table of docs/cluster.md: memory and minutes of each rule."""
    of = needs(MILLION, device="auto")
    models = [size_of(name, folder) for name in ("gpt-neo-125m", "gpt-neo-1.3b", "llama-2-7b")]
    rules: dict[str, Callable[[ModelSize], Expected]] = {
        "`extract`": lambda model: of.extract(model, ["mlp_pre"], 4),
        "`extract_vectors`": lambda model: of.extract_vectors(model, 54, 4),
        "`extract_paths`": lambda model: of.extract_paths(model, 4),
        "`summarize`": lambda model: of.summarize(model, "mlp_pre", 4),
        "`correlate_token_length`, per layer": lambda model: of.correlate(model.mlp),
        "`describe_neurons`, per layer": lambda model: of.describe(model.mlp),
        "`resample_token_length`, per layer": lambda model: of.resample(model.mlp, 200),
        "`test_unimodality`, per layer": lambda model: of.test_unimodality(model.mlp, 200),
        "`describe_weights`": lambda model: of.describe_weights(model, 8),
        "`match_neurons` with GPT-Neo 125M, per layer": lambda model: of.match(3072, 12, model.mlp, 4),
    }
    rows = []
    for rule, expected in rules.items():
        cells = [f"{mb / 1000:.3g} GB, {minutes} min" for mb, minutes in map(asked, map(expected, models))]
        rows.append(f"| {' | '.join([rule, *cells])} |")
    return rows


def test_table_of_the_page_is_what_jobs_ask_for(project: Path, tmp_path: Path) -> None:
    page = (project / "docs/cluster.md").read_text(encoding="utf-8")
    assert [row for row in rows_of_page(tmp_path) if f"{row}\n" not in page] == []
