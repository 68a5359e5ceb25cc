"""Documents to token shards: what is read, how it is packed, and what is said of damaged corpora."""

import itertools
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from encoded import encode, pack, tokenize
from pyarrow import parquet
from tokenizers import Tokenizer, models

from layerscope.io.errors import UserError
from layerscope.tokenize import documents as tokenize_documents
from layerscope.tokenize import encoded_documents, encoding, readers
from layerscope.tokenize.documents import read_documents
from layerscope.tokenize.token_shards import FORMAT, Tokens, read_token_shard, read_token_shards, write_token_shard
from layerscope.tokenize.tokenizer import LoadedTokenizer, load_tokenizer
from layerscope.tokenize.vocabulary import token_types, vocabulary_table

TEXTS = ["One line.", "Two\nlines, and a blank one\n\n", " “Łódź”, 東京 🤖", "NaN", "3"]


def write_jsonl(path: Path, texts: list[str]) -> None:
    lines = [json.dumps({"id": i, "text": text}, ensure_ascii=False) for i, text in enumerate(texts)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_json_list(path: Path, texts: list[str]) -> None:
    path.write_text(json.dumps([{"id": i, "text": text} for i, text in enumerate(texts)], indent=1), encoding="utf-8")


def write_parquet(path: Path, texts: list[str]) -> None:
    pd.DataFrame({"id": range(len(texts)), "text": texts}).to_parquet(path)


def write_delimited(path: Path, texts: list[str]) -> None:
    pd.DataFrame({"id": range(len(texts)), "text": texts}).to_csv(
        path, sep="\t" if path.suffix == ".tsv" else ",", index=False, lineterminator="\n"
    )


WRITERS: dict[str, Callable[[Path, list[str]], None]] = {
    ".jsonl": write_jsonl,
    ".json": write_json_list,
    ".parquet": write_parquet,
    ".csv": write_delimited,
    ".tsv": write_delimited,
}


def documents(source: Path, text_field: str = "text") -> list[str]:
    return [text for _, text in read_documents("mine", str(source), text_field)]


def corpus_record(source: Path) -> dict[str, Any]:
    unset = dict.fromkeys(("subset", "split", "commit", "content"))
    return {"name": "mine", "source": str(source), "text_field": "text", **unset}


def one_line(error: pytest.ExceptionInfo[UserError]) -> str:
    line = str(error.value)
    assert "\n" not in line
    return line


@pytest.fixture(scope="module")
def tokenizer(mini_tokenizer) -> LoadedTokenizer:
    return load_tokenizer(mini_tokenizer)


@pytest.mark.parametrize("suffix", WRITERS)
def test_documents_come_in_order_and_unchanged(tmp_path, suffix):
    WRITERS[suffix](tmp_path / f"corpus{suffix}", TEXTS)
    assert documents(tmp_path / f"corpus{suffix}") == TEXTS


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_folder_is_read_file_by_file_by_name(tmp_path, suffix):
    WRITERS[suffix](tmp_path / f"b{suffix}", TEXTS[2:])
    WRITERS[suffix](tmp_path / f"a{suffix}", TEXTS[:2])
    (tmp_path / "README.md").write_text("not a document")
    assert documents(tmp_path) == TEXTS


def test_each_text_file_is_one_document(tmp_path):
    for i, text in enumerate(TEXTS):
        (tmp_path / f"{i}.txt").write_text(text, encoding="utf-8")
    assert documents(tmp_path, "whatever the field is called") == TEXTS
    assert documents(tmp_path / "1.txt") == TEXTS[1:2]


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv", ".tsv"])
def test_texts_that_look_like_dates_or_numbers_stay_texts(tmp_path, suffix):
    texts = ["2024-01-01", "2024-02-03T04:05:06", "007", "1e3", "NA", "null", "True"]
    WRITERS[suffix](tmp_path / f"corpus{suffix}", texts)
    assert documents(tmp_path / f"corpus{suffix}") == texts


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("c.csv", b'id,text\n1,"a, ""b""\nc"\n2,d\n', ['a, "b"\nc', "d"]),
        ("c.csv", b"\xef\xbb\xbftext\r\n a \r\n\r\nb\r\n", [" a ", "b"]),
        ("c.csv", b'text\n"a\r\nb\rc"\n""\nd', ["a\r\nb\rc", "d"]),
        ("c.csv", "text\n\u2028é\x85\n".encode(), ["\u2028é\x85"]),
        ("c.csv", b'text\nsaid "yes"\n', ['said "yes"']),
        ("c.tsv", b'text\tid\na, b\t1\n"c\td"\t2\n', ["a, b", "c\td"]),
        ("c.csv", b"text\n" + b"long " * 100_000, ["long " * 100_000]),
    ],
    ids=["quotes", "mark and blank line", "line ends", "line ends of Unicode", "quote within", "tabs", "long"],
)
def test_fields_between_delimiters_are_as_written(tmp_path, name, content, found):
    (tmp_path / name).write_bytes(content)
    assert documents(tmp_path / name) == found


