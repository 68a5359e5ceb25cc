"""What the config says: each mistake gives one line before any job starts.

tests/test_config.py has further ones, which are not repeated here. Snakemake shows each line as it is
(test_whole_workflow.py).
"""

from pathlib import Path
from typing import Any

import pytest
from changes import Catalogue, Change, check_line, put

from layerscope.config import load_config
from layerscope.errors import UserError

NAME = "should match pattern '^[a-z0-9][a-z0-9._-]*$'"
MODEL = {"source": "model", "tokenizer": "mini", "layers": 2}


def named(name: Any) -> Change:
    return lambda config: config["models"].update({name: MODEL})


CATALOGUE: Catalogue = {
    "negative": (
        put("sampling/sequences", -4),
        "config: sampling.sequences: -4 is not allowed: input should be greater than or equal to 1",
    ),
    "bool for int": (
        put("sampling/sequences", True),
        "config: sampling.sequences: true is not allowed: input should be a valid integer",
    ),
    "int for bool": (
        put("studies/path_length", {"models": ["tiny"], "corpus": "mine", "drop_first_token": 1}),
        "config: studies.path_length.drop_first_token: 1 is not allowed: input should be a valid boolean",
    ),
    "float for int": (
        put("sampling/sequences", 4.0),
        "config: sampling.sequences: 4.0 is not allowed: input should be a valid integer",
    ),
    "not a number": (
        put("sampling/sequences", float("nan")),
        "config: sampling.sequences: NaN is not allowed: input should be a valid integer",
    ),
    "bool for a count": (
        put("extraction", {"batch_size": True}),
        "config: extraction.batch_size: true is not allowed: input should be 'auto' or an integer of at least 1",
    ),
    "one token a sequence": (
        put("sampling/sequence_length", 1),
        "config: sampling.sequence_length: 1 is not allowed: input should be greater than or equal to 2",
    ),
    "more shards than names": (
        put("sampling/sequences", 40_000),
        "config: sampling.sequences_per_shard: 2 makes 20000 shards of 40000 sequences; at most 10000 are allowed, so "
        "write at least 4",
    ),
    "section null": (put("extraction", None), "config: extraction: null is not allowed: it holds keys of its own"),
    "section a list": (put("sampling", [4]), "config: sampling: [4] is not allowed: it holds keys of its own"),
    "section text": (put("models", "tiny"), 'config: models: "tiny" is not allowed: it holds keys of its own'),
    "text for a list": (
        put("studies/token_length/models", "tiny"),
        'config: studies.token_length.models: "tiny" is not allowed: input should be a valid list',
    ),
    "no models": (
        put("studies/token_length/models", []),
        "config: studies.token_length.models: [] is not allowed: list should have at least 1 item after validation, "
        "not 0",
    ),
    "text for layers": (
        put("models/tiny/layers", "2"),
        'config: models.tiny.layers: "2" is not allowed: input should be a valid integer',
    ),
    "negative layer": (
        put("studies/token_length/histogram_layer", -1),
        "config: studies.token_length.histogram_layer: -1 is not allowed: input should be greater than or equal to 0",
    ),
    "layer out of range": (
        put("studies/token_similarity/matrix_layer", 2),
        "config: studies.token_similarity.matrix_layer: 2 is not a layer of tiny; allowed are 0 to 1",
    ),
    "negative seed": (
        put("studies/token_similarity/seed", -1),
        "config: studies.token_similarity.seed: -1 is not allowed: input should be greater than or equal to 0",
    ),
    "too few draws": (
        put("studies/token_length/draws", 10),
        "config: studies.token_length.draws: 10 is not allowed: input should be greater than or equal to 100",
    ),
    "unknown compression": (
        put("extraction", {"compression": "zip"}),
        "config: extraction.compression: \"zip\" is not allowed: input should be 'none', 'lzf' or 'gzip'",
    ),
    "unknown study": (
        put("studies/token_lengths", {"models": ["tiny"]}),
        "config: studies.token_lengths: no such key; allowed are token_length, token_similarity, path_length",
    ),
    "no target": (
        put("studies/token_similarity", {"models": ["tiny"], "sentences": "sentences.txt"}),
        "config: studies.token_similarity.target: is missing",
    ),
    "line break in the target": (
        put("studies/token_similarity/target", "her\nhis"),
        'config: studies.token_similarity.target: "her\\nhis" is not allowed: string should match pattern ',
    ),
    "NUL in a path": (
        put("corpora/mine/source", "corpus\0.jsonl"),
        'config: corpora.mine.source: "corpus\\u0000.jsonl" is not allowed: string should match pattern ',
    ),
    "path that no file can have": (
        put("corpora/mine/source", "/" + "x" * 300),
        f"config: corpora.mine.source: '/{'x' * 300}' cannot be read (File name too long)",
    ),
    **{
        f"name {name[:8]!a}": (named(name), f'config: models: the name "{shown}" is not allowed: string {NAME}')
        for name, shown in (
            ("../x", "../x"),
            ("a/b", "a/b"),
            ("a b", "a b"),
            ("", ""),
            (".hidden", ".hidden"),
            ("-n", "-n"),
            ("tiny\n", "tiny\\n"),
            ("modèle", "mod\\u00e8le"),
            ("<script>", "<script>"),
            ("$(id)", "$(id)"),
        )
    },
    "name of 65 characters": (
        named("x" * 65),
        f'config: models: the name "{"x" * 65}" is not allowed: string should have at most 64 characters',
    ),
    "name that is a number": (
        named(1),
        "config: models: the name 1 is not allowed: input should be a valid string",
    ),
    "name of a table": (
        named("layers.csv"),
        "config: models: the name 'layers.csv' may be that of a table; choose one that ends otherwise",
    ),
}


@pytest.mark.parametrize("mistake", CATALOGUE)
def test_mistake_is_one_line(study: dict[str, Any], mistake: str) -> None:
    check_line(study, *CATALOGUE[mistake])


def test_the_study_works_before_it_is_spoiled(study: dict[str, Any]) -> None:
    load_config(study)


def test_names_that_are_methods_of_lists_are_allowed(study: dict[str, Any]) -> None:
    for name in ("items", "dimensions", "figures", "a..b", "0"):
        study["models"][name] = MODEL
    load_config(study)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "models:\n  tiny: {source: a}\n  tiny: {source: b}\n",
            "config: models.tiny: stands twice, again in line 3 of",
        ),
        ("sampling: {sequences: 2,\n  sequences: 4}\n", "config: sampling.sequences: stands twice, again in line 2 of"),
        ("studies:\n  a: 1\nmodels: {}\nstudies:\n", "config: studies: stands twice, again in line 4 of"),
    ],
)
def test_key_that_stands_twice_in_a_file(study: dict[str, Any], text: str, line: str) -> None:
    Path("overlay.yaml").write_text(text)
    with pytest.raises(UserError) as error:
        load_config(study, ["overlay.yaml"])
    assert str(error.value) == f"{line} overlay.yaml; keep one"
