"""The parts of a corpus: each document is encoded once, and token shards are slices of one stream."""

import json
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from encoded import encode, encode_files, tokenize
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from layerscope.io.errors import UserError
from layerscope.tokenize import encoded_documents, encoding
from layerscope.tokenize.documents import local_documents
from layerscope.tokenize.encoded_documents import bounds, documents_in, parts_with, read_part, write_part
from layerscope.tokenize.encoding import encode_part
from layerscope.tokenize.frequency import frequency_table
from layerscope.tokenize.packing import pack_shard
from layerscope.tokenize.readers import parquet_rows
from layerscope.tokenize.tokenize_shard import tokenize_shard
from layerscope.tokenize.tokenizer import LoadedTokenizer, load_tokenizer

UNIT = 16


@pytest.fixture(scope="module")
def tokenizer(mini_tokenizer: dict) -> LoadedTokenizer:
    return load_tokenizer(mini_tokenizer)


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoded_documents, "UNIT", UNIT)


def text_of(tokens: int, number: int = 0) -> str:
    """A text of so many tokens, the end-of-text token included."""
    words = [" the", " of", " and", " to", " in"]
    return words[number % len(words)] * (tokens - 1)


def write_corpus(folder: Path, texts: list[str]) -> dict[str, Any]:
    """The record of a corpus of texts; some may be empty."""
    folder.mkdir(exist_ok=True)
    path = folder / "corpus.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    unset = dict.fromkeys(("subset", "split", "commit", "content"))
    return {"name": "mine", "source": str(path), "text_field": "text", **unset}