def test_what_is_hidden_in_a_folder_is_no_document(tmp_path, caplog, mini_tokenizer):
    """Notebooks and editors leave copies."""
    folder = tmp_path / ".corpora/mine"  # hidden itself, which does not count
    for name in ("a.jsonl", "sub/b.jsonl", ".ipynb_checkpoints/a-checkpoint.jsonl", ".#a.jsonl", "sub/.old/c.jsonl"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_jsonl(folder / name, TEXTS[:2] if Path(name).stem == "b" else TEXTS[2:])
    (folder / "c.jsonl").mkdir()
    assert documents(folder) == [*TEXTS[2:], *TEXTS[:2]]
    assert documents(folder / ".#a.jsonl") == TEXTS[2:]
    with caplog.at_level("INFO"):
        tokenize(tmp_path, corpus_record(folder), mini_tokenizer, {"sequences_per_shard": 1, "sequence_length": 8}, 0)
    assert f"corpus mine: files in {folder}: 2" in caplog.text


def test_a_pipe_in_a_folder_is_named_and_not_waited_for(tmp_path):
    write_jsonl(tmp_path / "a.jsonl", TEXTS)
    os.mkfifo(tmp_path / "b.jsonl")
    for source in (tmp_path, tmp_path / "b.jsonl"):
        with pytest.raises(UserError, match=r"b\.jsonl is a pipe, socket or device; only regular files") as error:
            documents(source)
        one_line(error)


def test_the_field_is_the_one_named_and_documents_without_text_are_passed_over(tmp_path):
    lines = [{"text": "no", "body": "first"}, {"text": "no", "body": ""}, {"text": "no", "body": "second"}]
    (tmp_path / "corpus.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert documents(tmp_path / "corpus.jsonl", "body") == ["first", "second"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("c.jsonl", b'{"body": "a"}\n', ["no field 'text'", "body", "corpora.mine.text_field"]),
        ("c.jsonl", b'{"text": "a"}\n{"body": "b"}\n', ["'text'", "document 1"]),
        ("c.jsonl", b'{"text": 3}\n', ["'text'", "document 0", "not text"]),
        ("c.jsonl", b'{"text": "a"}\n{"text": null}\n', ["'text'", "document 1", "not text"]),
        ("c.json", b'[{"text": ["a", "b"]}]', ["'text'", "document 0", "list, not text"]),
        ("c.jsonl", b'{"text": "a"}\n{"text": "b', ["c.jsonl", "JSON"]),
        ("c.jsonl", b'{"text": "a"}\nplain text\n', ["c.jsonl", "JSON"]),
        ("c.json", b'[{"text": "a"}, {"text": "b', ["c.json"]),
        ("c.jsonl", b'{"text": "a"}\n{"text": "\xff\xfe"}\n', ["c.jsonl", "utf-8"]),
        ("c.txt", b"caf\xe9", ["c.txt", "utf-8"]),
        ("c.parquet", b"PAR1 and no more", ["c.parquet"]),
        ("c.csv", b"body\na\n", ["no field 'text'", "body", "corpora.mine.text_field"]),
        ("c.csv", b"id,text\n1,a\n2\n", ["c.csv", "the row in line 3 has 1 fields, and the header has 2"]),
        ("c.csv", b'id,text\n1,"a\nb"\n1,a, b\n', ["c.csv", "the row in line 4 has 3 fields"]),
        ("c.csv", b'text\n"a\nb\nc\n', ["c.csv", "the row in line 2 is not valid CSV: unexpected end of data"]),
        ("c.tsv", b'text\n"a" b\n', ["c.tsv", "the row in line 2 is not valid TSV"]),
        ("c.csv", b"text,text\na,b\n", ["c.csv", "'text' 2 times"]),
        ("c.csv", b"text\ncaf\xe9\n", ["c.csv", "utf-8"]),
    ],
    ids=lambda value: value.decode("latin-1")[:30] if isinstance(value, bytes) else None,
)
def test_a_damaged_corpus_gets_one_line(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as error:
        documents(tmp_path / name)
    line = one_line(error)
    assert line.startswith("corpus mine: ")
    assert [part for part in said if part.lower() not in line.lower()] == []


def test_the_one_damaged_file_of_a_folder_is_named(tmp_path):
    write_jsonl(tmp_path / "a.jsonl", TEXTS)
    (tmp_path / "b.jsonl").write_text("plain text\n")
    with pytest.raises(UserError) as error:
        documents(tmp_path)
    assert "b.jsonl" in one_line(error)


def write_shared(path: Path, text: str, rows: int) -> None:
    """A Parquet file in which many rows share a text, which it holds once and compressed."""
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array([text]))
    parquet.write_table(pa.table({"text": texts}), path, compression="brotli", store_schema=False)


