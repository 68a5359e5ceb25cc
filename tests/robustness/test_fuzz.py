"""Arbitrary input: documents are packed without loss, and what cannot be used is refused in one line a mistake."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from encoded import pack
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from layerscope.extract.activation_shards import LayerReader
from layerscope.extract.writer import ActivationShardWriter
from layerscope.io.errors import UserError
from layerscope.preflight.load import load_config
from layerscope.studies.path_length.lengths import QUANTITIES
from layerscope.studies.path_length.path_shards import read_path_shard, write_path_shard
from layerscope.tokenize.documents import read_documents
from layerscope.tokenize.token_shards import Tokens, read_token_shard, write_token_shard
from layerscope.tokenize.tokenizer import LoadedTokenizer, load_tokenizer

pytestmark = pytest.mark.slow
PROJECT = Path(__file__).parents[2]
# The same examples in every run: a failure is then that of a change, and not of chance.
FUZZ = settings(deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def tokenizer() -> LoadedTokenizer:
    path = PROJECT / "resources/tokenizers/mini"
    return load_tokenizer({"name": "mini", "source": str(path), "commit": None, "content": None, "path": str(path)})


def check_line(line: str) -> None:
    assert len(line.splitlines()) == 1 and line.isprintable(), ascii(line)


# Of any Unicode, and of the characters that tokenizers treat apart.
TEXTS = st.text(
    st.one_of(st.characters(codec="utf-8"), st.sampled_from("  \n\t\0\u200d\u0301é'0a🙂"))
) | st.sampled_from(["<|endoftext|>", "a<|endoftext|>b", " ", "\ufeff"])


@given(texts=st.lists(TEXTS, max_size=90), sequences=st.integers(1, 4), length=st.integers(2, 40))
@settings(FUZZ, max_examples=150)
def test_shards_are_slices_of_one_stream(
    tokenizer: LoadedTokenizer, texts: list[str], sequences: int, length: int
) -> None:
    """Every token of every document, one end-of-text token after each; nothing twice, nothing lost but the rest."""
    documents = [
        [*tokenizer.backend.encode(text, add_special_tokens=False).ids, tokenizer.end_of_text] for text in texts
    ]
    stream = np.array([token for ids in documents for token in ids], dtype=np.int32)
    numbers = np.repeat(np.arange(len(documents)), [len(ids) for ids in documents])
    size = sequences * length
    whole = len(stream) // size
    shards = [pack(tokenizer, texts, shard, sequences, length) for shard in range(whole)]
    for shard, tokens in enumerate(shards):
        here = slice(shard * size, (shard + 1) * size)
        assert all(array.dtype == np.int32 and array.shape == (size,) for array in vars(tokens).values())
        np.testing.assert_array_equal(tokens.input_ids, stream[here])
        np.testing.assert_array_equal(tokens.document, numbers[here])
        np.testing.assert_array_equal(tokens.sequence, np.arange(len(stream))[here] // length)
        np.testing.assert_array_equal(tokens.position, np.arange(len(stream))[here] % length)
    with pytest.raises(UserError) as error:
        pack(tokenizer, texts, whole, sequences, length)
    check_line(str(error.value))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
# Any text that JSON can write, which half of a surrogate pair is too.
ROWS = st.lists(st.dictionaries(st.sampled_from(["text", "id"]), JSON | st.text(st.characters())) | JSON, max_size=5)


@given(content=st.binary() | ROWS.map(lambda rows: "\n".join(map(json.dumps, rows)).encode()))
@settings(FUZZ, max_examples=300)
@pytest.mark.parametrize("ending", ["jsonl", "json", "txt", "parquet", "csv", "tsv"])
def test_any_file_of_documents_is_packed_or_refused_in_one_line(
    tokenizer: LoadedTokenizer, tmp_path_factory: pytest.TempPathFactory, ending: str, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / f"documents.{ending}"
    path.write_bytes(content)
    try:
        texts = (text for _, text in read_documents("any", str(path), "text"))
        assert len(pack(tokenizer, texts, 0, 1, 2)) == 2
    except UserError as error:
        check_line(str(error))


DEFAULT = yaml.safe_load((PROJECT / "config/config.yaml").read_text())
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.binary()
    | st.sampled_from(["auto", "neo-2m", "resources", ".", "..", "/", "~", "a/b", "x" * 5000, 10**400, -1, 0])
)  # fmt: skip
KEYS = st.sampled_from(["models", "layers", "source", "corpus", "neo-2m"]) | SCALARS
# What YAML can give, with keys that are no text.
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=6
)


def places(config: Any, place: tuple = ()) -> Iterator[tuple]:
    """The keys to every value of a config, outer ones too."""
    for key in config if isinstance(config, dict) else ():
        yield (*place, key)
        yield from places(config[key], (*place, key))


def with_changes(changes: list[tuple[tuple, Any, Any]]) -> dict:
    """The default config with values replaced, or put beside another key."""
    config = json.loads(json.dumps(DEFAULT))
    for place, beside, value in changes:
        section = config
        for key in place[:-1]:
            section = section.get(key) if isinstance(section, dict) else None
        if isinstance(section, dict):
            section[place[-1] if beside is None else beside] = value
    return config


CHANGES = st.lists(st.tuples(st.sampled_from(list(places(DEFAULT))), st.none() | KEYS, ANYTHING), max_size=3)


@given(config=CHANGES.map(with_changes) | st.dictionaries(KEYS, ANYTHING, max_size=4))
@settings(FUZZ, max_examples=1500)
def test_any_config_is_taken_or_refused_in_one_line_a_mistake(config: dict) -> None:
    before = Path.cwd()
    os.chdir(PROJECT)
    try:
        load_config(config)
    except UserError as error:
        for line in str(error).split("\n"):
            check_line(line)
            assert line.startswith(("config: ", "model folder ", "corpus ")), line
    finally:
        os.chdir(before)


NUMBERS = np.arange(64, dtype=np.int32)
TOKENS = Tokens(NUMBERS, NUMBERS // 32, NUMBERS % 32, NUMBERS // 9)
VALUES = np.random.default_rng(0).normal(size=(64, 6)).astype(np.float32)


def read_activations(path: Path) -> Any:
    with LayerReader([str(path)], "q", 0) as reader:
        return reader.tokens(), list(reader.blocks(np.ones(64, dtype=bool)))


def write_activations(path: Path) -> None:
    with ActivationShardWriter(path, TOKENS, {}, "float32", "gzip") as shard:
        shard.append("q", 0, VALUES)
        shard.finish()


KINDS = {
    "tokens": (lambda path: write_token_shard(path, TOKENS, {"corpus": "any"}), read_token_shard),
    "activations": (write_activations, read_activations),
    "paths": (
        lambda path: write_path_shard(path, dict.fromkeys(QUANTITIES, VALUES.T), TOKENS, NUMBERS % 7 > 0, {}),
        read_path_shard,
    ),
}
EDITS = st.lists(st.tuples(st.integers(0, 2**20), st.binary(max_size=40), st.integers(0, 40)), min_size=1, max_size=4)


def edited(content: bytes, edits: list[tuple[int, bytes, int]]) -> bytes:
    """Bytes put in at some places, and others taken out."""
    for at, new, removed in edits:
        at %= len(content) + 1
        content = content[:at] + new + content[at + removed :]
    return content


@given(edits=EDITS | st.binary(max_size=100))
@settings(FUZZ, max_examples=100)
@pytest.mark.parametrize(
    ("kind", "ending"), [("tokens", ".h5"), ("activations", ".h5"), ("activations", ".json"), ("paths", ".h5")]
)
def test_any_change_of_a_file_is_refused_or_changes_no_value(
    tmp_path_factory: pytest.TempPathFactory, kind: str, ending: str, edits: list | bytes
) -> None:
    write, read = KINDS[kind]
    path = tmp_path_factory.getbasetemp() / "shard.h5"
    write(path)
    expected = repr(read(path))
    changed = path.with_suffix(ending)
    changed.write_bytes(edits if isinstance(edits, bytes) else edited(changed.read_bytes(), edits))
    try:
        assert repr(read(path)) == expected
    except UserError as error:
        check_line(str(error))
        assert str(error).startswith(str(path.with_suffix("")))