def test_bounds_grow_by_an_eighth() -> None:
    found = [bound // encoded_documents.UNIT for bound in islice(bounds(), 34)]
    assert found[:26] == [*range(17), 18, 20, 22, 24, 27, 30, 33, 37, 41]
    assert all(stop - start <= max(1, start / 8) for start, stop in pairwise(found))
    assert [*bounds_of(100 * 10**6)][-1] < 100 * 10**6 < found[33] * encoded_documents.UNIT


def bounds_of(tokens: int) -> Iterator[int]:
    return islice(bounds(), len(parts_with(0, tokens)))


@given(start=st.integers(0, 10**6), tokens=st.integers(1, 10**6), unit=st.sampled_from([1, 7, 1000]))
def test_parts_of_tokens_are_those_whose_bounds_they_lie_between(start: int, tokens: int, unit: int) -> None:
    with patch.object(encoded_documents, "UNIT", unit):
        found = parts_with(start, start + tokens)
        ends = list(islice(bounds(), found.stop + 1))
    assert ends[found.start] <= start < ends[found.start + 1]
    assert ends[found.stop - 1] < start + tokens <= ends[found.stop]


ANY = settings(deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


@given(
    lengths=st.lists(st.integers(2, 40) | st.integers(2, 400), min_size=1, max_size=40),
    unit=st.integers(1, 64),
    batch=st.integers(1, 5),
    size=st.integers(1, 150),
)
@settings(ANY, max_examples=60)
@example(lengths=[500, 3, 3], unit=10, batch=2, size=30)  # a document longer than many parts
@example(lengths=[10] * 12, unit=30, batch=5, size=20)  # documents that end at every bound, and the corpus too
@example(lengths=[7] * 40, unit=1, batch=3, size=100)  # a shard across many parts
def test_shards_and_counts_are_those_of_one_stream(
    tokenizer: LoadedTokenizer, lengths: list[int], unit: int, batch: int, size: int
) -> None:
    texts = [text_of(length, number) for number, length in enumerate(lengths)]
    runs = [np.array([*ids, tokenizer.end_of_text]) for ids in tokenizer.encode(texts)]
    assert [len(run) for run in runs] == lengths
    stream, documents = np.concatenate(runs), np.repeat(np.arange(len(runs)), lengths)
    with patch.object(encoded_documents, "UNIT", unit), patch.object(encoding, "BATCH", batch):
        parts = encode(tokenizer, texts, max(len(stream) + 3 * unit, size))
        for part, (start, stop) in zip(parts, pairwise(bounds()), strict=False):
            here = slice(part.first_token, part.tokens)
            assert here.start <= min(start, len(stream)) and (part.tokens >= stop or part.ended)
            np.testing.assert_array_equal(part.input_ids, stream[here])
            of_documents = np.repeat(part.first_document + np.arange(len(part.ends)), np.diff(part.ends, prepend=0))
            np.testing.assert_array_equal(of_documents, documents[here])
            assert part.rows == part.documents
        for shard in range(len(stream) // size):
            numbers = parts_with(shard * size, (shard + 1) * size)
            tokens = pack_shard("mine", [parts[number] for number in numbers], shard, 1, size)
            np.testing.assert_array_equal(tokens.input_ids, stream[shard * size : (shard + 1) * size])
            np.testing.assert_array_equal(tokens.document, documents[shard * size : (shard + 1) * size])
        for limit in {1, size, len(stream) - 1, len(stream), len(stream) + 1}:
            whole = np.searchsorted(np.cumsum(lengths), min(limit, len(stream))) + 1
            table = frequency_table(tokenizer, documents_in(parts[number] for number in parts_with(0, limit)), limit)
            expected = np.bincount(np.concatenate(runs[:whole]), minlength=tokenizer.size)
            np.testing.assert_array_equal(table["corpus_count"], expected)


def test_documents_are_encoded_once(tokenizer: LoadedTokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[str] = []
    encode_texts = LoadedTokenizer.encode
    monkeypatch.setattr(
        LoadedTokenizer, "encode", lambda self, texts: encoded.extend(texts) or encode_texts(self, texts)
    )
    monkeypatch.setattr(encoded_documents, "UNIT", 500)
    texts = [f"number {i}" + text_of(20) for i in range(1000)]
    parts = encode(tokenizer, texts, 15_000)
    assert len(parts) == len(parts_with(0, 15_000)) > 10
    assert encoded == texts[: parts[-1].documents]


def test_a_corpus_may_end_at_a_bound(small_parts: None, tokenizer: LoadedTokenizer) -> None:
    *full, empty, further = encode(tokenizer, [text_of(UNIT)] * 3, 5 * UNIT)
    assert [(part.first_token, part.tokens, part.ended) for part in full] == [
        (number * UNIT, (number + 1) * UNIT, False) for number in range(3)
    ]
    for part in (empty, further):
        assert (len(part.input_ids), len(part.ends), part.ended) == (0, 0, True)
        assert (part.first_token, part.first_document, part.rows) == (3 * UNIT, 3, 3)


def test_documents_without_text_have_rows_and_no_numbers(
    small_parts: None, tmp_path: Path, mini_tokenizer: dict
) -> None:
    texts = ["", text_of(10), "", "", text_of(9), "", text_of(20), ""]
    paths = encode_files(tmp_path, write_corpus(tmp_path, texts), mini_tokenizer, 0, 3 * UNIT)
    parts = [read_part(path)[0] for path in paths]
    assert [part.rows for part in parts] == [5, 7, 7]
    assert [(part.first_document, part.documents) for part in parts] == [(0, 2), (1, 3), (2, 3)]
    assert [part.ended for part in parts] == [False, False, True]


def test_a_larger_sample_leaves_the_parts_of_a_smaller_one_as_they_are(
    small_parts: None, tmp_path: Path, mini_tokenizer: dict
) -> None:
    corpus = write_corpus(tmp_path, [text_of(3 + number % 30, number) for number in range(200)])
    folders = tmp_path / "few", tmp_path / "many"
    few, many = (
        encode_files(folder, corpus, mini_tokenizer, 0, tokens)
        for folder, tokens in zip(folders, (100, 1500), strict=True)
    )
    assert 3 < len(few) < len(many)
    assert [Path(path).read_bytes() for path in few] == [Path(path).read_bytes() for path in many[: len(few)]]


def test_a_document_that_cannot_be_used_has_its_number_within_the_corpus(
    small_parts: None, tmp_path: Path, mini_tokenizer: dict
) -> None:
    corpus = write_corpus(tmp_path, ["", *[text_of(10)] * 10])
    paths = encode_files(tmp_path, corpus, mini_tokenizer, 0, 6 * UNIT)
    with Path(corpus["source"]).open("a") as file:
        file.write('{"text": 3}\n')
    assert read_part(paths[-1])[0].rows == 11
    with pytest.raises(UserError, match="corpus mine: field 'text' of document 11 is int, not text"):
        encode_part(corpus, mini_tokenizer, 6, paths[-1], local_documents, tmp_path / "part_0006.h5")
    Path(corpus["source"]).write_text('{"text": "a"}\n' * 11 + "{")
    with pytest.raises(UserError, match=r"corpus\.jsonl cannot be read: ValueError: line 12, column 2"):
        encode_part(corpus, mini_tokenizer, 6, paths[-1], local_documents, tmp_path / "part_0006.h5")
    assert {path.name for path in tmp_path.iterdir()} == {"corpus.jsonl", *(Path(path).name for path in paths)}


def test_nothing_is_left_where_encoding_was_stopped(tmp_path: Path, mini_tokenizer: dict) -> None:
    def interrupted(corpus: Any, first: int) -> Iterator[tuple[int, str]]:
        yield 0, "a text"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode_part({"name": "mine"}, mini_tokenizer, 0, None, interrupted, tmp_path / "part_0000.h5")
    assert list(tmp_path.iterdir()) == []


def test_rows_before_the_first_are_passed_over(tmp_path: Path) -> None:
    """Whatever files and row groups they are in."""
    texts = [f"text {number}" for number in range(40)]
    paths = [tmp_path / f"{start}.parquet" for start in (0, 25)]
    for path, part in zip(paths, (texts[:25], texts[25:]), strict=True):
        parquet.write_table(pa.table({"text": part}), path, row_group_size=7)
    for first in range(45):
        rows = parquet_rows((path.open("rb") for path in paths), "text", first)
        assert [row["text"] for row in rows] == texts[first:]


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".parquet", ".csv", ".txt"])
def test_every_kind_of_file_is_read_on(small_parts: None, tmp_path: Path, mini_tokenizer: dict, suffix: str) -> None:
    texts = [text_of(4 + number, number) for number in range(12)]
    folder = tmp_path / "corpus"
    folder.mkdir()
    table = pd.DataFrame({"text": texts})
    match suffix:
        case ".txt":
            for number, text in enumerate(texts):
                (folder / f"{number:02d}.txt").write_text(text)
        case ".parquet":
            table.to_parquet(folder / "all.parquet")
        case ".csv":
            table.to_csv(folder / "all.csv", index=False)
        case _:
            table.to_json(folder / f"all{suffix}", orient="records", lines=suffix == ".jsonl")
    corpus = {**write_corpus(tmp_path, []), "source": str(folder)}
    spec = {"sequences_per_shard": 2, "sequence_length": 16}
    found = [tokenize(tmp_path, corpus, mini_tokenizer, spec, shard)[0].input_ids for shard in range(3)]
    tokenizer = load_tokenizer(mini_tokenizer)
    stream = [token for ids in tokenizer.encode(texts) for token in [*ids, tokenizer.end_of_text]]
    assert np.concatenate(found).tolist() == stream[:96]


def change_a_value(path: str) -> None:
    with h5py.File(path, "r+") as file:
        file["input_ids"][3] += 1


def change_an_attribute(path: str) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs["rows"] += 1


def cut(path: str) -> None:
    Path(path).write_bytes(Path(path).read_bytes()[:-100])


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (change_a_value, "/input_ids differs from what was written"),
        (change_an_attribute, "its attributes differ from those that were written"),
        (cut, "damaged"),
    ],
)
def test_a_part_that_is_not_as_written_gets_one_line(
    tmp_path: Path, mini_tokenizer: dict, damage: Any, said: str
) -> None:
    [path] = encode_files(tmp_path, write_corpus(tmp_path, [text_of(10)]), mini_tokenizer, 0, 10)
    damage(path)
    with pytest.raises(UserError, match=said) as error:
        tokenize_shard([path], {"sequences_per_shard": 1, "sequence_length": 8}, 0)
    assert str(error.value).startswith(path)
    assert str(error.value).endswith(f"delete it and run again (rm {path})")


def test_parts_of_two_runs_do_not_meet(small_parts: None, tmp_path: Path, mini_tokenizer: dict) -> None:
    corpus = write_corpus(tmp_path, [text_of(10)] * 10)
    paths = encode_files(tmp_path, corpus, mini_tokenizer, 0, 3 * UNIT)
    encoded, origin = read_part(paths[1])
    write_part(paths[1], encoded, 1, {**origin, "corpus_content": "decade"})
    with pytest.raises(UserError, match=r"part_0001\.h5: its corpus_content is decade, that of .* they are from diff"):
        tokenize_shard(paths, {"sequences_per_shard": 3, "sequence_length": UNIT}, 0)


def test_a_part_under_the_name_of_another_is_refused(tmp_path: Path, mini_tokenizer: dict) -> None:
    folder = tmp_path / "documents/mini/mine"
    [path] = encode_files(folder, write_corpus(tmp_path, [text_of(10)]), mini_tokenizer, 0, 10)
    read_part(path)
    other = Path(path).rename(folder / "part_0001.h5")
    with pytest.raises(UserError, match=r"holds what belongs in documents/mini/mine/part_0000\.h5; "):
        read_part(other)