@pytest.mark.parametrize("rows", [1, 100])
def test_a_parquet_file_that_unfolds_beyond_measure_is_not_read(tmp_path, rows):
    write_shared(tmp_path / "bomb.parquet", "a" * 40_000_000, rows)
    assert (tmp_path / "bomb.parquet").stat().st_size < 10_000
    before = pa.total_allocated_bytes()
    with pytest.raises(UserError) as error:
        documents(tmp_path)
    assert re.fullmatch(
        rf"corpus mine: document 0 in \S+bomb\.parquet is in a row group of {rows} that decompresses from \d+ bytes to "
        r"40,000,\d{3}, which no text does; write the file again from its source",
        one_line(error),
    )
    assert pa.total_allocated_bytes() - before < 1_000_000


def test_rows_of_a_parquet_file_are_held_by_their_bytes(tmp_path, monkeypatch):
    """However many rows share one value, of which the file holds one."""
    write_shared(tmp_path / "c.parquet", "a" * 1_000_000, 200)
    monkeypatch.setattr(readers, "BATCH_BYTES", 2_500_000)
    before = pa.total_allocated_bytes()
    most = count = 0
    for _, text in read_documents("mine", str(tmp_path), "text"):
        most = max(most, pa.total_allocated_bytes() - before)
        count += text == "a" * 1_000_000
    assert count == 200
    assert most < 20_000_000


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".parquet", ".csv", ".txt"])
def test_a_document_that_is_too_large_is_named(tmp_path, monkeypatch, suffix):
    texts = ["short"] * 2 + ["long " * 40]
    if suffix == ".txt":
        for number, text in enumerate(texts):
            (tmp_path / f"{number}.txt").write_text(text)
    else:
        WRITERS[suffix](tmp_path / f"c{suffix}", texts)
    for module in (readers, tokenize_documents):
        monkeypatch.setattr(module, "LARGEST", 199)
    with pytest.raises(UserError, match=r"corpus mine: document 2 .*199") as error:
        documents(tmp_path)
    one_line(error)
    for module in (readers, tokenize_documents):
        monkeypatch.setattr(module, "LARGEST", 300)
    assert documents(tmp_path) == texts


