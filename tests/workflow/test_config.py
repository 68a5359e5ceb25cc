"""The configuration: what is shipped is valid, and what is wrong gets one line that says so."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from snakemake.utils import update_config

from layerscope.io.errors import UserError
from layerscope.model.architecture import SITES
from layerscope.preflight.config import Studies, schema
from layerscope.preflight.load import load_config

OURS = "neo-2m, neo-8m, neo-2m-random, neo-8m-random"
THEIRS = ("gpt-neo-125m", "gpt-neo-1.3b", "gpt2-large", "gpt2-xl")
MODELS = ", ".join([OURS, *THEIRS, *(f"{name}-random" for name in THEIRS)])
NEW_MODEL = {"source": "owner/name", "tokenizer": "mini", "layers": 4}
LEFT_OUT = ...
KEPT = {"models": ["neo-2m"], "corpus": "embedded", "store": ["resid_post"]}
ENTRY = "models, corpus, store, summarize"
SITE_NAMES = f"{', '.join(repr(site) for site in SITES[:-1])} or {SITES[-1]!r}"

# (path of a key, the value it gets, the one line)
BAD = [
    ("models", LEFT_OUT, "models: is missing"),
    ("models", None, "models: null is not allowed: it must be a section"),
    (
        "models",
        {},
        "models: {} is not allowed: dictionary should have at least 1 item after validation, not 0",
    ),
    (
        "models/Neo",
        NEW_MODEL,
        "models: the name \"Neo\" is not allowed: string should match pattern '^[a-z0-9][a-z0-9._-]*$'",
    ),
    ("models/neo-2m/layers", LEFT_OUT, "models.neo-2m.layers: is missing"),
    ("models/neo-2m/layers", 5, "models.neo-2m.layers: 5 is not what the model has; write layers: 4"),
    (
        "models/neo-2m/tokenizer",
        "gpt3",
        "models.neo-2m.tokenizer: 'gpt3' is not in tokenizers; allowed are mini, gpt2",
    ),
    (
        "models/neo-2m/source",
        "resources/models/neo-3m",
        "models.neo-2m.source: 'resources/models/neo-3m' is neither a local file or folder nor a hub id (owner/name)",
    ),
    (
        "models/neo-2m/source",
        "",
        'models.neo-2m.source: "" is not allowed: string should have at least 1 character',
    ),
    (
        "models/neo-2m/file",
        "model.bin",
        "models.neo-2m.file: unknown key; allowed are source, revision, tokenizer, layers, weights",
    ),
    (
        "corpora/embedded/source",
        "corpus/documents.jsonl",  # has the form of a hub id, too
        "corpora.embedded.source: 'corpus/documents.jsonl' is neither a local file or folder nor a hub id (owner/name)",
    ),
    (
        "sampling/sequnces",
        32,
        "sampling.sequnces: unknown key; allowed are sequences, sequence_length, sequences_per_shard, "
        "stored_sequences, stored_sequences_per_shard",
    ),
    ("sampling/sequences", 65, "sampling.sequences: 65 is not a multiple of sequences_per_shard (64); 128 would be"),
    (
        "sampling/stored_sequences",
        96,
        "sampling.stored_sequences: 96 is more than sampling.sequences (64); write at most that",
    ),
    (
        "sampling/stored_sequences",
        40,
        "sampling.stored_sequences: 40 is not a multiple of stored_sequences_per_shard (64); 64 would be",
    ),
    (
        "sampling/stored_sequences_per_shard",
        12,
        "sampling.stored_sequences_per_shard: 12 is not a divisor of sequences_per_shard (64)",
    ),
    ("sampling/sequences", "32", 'sampling.sequences: "32" is not allowed: input should be a valid integer'),
    (
        "sampling/sequences_per_shard",
        0,
        "sampling.sequences_per_shard: 0 is not allowed: input should be greater than or equal to 1",
    ),
    (
        "sampling/sequence_length",
        4096,
        "sampling.sequence_length: 4096 is longer than the 1024 positions of neo-2m; allowed are 2 to 1024",
    ),
    (
        "extraction/device",
        "gpu",
        "extraction.device: \"gpu\" is not allowed: input should be 'auto', 'cpu' or 'cuda'",
    ),
    (
        "extraction/batch_size",
        0,
        "extraction.batch_size: 0 is not allowed: input should be 'auto' or an integer of at least 1",
    ),
    (
        "extraction/storage_dtype",
        "bfloat16",
        "extraction.storage_dtype: \"bfloat16\" is not allowed: input should be 'float32' or 'float16'",
    ),
    (
        "studies/token_length/models",
        ["neo-3m"],
        f"studies.token_length.models: 'neo-3m' is not in models; allowed are {MODELS}",
    ),
    (
        "studies/token_length/models",
        ["neo-2m", "neo-2m"],
        "studies.token_length.models: ['neo-2m', 'neo-2m'] names a model twice; name each once",
    ),
    (
        "studies/token_length/corpus",
        "c4",
        "studies.token_length.corpus: 'c4' is not in corpora; allowed are embedded, fineweb",
    ),
    (
        "studies/token_length/histogram_layer",
        4,
        "studies.token_length.histogram_layer: 4 is not a layer of neo-2m; allowed are 0 to 3",
    ),
    (
        "studies/token_length/frequency_covariate",
        "curve",
        "studies.token_length.frequency_covariate: \"curve\" is not allowed: input should be 'spline' or 'line'",
    ),
    *(
        (
            "results",
            folder,
            f'results: "{folder}" is not allowed: input should be a folder in that of the project, {what}',
        )
        for folder, what in {
            "": "such as results-pilot",
            ".": "such as results-pilot",
            "/tmp/pilot": "such as results-pilot",
            "<pilot>": "such as results-pilot",
            "{pilot}": "such as results-pilot",
            ".snakemake/pilot": "such as results-pilot",
            "../pilot": "without ..",
        }.items()
    ),
    (
        "studies",
        {},
        f"studies: no study is named; allowed are {', '.join(Studies.model_fields)}, or none of them with sites under "
        "activations",
    ),
    (
        "seed",
        1,
        "seed: unknown key; allowed are models, tokenizers, corpora, sampling, extraction, summaries, activations, "
        "studies, results",
    ),
    ("activations", {"neo-2m": {}}, 'activations: {"neo-2m": {}} is not allowed: input should be a valid list'),
    ("activations", ["mlp_pre"], 'activations.0: "mlp_pre" is not allowed: it must be a section'),
    ("activations", [{**KEPT, "site": "q"}], f"activations.0.site: unknown key; allowed are {ENTRY}"),
    ("activations", [{"models": ["neo-2m"], "store": ["q"]}], "activations.0.corpus: is missing"),
    (
        "activations",
        [{**KEPT, "models": []}],
        "activations.0.models: [] is not allowed: list should have at least 1 item after validation, not 0",
    ),
    (
        "activations",
        [KEPT, {**KEPT, "models": ["neo-3m"]}],
        f"activations.1.models: 'neo-3m' is not in models; allowed are {MODELS}",
    ),
    (
        "activations",
        [{**KEPT, "corpus": "c4"}],
        "activations.0.corpus: 'c4' is not in corpora; allowed are embedded, fineweb",
    ),
    (
        "activations",
        [{**KEPT, "store": ["resid_mid"]}],
        f'activations.0.store.0: "resid_mid" is not allowed: input should be {SITE_NAMES}',
    ),
    (
        "activations",
        [{**KEPT, "models": ["neo-2m", "neo-2m"]}],
        'activations.0.models: ["neo-2m", "neo-2m"] is not allowed: \'neo-2m\' is named twice; name it once',
    ),
    (
        "activations",
        [{**KEPT, "summarize": ["q", "q"]}],
        'activations.0.summarize: ["q", "q"] is not allowed: \'q\' is named twice; name it once',
    ),
    (
        "activations",
        [{**KEPT, "store": []}],
        "activations.0: keeps nothing; name sites under store or summarize",
    ),
    (
        "activations",
        [KEPT, {**KEPT, "models": ["neo-8m", "neo-2m"], "store": ["v", "resid_post"]}],
        "activations.1.store: 'resid_post' of neo-2m on embedded is in activations.0 too; name it once",
    ),
    (
        "activations",
        [KEPT, {**KEPT, "store": [], "summarize": ["mlp_pre", "mlp_gate"]}],
        "activations.1.summarize: 'mlp_gate' is no site of neo-2m: the MLP of architecture gpt_neo has no gate; name "
        "mlp_pre or mlp_post, which it has",
    ),
    (
        "studies/token_length/pairs",
        [["neo-2m", "gpt2-xl"]],
        f"studies.token_length.pairs: 'gpt2-xl' is not in the study's models; allowed are {OURS}",
    ),
    (
        "studies/token_length/pairs",
        [["neo-2m", "neo-2m"]],
        "studies.token_length.pairs: 'neo-2m' is paired with itself; name two models",
    ),
    (
        "studies/token_length",
        {"models": ["neo-2m", "gpt2-xl"], "corpus": "fineweb", "pairs": [["neo-2m", "gpt2-xl"]]},
        "studies.token_length.pairs: neo-2m and gpt2-xl read different tokens (tokenizers mini and gpt2); "
        "pair models with one tokenizer",
    ),
    (
        "studies/token_length/pairs",
        [["neo-2m"]],
        'studies.token_length.pairs.0: ["neo-2m"] is not allowed: list should have at least 2 items after validation, '
        "not 1",
    ),
]


@pytest.fixture
def default(project, monkeypatch) -> dict[str, Any]:
    monkeypatch.chdir(project)  # local sources are given from the root of the project
    return yaml.safe_load(Path("config/config.yaml").read_text(encoding="utf-8"))


def change(config: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    config = copy.deepcopy(config)
    *parents, key = path.split("/")
    section = config
    for parent in parents:
        section = section[parent]
    section[key] = value
    if value is LEFT_OUT:
        del section[key]
    return config


def test_default_config_is_valid(default):
    config = load_config(default)
    assert config.studies.token_length.models == OURS.split(", ")
    assert config.studies.token_length.pairs == [["neo-2m", "neo-8m"]]
    assert config.studies.token_length.histogram_layer == 2
    assert config.studies.token_similarity.matrix_layer == 4
    assert config.studies.token_length.frequency_covariate == "spline"
    sampling = config.sampling
    assert (sampling.sequences, sampling.sequence_length, sampling.shards) == (64, 256, 1)


def test_untrained_controls_are_the_same_models_with_random_weights(default):
    """Beside every model of the registry, and in every study beside the models that it names."""
    overlay = yaml.safe_load(Path("config/gpt_neo.yaml").read_text(encoding="utf-8"))
    for layer in ({}, overlay):
        update_config(default, layer)
        config = load_config(default)
        for name, model in config.models.items():
            trained = config.models[name.removesuffix("-random")]
            assert (model.source, model.tokenizer, model.layers) == (trained.source, trained.tokenizer, trained.layers)
            assert model.weights == ("random" if name.endswith("-random") else "trained")
            assert f"{name}-random" in config.models or name.endswith("-random")
        for study in Studies.model_fields:
            models = getattr(config.studies, study).models
            assert {name for name in models if name.endswith("-random")} == {
                f"{name}-random" for name in models if not name.endswith("-random")
            }


def test_full_study_is_valid_laid_over_the_default(default):
    overlay = yaml.safe_load(Path("config/gpt_neo.yaml").read_text(encoding="utf-8"))
    update_config(default, overlay)
    config = load_config(default)
    models = ["gpt-neo-125m", "gpt-neo-1.3b", "gpt-neo-125m-random", "gpt-neo-1.3b-random"]
    assert config.studies.token_length.models == models
    assert config.studies.token_length.pairs == [["gpt-neo-125m", "gpt-neo-1.3b"]]
    assert config.studies.token_length.corpus == "fineweb"
    assert config.studies.token_length.histogram_layer == 5
    assert config.studies.token_similarity.matrix_layer == 24
    assert config.sampling.stored * config.sampling.sequence_length == 65_536
    assert config.sampling.sequences * config.sampling.sequence_length == 10 * 2**20


@pytest.mark.parametrize(
    ("models", "pairs"),
    [
        (["neo-2m"], []),
        (["neo-2m-random"], []),
        (["neo-2m-random", "neo-2m"], []),
        (["neo-8m", "neo-2m-random", "neo-2m"], [["neo-2m", "neo-8m"]]),
        (
            ["gpt2-xl", "neo-8m", "gpt-neo-1.3b", "neo-2m", "gpt2-large"],
            [["gpt-neo-1.3b", "gpt2-large"], ["gpt2-large", "gpt2-xl"], ["neo-2m", "neo-8m"]],
        ),
    ],
)
def test_naming_models_is_enough(default, models, pairs):
    """Pairs follow, of neighbours in size with one tokenizer; so do the layers that are drawn."""
    for study in ("token_length", "token_similarity"):
        default["studies"][study]["models"] = models
    config = load_config(default)
    assert config.studies.token_length.pairs == pairs
    fewest = min(default["models"][name]["layers"] for name in models)
    assert config.studies.token_length.histogram_layer == config.studies.token_similarity.matrix_layer == fewest // 2


def test_models_of_one_size_are_paired_in_their_order(default):
    default["models"]["neo-2m-random"]["weights"] = "trained"
    assert load_config(default).studies.token_length.pairs == [["neo-2m", "neo-2m-random"], ["neo-2m-random", "neo-8m"]]


def test_what_is_written_does_not_follow(default):
    default["studies"]["token_length"] |= {"pairs": [], "histogram_layer": 0}
    default["studies"]["token_similarity"]["matrix_layer"] = 0
    studies = load_config(default).studies
    assert studies.token_length.pairs == []
    assert studies.token_length.histogram_layer == studies.token_similarity.matrix_layer == 0


def test_null_is_as_left_out(default):
    studies = change(change(default, "studies/token_length/pairs", None), "studies/token_similarity/matrix_layer", None)
    assert load_config(studies) == load_config(default)


def test_sections_that_have_defaults_may_be_left_out(default):
    without = change(change(default, "sampling", LEFT_OUT), "extraction", LEFT_OUT)
    assert load_config(without).extraction.batch_size == "auto"


def test_schema_in_the_repository_is_not_stale(project):
    path = project / "workflow/schemas/config.schema.json"
    assert path.read_text(encoding="utf-8") == schema(), "run: python -m layerscope.preflight.config > " + str(path)


def test_schema_lets_editors_know_the_keys():
    definitions = json.loads(schema())["$defs"]
    assert definitions["Sampling"]["additionalProperties"] is False
    assert definitions["Extraction"]["properties"]["dtype"]["enum"] == ["float32", "float16", "bfloat16"]
    assert definitions["Extraction"]["properties"]["batch_size"]["anyOf"] == [
        {"minimum": 1, "type": "integer"},
        {"const": "auto", "type": "string"},
    ]


@pytest.mark.parametrize(("path", "value", "line"), BAD, ids=[f"{path}={value}"[:40] for path, value, _ in BAD])
def test_each_mistake_gets_one_line(default, path, value, line):
    with pytest.raises(UserError) as error:
        load_config(change(default, path, value))
    assert str(error.value) == f"config: {line}"


def test_each_of_several_mistakes_gets_its_line(default):
    config = change(change(default, "sampling/sequences", "32"), "extraction/device", "gpu")
    with pytest.raises(UserError) as error:
        load_config(config)
    assert [line.split(": ")[1] for line in str(error.value).splitlines()] == [
        "sampling.sequences",
        "extraction.device",
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "no config.json in it"),
        ("{", "not valid JSON"),
        ("[]", "not the JSON object of a transformers model"),
        ("{}", "names no model_type; supported are gpt_neo, "),
        ('{"model_type": "gpt2"}', "names no number of layers"),
    ],
)
def test_a_folder_that_is_no_model_gets_one_line(default, tmp_path, content, problem):
    folder = tmp_path / "model"
    folder.mkdir()
    if content is not None:
        (folder / "config.json").write_text(content)
    with pytest.raises(UserError, match=problem) as error:
        load_config(change(default, "models/neo-2m/source", str(folder)))
    assert "\n" not in str(error.value)
    assert "neo-2m" in str(error.value) or str(folder) in str(error.value)


def test_a_file_is_no_model(default):
    with pytest.raises(UserError, match=r"documents.jsonl: no config.json in it"):
        load_config(change(default, "models/neo-2m/source", "resources/corpus/documents.jsonl"))
