"""What the config says: each mistake gives one line before any job starts.

tests/workflow/test_config.py has further ones, which are not repeated here. Snakemake shows each line as it is
(test_whole_workflow.py).
"""

from pathlib import Path
from typing import Any

import pytest
from changes import Catalogue, Change, also, check_line, edit, put, write

from layerscope.io.errors import UserError
from layerscope.preflight.load import load_config

NAME = "should match pattern '^[a-z0-9][a-z0-9._-]*$'"
MODEL = {"source": "model", "tokenizer": "mini", "layers": 2}


def named(name: Any) -> Change:
    return lambda config: config["models"].update({name: MODEL})


SELF: list[Any] = []
SELF.append(SELF)
LARGEST_SEED = 9223372036854775807


def studies(*names: str) -> Change:
    """The study of token similarity on models of these names."""
    return also(*map(named, names), put("studies/token_similarity/models", list(names)))


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
    "section null": (
        put("extraction", None),
        "config: extraction: null is not allowed: it must be a section",
    ),
    "section a list": (put("sampling", [4]), "config: sampling: [4] is not allowed: it must be a section"),
    "section text": (put("models", "tiny"), 'config: models: "tiny" is not allowed: it must be a section'),
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
    "too few resamples": (
        put("studies/token_length/resamples", 10),
        "config: studies.token_length.resamples: 10 is not allowed: input should be greater than or equal to 100",
    ),
    "unknown compression": (
        put("extraction", {"compression": "zip"}),
        "config: extraction.compression: \"zip\" is not allowed: input should be 'none', 'lzf' or 'gzip'",
    ),
    "unknown study": (
        put("studies/token_lengths", {"models": ["tiny"]}),
        "config: studies.token_lengths: unknown key; allowed are token_length, token_similarity, path_length",
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
    "value that contains itself": (
        put("models", SELF),
        "config: models: [[...]] is not allowed: it must be a section",
    ),
    "seed of more than 64 bits": (
        put("studies/token_length/seed", 2**70),
        "config: studies.token_length.seed: 1180591620717411303424 is not allowed: input should be less than or equal "
        f"to {LARGEST_SEED}",
    ),
    "seed of 64 bits without a sign": (
        put("studies/token_similarity/seed", 2**63),
        "config: studies.token_similarity.seed: 9223372036854775808 is not allowed: input should be less than or equal "
        f"to {LARGEST_SEED}",
    ),
    "home of nobody": (
        put("models/tiny/source", "~no_such_user/model"),
        "config: models.tiny.source: '~no_such_user/model' is neither a local file or folder nor a hub id (owner/name)",
    ),
    "pair of one model": (
        put("studies/token_length/pairs", [["tiny", "tiny"]]),
        "config: studies.token_length.pairs: 'tiny' is paired with itself; name two models",
    ),
    "name of a table of lengths": (
        named("lengths_mini.parquet"),
        "config: models: the name 'lengths_mini.parquet' could be mistaken for a table; choose one that does not "
        "end in .csv or .parquet",
    ),
    "name of a table": (
        named("layers.csv"),
        "config: models: the name 'layers.csv' could be mistaken for a table; choose one that does not end in .csv "
        "or .parquet",
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


def test_the_home_folder_is_put_in_for_a_tilde(
    study: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    study["models"]["tiny"]["source"] = "~/model"
    study["tokenizers"]["mini"]["source"] = "~/tokenizer"
    study["corpora"]["mine"]["source"] = "~/corpus.jsonl"
    study["studies"]["token_similarity"]["sentences"] = "~/sentences.txt"
    config = load_config(study)
    assert config.models["tiny"].source == str(tmp_path / "model")
    assert config.studies.token_similarity.sentences == str(tmp_path / "sentences.txt")


# Each group is what a config says all at once, and the lines in their order.
TOGETHER: dict[str, tuple[Change, list[str]]] = {
    "of every kind": (
        also(
            put("extraction", {"device": "gpu"}),
            put("models/tiny/tokenizer", "other"),
            put("studies/token_length/corpus", "c4"),
            put("corpora/mine/source", "missing.jsonl"),
            write("sentences.txt", "Then her.\n" * 2),
        ),
        [
            "config: extraction.device: \"gpu\" is not allowed: input should be 'auto', 'cpu' or 'cuda'",
            "config: models.tiny.tokenizer: 'other' is not in tokenizers; allowed are mini",
            "config: studies.token_length.corpus: 'c4' is not in corpora; allowed are mine",
            "config: corpora.mine.source: 'missing.jsonl' is neither a local file or folder nor a hub id (owner/name)",
            "token_similarity.sentences: sentences.txt has 2 sentences; at least 3 are needed",
        ],
    ),
    "of names": (
        also(
            put("studies/token_length/models", ["tiny", "small", "large"]),
            put("studies/token_length/corpus", "c4"),
            put("studies/token_similarity/models", ["tiny", "tiny"]),
        ),
        [
            "config: studies.token_length.models: 'small' is not in models; allowed are tiny",
            "config: studies.token_length.models: 'large' is not in models; allowed are tiny",
            "config: studies.token_length.corpus: 'c4' is not in corpora; allowed are mine",
            "config: studies.token_similarity.models: ['tiny', 'tiny'] names a model twice; name each once",
        ],
    ),
    "of sources": (
        also(
            edit("model/config.json", num_layers="two"),
            write("tokenizer/tokenizer.json", "{"),
            put("corpora/mine/text_field", "body"),
            write("sentences.txt", ""),
        ),
        [
            "tokenizers.mini: tokenizer/tokenizer.json cannot be read: ",
            'config: models.tiny.source: its config.json has num_layers: "two"; an integer of at least 1 is needed',
            "corpus mine: document 0 has no field 'body'; it has text (set corpora.mine.text_field)",
            "token_similarity.sentences: sentences.txt has 0 sentences; at least 3 are needed",
        ],
    ),
    "of one model": (
        also(
            put("models/tiny/layers", 3),
            edit("model/config.json", vocab_size=100),
            put("sampling/sequence_length", 65),
            lambda config: Path("model/model.safetensors").unlink(),
        ),
        [
            "models.tiny: model holds no model.safetensors or model.safetensors.index.json; pickled weights are not ",
            "config: models.tiny.layers: 3 is not what the model has; write layers: 2",
            "config: models.tiny.tokenizer: 'mini' has token ids up to 8191, beyond the model's vocabulary of 100; ",
            "config: sampling.sequence_length: 65 is longer than the 64 positions of tiny; allowed are 2 to 64",
        ],
    ),
    "of one source that two models share": (
        also(
            named("twin"),
            put("studies/token_length/models", ["tiny", "twin"]),
            edit("model/config.json", vocab_size=0),
        ),
        ["config: models.tiny.source: its config.json has vocab_size: 0; an integer of at least 1 is needed"],
    ),
    "of a pair": (
        put("studies/token_length/pairs", [["tiny", "small"], ["tiny", "tiny"]]),
        [
            "config: studies.token_length.pairs: 'small' is not in the study's models; allowed are tiny",
            "config: studies.token_length.pairs: 'tiny' is paired with itself; name two models",
        ],
    ),
    # What is wrong itself has no consequences.
    "in a model, which is still a name": (
        put("models/tiny", {"source": "model"}),
        ["config: models.tiny.tokenizer: is missing", "config: models.tiny.layers: is missing"],
    ),
    "in all models": (put("models", "tiny"), ['config: models: "tiny" is not allowed: it must be a section']),
    "in a misspelt key, which is not taken as left out": (
        also(put("sampling", {"sequences_per_shard": 5, "sequnces": 10}), put("studies/token_lenth", {"models": []})),
        [
            "config: sampling.sequnces: unknown key; allowed are sequences, sequence_length, sequences_per_shard",
            "config: studies.token_lenth: unknown key; allowed are token_length, token_similarity, path_length",
        ],
    ),
    "in the number of layers, which the model tells": (
        also(put("models/tiny/layers", 1), put("studies/token_length/histogram_layer", 1)),
        ["config: models.tiny.layers: 1 is not what the model has; write layers: 2"],
    ),
    "in a source that is not there": (
        put("models/tiny/source", "missing.json"),
        ["config: models.tiny.source: 'missing.json' is neither a local file or folder nor a hub id (owner/name)"],
    ),
}


@pytest.mark.parametrize("mistakes", TOGETHER)
def test_several_mistakes_are_said_at_once(study: dict[str, Any], mistakes: str) -> None:
    change, lines = TOGETHER[mistakes]
    change(study)
    with pytest.raises(UserError) as error:
        load_config(study)
    said = str(error.value).splitlines()
    assert len(said) == len(lines), said
    assert all(found.startswith(line) for found, line in zip(said, lines, strict=True)), said


def test_keys_that_are_duplicated_in_all_files_are_said_with_the_rest(study: dict[str, Any]) -> None:
    Path("a.yaml").write_text("models: {}\nmodels: {}\nstudies: {token_length: {seed: 0, seed: 1}}\n")
    Path("b.yaml").write_text("sampling:\nsampling:\nsampling:\n")
    study["sampling"]["sequences"] = 3
    with pytest.raises(UserError) as error:
        load_config(study, ["a.yaml", "b.yaml"])
    assert [line.split(";")[0] for line in str(error.value).splitlines()] == [
        "config: models: is duplicated in line 2 of a.yaml",
        "config: studies.token_length.seed: is duplicated in line 3 of a.yaml",
        "config: sampling: is duplicated in line 2 of b.yaml",
        "config: sampling: is duplicated in line 3 of b.yaml",
        "config: sampling.sequences: 3 is not a multiple of sequences_per_shard (2)",
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("models: &x {b: *x}\n", 1),
        ("studies:\n  token_length: {models: &x [a, [*x]]}", 2),
    ],
)
def test_value_of_a_file_that_contains_itself(study: dict[str, Any], text: str, line: int) -> None:
    Path("overlay.yaml").write_text(text)
    with pytest.raises(UserError) as error:
        load_config(study, ["overlay.yaml"])
    said = f"config: overlay.yaml: line {line}: contains an alias (*) of itself; write the value out"
    assert str(error.value) == said


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "models:\n  tiny: {source: a}\n  tiny: {source: b}\n",
            "config: models.tiny: is duplicated in line 3 of",
        ),
        ("sampling: {sequences: 2,\n  sequences: 4}\n", "config: sampling.sequences: is duplicated in line 2 of"),
        ("studies:\n  a: 1\nmodels: {}\nstudies:\n", "config: studies: is duplicated in line 4 of"),
    ],
)
def test_key_that_is_duplicated_in_a_file(study: dict[str, Any], text: str, line: str) -> None:
    Path("overlay.yaml").write_text(text)
    with pytest.raises(UserError) as error:
        load_config(study, ["overlay.yaml"])
    assert str(error.value) == f"{line} overlay.yaml; keep one"