def test_memory_that_runs_out_is_not_blamed_on_the_file(tmp_path, monkeypatch):
    def fail(file: Path, field: str) -> Any:
        raise MemoryError("realloc failed")

    monkeypatch.setitem(readers.READERS, ".jsonl", fail)
    write_jsonl(tmp_path / "c.jsonl", TEXTS)
    with pytest.raises(MemoryError, match="realloc failed"):
        documents(tmp_path)


@pytest.mark.parametrize("names", [[], ["notes.md"], ["a.jsonl", "b.txt"]])
def test_a_folder_without_one_kind_of_documents_gets_one_line(tmp_path, names):
    for name in names:
        (tmp_path / name).write_text("{}")
    with pytest.raises(UserError, match=r"no documents found|files of several kinds") as error:
        documents(tmp_path)
    assert str(tmp_path) in one_line(error)


@pytest.mark.parametrize(("name", "content"), [("c.jsonl", ""), ("c.json", ""), ("c.json", "[]"), ("c.txt", "")])
def test_an_empty_corpus_gets_one_line(tmp_path, mini_tokenizer, name, content):
    (tmp_path / name).write_text(content)
    spec = {"sequences_per_shard": 2, "sequence_length": 8}
    with pytest.raises(UserError, match=r"corpus mine: .*no documents") as error:
        tokenize(tmp_path, corpus_record(tmp_path / name), mini_tokenizer, spec, 0)
    one_line(error)


# Long and short documents: some rows hold several, some documents fill several rows.
STORIES = ["".join(itertools.islice(itertools.cycle(TEXTS[i % 4]), 1 + 3 * (i * i % 90))) for i in range(90)]


@pytest.fixture(scope="module")
def stream(tokenizer) -> Tokens:
    """All tokens of STORIES as one long row, without any code of packing."""
    ids, of_document = [], []
    for number, text in enumerate(STORIES):
        tokens = [*tokenizer.backend.encode(text).ids, tokenizer.end_of_text]
        ids += tokens
        of_document += [number] * len(tokens)
    none = np.zeros(len(ids), dtype=np.int32)
    return Tokens(np.array(ids), none, none, np.array(of_document))


@pytest.mark.parametrize("shard", [0, 1, 4])
@pytest.mark.parametrize("batch", [1, 7, 64])
@pytest.mark.parametrize("unit", [3, 128, 200, 2**20])
def test_a_shard_is_its_slice_of_the_one_long_stream(tokenizer, stream, monkeypatch, shard, batch, unit):
    monkeypatch.setattr(encoding, "BATCH", batch)
    monkeypatch.setattr(encoded_documents, "UNIT", unit)
    sequences, length = 4, 32
    tokens = pack(tokenizer, STORIES, shard, sequences, length)
    start, stop = shard * sequences * length, (shard + 1) * sequences * length
    np.testing.assert_array_equal(tokens.input_ids, stream.input_ids[start:stop])
    np.testing.assert_array_equal(tokens.document, stream.document[start:stop])
    np.testing.assert_array_equal(tokens.sequence, np.arange(start, stop) // length)
    np.testing.assert_array_equal(tokens.position, np.arange(start, stop) % length)
    assert {getattr(tokens, name).dtype for name in vars(tokens)} == {np.dtype(np.int32)}


def test_documents_have_one_end_of_text_token_between(tokenizer, stream):
    tokens = pack(tokenizer, STORIES, 0, 30, 32)
    ends = np.flatnonzero(np.diff(tokens.document))
    assert len(ends) >= 10
    assert np.flatnonzero(tokens.input_ids[:-1] == tokenizer.end_of_text).tolist() == ends.tolist()
    assert tokenizer.backend.id_to_token(tokenizer.end_of_text) == "<|endoftext|>"


class Endless:
    def __iter__(self) -> Iterator[str]:
        return itertools.cycle(STORIES)


def test_longer_samples_and_longer_corpora_leave_the_earlier_shards_alone(tokenizer):
    first = pack(tokenizer, STORIES[:60], 1, 4, 32)
    assert pack(tokenizer, STORIES, 1, 4, 32).digest() == first.digest()
    assert pack(tokenizer, Endless(), 1, 4, 32).digest() == first.digest()


def test_the_last_shard_may_end_with_the_corpus_and_not_after_it(tokenizer, stream):
    total = len(stream)
    whole = pack(tokenizer, STORIES, 0, 1, total)
    np.testing.assert_array_equal(whole.input_ids, stream.input_ids)
    with pytest.raises(UserError) as error:
        pack(tokenizer, STORIES, 0, 1, total + 1)
    assert f"corpus mine: its 90 documents give {total} tokens" in one_line(error)
    assert "lower sampling.sequences_per_shard or sampling.sequence_length, or add" in one_line(error)


def test_too_few_documents_say_how_many_sequences_there_could_be(tokenizer, stream):
    shards = len(stream) // (4 * 32)
    with pytest.raises(UserError, match=f"lower sampling.sequences to at most {shards * 4}, or add") as error:
        pack(tokenizer, STORIES, shards + 1, 4, 32)
    one_line(error)
    assert len(pack(tokenizer, STORIES, shards - 1, 4, 32)) == 128


def test_no_documents_with_text_are_an_error(tokenizer):
    with pytest.raises(UserError, match="corpus mine: contains no documents with text; 128 tokens are needed"):
        pack(tokenizer, [], 0, 4, 32)


def reference_ids(folder: Path, texts: list[str]) -> list[list[int]]:
    from transformers import AutoTokenizer  # seconds, which most tests here do without

    return AutoTokenizer.from_pretrained(folder)(texts, add_special_tokens=False)["input_ids"]


def test_gpt2_encodes_real_text_as_transformers_does(shared_data):
    texts = documents(shared_data / "fineweb/documents.jsonl")
    gpt2 = load_tokenizer({"name": "gpt2", "path": str(shared_data / "gpt2-bpe")})
    assert len(texts) == 300
    assert gpt2.encode(texts) == reference_ids(shared_data / "gpt2-bpe", texts)
    assert gpt2.end_of_text == 50256


def test_the_embedded_corpus_is_tokenized_as_transformers_does(tmp_path, project, mini_tokenizer):
    source = project / "resources/corpus/documents.jsonl"
    spec = {"sequences_per_shard": 16, "sequence_length": 512}
    tokens, attributes = tokenize(tmp_path, corpus_record(source), mini_tokenizer, spec, 1)
    texts = [json.loads(line)["text"] for line in source.read_text(encoding="utf-8").splitlines()]
    end_of_text = tokens.input_ids[np.flatnonzero(np.diff(tokens.document))[0]]
    stream = [i for ids in reference_ids(mini_tokenizer["path"], texts) for i in [*ids, end_of_text]]
    assert tokens.input_ids.tolist() == stream[8192:16384]
    assert attributes["corpus_source"] == str(source)
    assert (attributes["shard"], attributes["sequences"], attributes["sequence_length"]) == (1, 16, 512)
    assert None not in attributes.values()  # HDF5 has no None


@pytest.fixture
def tokenizer_folder(tmp_path, mini_tokenizer) -> Path:
    return Path(shutil.copytree(mini_tokenizer["path"], tmp_path / "tokenizer"))


def edit_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}), encoding="utf-8")


def test_padding_and_truncation_of_a_tokenizer_file_are_not_for_documents(tokenizer_folder, tokenizer):
    edit_json(
        tokenizer_folder / "tokenizer.json",
        truncation={"max_length": 4, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
        padding={
            "strategy": "BatchLongest",
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": 0,
            "pad_type_id": 0,
            "pad_token": "<|endoftext|>",
        },
    )
    asking = load_tokenizer({"name": "mini", "path": str(tokenizer_folder)})
    assert asking.encode(STORIES) == tokenizer.encode(STORIES)


def edit_model(folder: Path, **changes: Any) -> None:
    model = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    edit_json(folder / "tokenizer.json", model={**model, **changes})


def test_a_text_has_one_encoding_whatever_the_file_asks_for(tokenizer_folder, tokenizer, caplog):
    edit_model(tokenizer_folder, dropout=0.9)
    random = Tokenizer.from_file(str(tokenizer_folder / "tokenizer.json"))
    assert random.encode(STORIES[5]).ids != random.encode(STORIES[5]).ids
    loaded = load_tokenizer({"name": "mini", "path": str(tokenizer_folder)})
    assert loaded.encode(STORIES) == loaded.encode(STORIES) == tokenizer.encode(STORIES)
    assert f"tokenizers.mini: {tokenizer_folder}/tokenizer.json: dropout 0.9 is set to 0" in caplog.text


def unmark(folder: Path) -> None:
    """Make the end-of-text token one like others."""
    [token] = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["added_tokens"]
    edit_json(folder / "tokenizer.json", added_tokens=[{**token, "special": False}])


def forget(folder: Path) -> None:
    """Leave the end-of-text token to the model's vocabulary."""
    edit_json(folder / "tokenizer.json", added_tokens=[])


def check_boundaries(tokenizer: LoadedTokenizer) -> None:
    texts = ["Ends with <|endoftext|>", "<|endoftext|>", "<|endoftext|> within<|endoftext|><|endoftext|>it"] * 5
    tokens = pack(tokenizer, texts, 0, 10, 20)
    ends = np.flatnonzero(np.diff(tokens.document))
    assert len(ends) > 8
    assert np.flatnonzero(tokens.input_ids[:-1] == tokenizer.end_of_text).tolist() == ends.tolist()
    assert tokenizer.decode(tokenizer.encode(texts)) == texts


@pytest.mark.parametrize("change", [None, unmark, forget])
def test_what_a_special_token_is_called_is_text_within_a_document(tokenizer_folder, tokenizer, change):
    if change:
        change(tokenizer_folder)
    loaded = load_tokenizer({"name": "mini", "path": str(tokenizer_folder)})
    check_boundaries(loaded)
    assert loaded.encode(STORIES) == tokenizer.encode(STORIES)
    assert vocabulary_table(token_types(loaded), np.arange(5))["special"].sum() == 1


def test_what_gpt2_calls_its_end_of_text_token_is_text_within_a_document(shared_data):
    check_boundaries(load_tokenizer({"name": "gpt2", "path": str(shared_data / "gpt2-bpe")}))


def test_an_end_of_text_token_that_words_give_is_refused(tokenizer_folder):
    edit_json(tokenizer_folder / "tokenizer_config.json", eos_token="Ġthe")
    loaded = load_tokenizer({"name": "mini", "path": str(tokenizer_folder)})
    with pytest.raises(UserError) as error:
        pack(loaded, ["Into the rain."], 0, 1, 2)
    assert one_line(error) == (
        f"tokenizers.mini: {tokenizer_folder}/tokenizer.json gives its end-of-text token 'Ġthe' within the "
        "document that begins 'Into the rain.', but it may only separate documents; name another eos_token, or "
        "remove the document"
    )


def test_the_largest_id_is_one_that_text_gives(tokenizer_folder, tokenizer):
    added = json.loads((tokenizer_folder / "tokenizer.json").read_text(encoding="utf-8"))["added_tokens"]
    more = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    for special, content in ((True, "<pad>"), (False, "<br>")):
        added = [*added, {"id": 8192 + len(added) - 1, "content": content, "special": special, **more}]
        edit_json(tokenizer_folder / "tokenizer.json", added_tokens=added)
        loaded = load_tokenizer({"name": "mini", "path": str(tokenizer_folder)})
        assert loaded.largest == max(loaded.encode(["a<br>b<pad>c"])[0] + [8191])
        assert loaded.largest == (8191 if special else 8193)


PANIC = {"type": "Split", "pattern": {"Regex": "(x+x+)+y"}, "behavior": "Isolated", "invert": False}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"pre_tokenizer": PANIC}, "cannot encode a text: Onig: Regex search error: retry-limit-in-match over"),
        (
            {"normalizer": {"type": "Replace", "pattern": PANIC["pattern"], "content": ""}},
            "cannot encode a text: Onig: ",
        ),
        (
            {"model": {"type": "WordLevel", "vocab": {"a": 0, "<|endoftext|>": 1}, "unk_token": "[UNK]"}},
            r"cannot encode a text: WordLevel error: Missing \[UNK\] token",
        ),
        (
            {
                "model": {
                    "type": "WordPiece",
                    "vocab": {"<|endoftext|>": 0},
                    "unk_token": "[UNK]",
                    "continuing_subword_prefix": "##",
                    "max_input_chars_per_word": 100,
                }
            },
            r"cannot encode a text: WordPiece error: Missing \[UNK\] token",
        ),
        (
            {"pre_tokenizer": PANIC | {"pattern": {"Regex": "("}}},
            "cannot be read: Oniguruma error: end pattern with un",
        ),
        ({"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"}}, "cannot be read: Precompiled: "),
    ],
    ids=["pre-tokenizer", "normalizer", "word", "piece", "pattern", "map of characters"],
)
def test_a_tokenizer_that_fails_gets_one_line(tokenizer_folder, changes, said):
    """Whether the library raises or panics, which is no Exception."""
    edit_json(tokenizer_folder / "tokenizer.json", added_tokens=[], **changes)
    with pytest.raises(UserError, match=said) as error:
        load_tokenizer({"name": "mini", "path": str(tokenizer_folder)}).encode(["x" * 3000, "y"])
    assert one_line(error).startswith(f"tokenizers.mini: {tokenizer_folder}/tokenizer.json cannot ")


def test_a_tokenizer_that_gives_no_tokens_gets_one_line(tokenizer_folder, monkeypatch):
    monkeypatch.setattr(encoded_documents, "UNIT", 70)
    everything = {"type": "Replace", "pattern": {"Regex": "[\\s\\S]"}, "content": ""}
    edit_json(tokenizer_folder / "tokenizer.json", normalizer=everything)
    loaded = load_tokenizer({"name": "mini", "path": str(tokenizer_folder)})
    with pytest.raises(
        UserError, match=r"gives no tokens for any of the 70 documents of corpus mine read so far$"
    ) as error:
        pack(loaded, ["a text"] * 100, 0, 7, 10)
    one_line(error)


def test_documents_are_encoded_by_their_characters(tokenizer, monkeypatch):
    sizes: list[int] = []
    at_once = LoadedTokenizer.encode
    monkeypatch.setattr(
        LoadedTokenizer, "encode", lambda self, texts: (sizes.append(len(texts)), at_once(self, texts))[1]
    )
    monkeypatch.setattr(encoding, "CHARACTERS", 100)
    short, long = "a" * 30, "b" * 500
    [part] = encode(tokenizer, [short] * 5 + [long] * 2 + [short] * 2, 1)
    assert len(part.ends) == 9
    assert sizes == [4, 2, 1, 2]


@pytest.mark.parametrize("token", ["Ġthe", {"content": "Ġthe", "special": True}])
def test_the_token_between_documents_is_the_tokenizers_own(tokenizer_folder, tokenizer, token):
    edit_json(tokenizer_folder / "tokenizer_config.json", eos_token=token)
    named = load_tokenizer({"name": "mini", "path": str(tokenizer_folder)})
    assert named.end_of_text == tokenizer.backend.token_to_id("Ġthe") != tokenizer.end_of_text


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("tokenizer.json", "{", "tokenizer.json cannot be read"),
        ("tokenizer_config.json", "{", "tokenizer_config.json is not valid JSON"),
    ],
)
def test_a_damaged_tokenizer_gets_one_line(tokenizer_folder, file, content, said):
    (tokenizer_folder / file).write_text(content)
    with pytest.raises(UserError, match=said) as error:
        load_tokenizer({"name": "mini", "path": str(tokenizer_folder)})
    assert one_line(error).startswith("tokenizers.mini: ")


def test_a_tokenizer_without_an_end_of_text_token_gets_one_line(tokenizer_folder):
    Tokenizer(models.BPE({"a": 0}, [])).save(str(tokenizer_folder / "tokenizer.json"))
    with pytest.raises(UserError, match=r"no eos_token in .*tokenizer_config.json; name one there") as error:
        load_tokenizer({"name": "mini", "path": str(tokenizer_folder)})
    one_line(error)


@pytest.fixture
def token_shard(tmp_path, tokenizer) -> tuple[Path, Tokens]:
    tokens = pack(tokenizer, STORIES, 1, 4, 32)
    write_token_shard(tmp_path / "shard_0001.h5", tokens, {"corpus": "mine", "shard": 1})
    return tmp_path / "shard_0001.h5", tokens


def test_token_shard_round_trip(token_shard):
    path, tokens = token_shard
    found, attributes = read_token_shard(path)
    for name, values in vars(tokens).items():
        np.testing.assert_array_equal(getattr(found, name), values)
    assert attributes == {"format": FORMAT, "corpus": "mine", "shard": 1, "digest": tokens.digest()}
    with h5py.File(path) as file:
        assert all(file["tokens"][name].fletcher32 for name in vars(tokens))


def test_sample_is_joined_from_shards_of_the_same_commits(tokenizer, tmp_path):
    paths = [str(tmp_path / f"{number}.h5") for number in range(3)]
    for number, path in enumerate(paths):
        tokens = pack(tokenizer, STORIES, number, 1, 32)
        write_token_shard(path, tokens, {"corpus_commit": "decade" if number == 2 else "c0ffee"})
    both = [read_token_shard(path)[0] for path in paths[:2]]
    assert read_token_shards(paths[:2])[0] == Tokens.join(both)
    with pytest.raises(
        UserError, match=r"2\.h5: its corpus_commit is decade, that of .*0\.h5 is c0ffee; they are from"
    ):
        read_token_shards([paths[0], *paths])


def test_the_same_tokens_give_the_same_file(token_shard, tmp_path):
    path, tokens = token_shard
    write_token_shard(tmp_path / "again.h5", tokens, {"corpus": "mine", "shard": 1})
    assert (tmp_path / "again.h5").read_bytes() == path.read_bytes()


def change_a_value(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["tokens/document"][5] += 1


def change_the_format(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs["format"] = "layerscope tokens 0"


def remove_the_digest(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file.attrs["digest"]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip_a_bit(path: Path) -> None:
    with h5py.File(path) as file:
        chunk = file["tokens/input_ids"].id.get_chunk_info(0)
    data = bytearray(path.read_bytes())
    data[chunk.byte_offset + chunk.size // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (change_a_value, "/tokens differs from what was written"),
        (change_the_format, "format 'layerscope tokens 0' is not 'layerscope tokens 3'"),
        (remove_the_digest, "its attributes differ from those that were written"),
        (cut, "damaged"),
        (flip_a_bit, "damaged"),
        (Path.unlink, "damaged"),
    ],
)
def test_a_token_shard_that_is_not_as_written_gets_one_line(token_shard, damage, said):
    path, _ = token_shard
    damage(path)
    with pytest.raises(UserError, match=said) as error:
        read_token_shard(path)
    line = one_line(error)
    assert line.startswith(str(path))
    assert line.endswith(f"delete it and run again (rm {path})")


def test_a_token_shard_of_another_corpus_under_the_right_name_is_refused(tmp_path, tokenizer):
    tokens = pack(tokenizer, STORIES, 1, 4, 32)
    attributes = {"tokenizer": "mini", "corpus": "mine", "shard": 1}
    path = tmp_path / "tokens/mini/mine/shard_0001.h5"
    write_token_shard(path, tokens, attributes)
    read_token_shard(path)
    for change in ({"corpus": "yours"}, {"tokenizer": "maxi"}, {"shard": 0}):
        write_token_shard(path, tokens, {**attributes, **change})
        with pytest.raises(UserError, match=r"shard_0001.h5: holds what belongs in tokens/\w+/\w+/shard_000\d.h5; "):
            read_token_shard(path)
