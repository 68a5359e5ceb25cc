"""Local corpora and sentences: each mistake gives one line before any job starts."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from changes import Catalogue, also, check_line, corpus, dangling, folder, pipe, put, save_bomb, write

CATALOGUE: Catalogue = {
    "corpus empty": (corpus("c.jsonl", ""), "corpus mine: c.jsonl contains no documents with text"),
    "corpus of blank lines": (corpus("c.jsonl", "\n \n\n"), "corpus mine: c.jsonl contains no documents with text"),
    "documents without text": (
        corpus("c.jsonl", '{"text": ""}\n' * 3),
        "corpus mine: c.jsonl contains no documents with",
    ),
    "no such field": (
        put("corpora/mine/text_field", "body"),
        "corpus mine: document 0 has no field 'body'; it has text (set corpora.mine.text_field)",
    ),
    "hundreds of other fields": (
        corpus("c.jsonl", json.dumps({f"field {i}": i for i in range(500)})),
        "corpus mine: document 0 has no field 'text'; it has field 0, field 1, ",
    ),
    "field of a wrong type": (
        corpus("c.jsonl", '{"text": {"en": "a"}}'),
        "corpus mine: field 'text' of document 0 is dict, not text",
    ),
    "text in place of JSON": (
        corpus("c.jsonl", "\nOnce upon a time\n"),
        "corpus mine: c.jsonl cannot be read: ValueError: line 2, column 1, is not valid JSON: Expecting value",
    ),
    "document that is no object": (
        corpus("c.jsonl", '["a", "b"]\n'),
        "corpus mine: c.jsonl cannot be read: ValueError: a document is list, not a JSON object",
    ),
    "nested without end": (corpus("c.jsonl", "[" * 100_000), "corpus mine: c.jsonl cannot be read"),
    "number without end": (
        corpus("c.jsonl", '{"text": "a", "n": ' + "9" * 5000 + "}"),
        "corpus mine: c.jsonl cannot be read: ValueError: ",
    ),
    "binary file": (corpus("c.jsonl", b"\x1f\x8b\x08\x00\x80"), "corpus mine: c.jsonl cannot be read: UnicodeDecode"),
    "UTF-16": (
        corpus("c.txt", "Once upon".encode("utf-16")),
        "corpus mine: c.txt cannot be read: UnicodeDecodeError: 'utf-8' codec can't decode byte 0xff in position 0",
    ),
    "half of a surrogate pair": (
        corpus("c.jsonl", r'{"text": "a \ud83d b"}'),
        "corpus mine: field 'text' of document 0 contains '\\ud83d', half of a surrogate pair, not a character; ",
    ),
    "Parquet that is none": (corpus("c.parquet", b"PAR1" + bytes(50)), "corpus mine: c.parquet cannot be read: Arrow"),
    "folder without documents": (
        folder(notes_md="# Notes"),
        "corpus folder: no documents found; readable files end in .jsonl, .json, .parquet, .txt",
    ),
    "folder of several kinds": (
        folder(a_jsonl="{}", b_txt=""),
        "corpus folder: files of several kinds (.jsonl, .txt); keep one kind",
    ),
    "corpus of which a file cannot be read": (
        also(folder(a_txt="Once upon a time"), dangling("folder/b.txt")),
        "config: corpora.mine.source: folder/b.txt cannot be read; check its permissions or where its link points",
    ),
    "corpus of hidden files alone": (
        folder(_a_jsonl='{"text": "a"}', _b_jsonl='{"text": "a"}'),
        "corpus folder: no documents found; readable files end in ",
    ),
    "corpus of which a file is a pipe": (
        also(folder(a_txt="Once upon a time"), pipe("folder/b.txt")),
        "corpus folder: folder/b.txt is a pipe, socket or device; only regular files are read",
    ),
    "corpus a pipe": (
        also(pipe("c.jsonl"), put("corpora/mine/source", "c.jsonl")),
        "corpus c.jsonl: c.jsonl is a pipe, socket or device; only regular files are read",
    ),
    "CSV and TSV in one folder": (
        folder(a_csv="text\n", b_tsv="text\n"),
        "corpus folder: files of several kinds (.csv, .tsv); keep one kind",
    ),
    "CSV without such a field": (
        corpus("c.csv", "id;text\n1;Once upon a time\n"),
        "corpus mine: document 0 has no field 'text'; it has id;text (set corpora.mine.text_field)",
    ),
    "CSV with a row too long": (
        corpus("c.csv", "id,text\n1,Once upon a time, she said\n"),
        "corpus mine: c.csv cannot be read: ValueError: the row in line 2 has 3 fields, and the header has 2",
    ),
    "TSV with a row too short": (
        corpus("c.tsv", "id\ttext\n\n1\n"),
        "corpus mine: c.tsv cannot be read: ValueError: the row in line 3 has 1 fields, and the header has 2",
    ),
    "CSV with a quote not closed": (
        corpus("c.csv", 'text\n"Once upon\na time\n'),
        "corpus mine: c.csv cannot be read: ValueError: the row in line 2 is not valid CSV: unexpected end of data",
    ),
    "CSV whose header repeats the field": (
        corpus("c.csv", "text,text\na,b\n"),
        "corpus mine: c.csv cannot be read: ValueError: its header has the field 'text' 2 times",
    ),
    "CSV of a header alone": (corpus("c.csv", "text\n"), "corpus mine: c.csv contains no documents with text"),
    "Parquet without such a field": (
        also(save_bomb, put("corpora/mine/text_field", "body")),
        "corpus mine: document 0 has no field 'body'; it has text (set corpora.mine.text_field)",
    ),
    "Parquet that unfolds beyond measure": (
        save_bomb,
        "corpus mine: document 0 in bomb.parquet is in a row group of 1 that decompresses from ",
    ),
    "text beyond what is read at once": (
        also(corpus("c.txt", ""), lambda config: os.truncate("c.txt", 200_000_000)),
        "corpus mine: document 0 in c.txt has 200,000,000 bytes; at most 100,000,000 are read at once; split it",
    ),
    "sentences missing": (
        lambda config: Path("sentences.txt").unlink(),
        "config: studies.token_similarity.sentences: 'sentences.txt' is not a file here; name a text file with one "
        "sentence per line",
    ),
    "sentences a folder": (
        put("studies/token_similarity/sentences", "model"),
        "config: studies.token_similarity.sentences: 'model' is not a file here; name a text file with one sentence "
        "per line",
    ),
    "sentences a pipe": (
        pipe("sentences.txt"),
        "config: studies.token_similarity.sentences: 'sentences.txt' is not a file here; name a text file with one "
        "sentence per line",
    ),
    "sentences empty": (
        write("sentences.txt", "\n\n"),
        "token_similarity.sentences: sentences.txt has 0 sentences; at least 3 are needed",
    ),
    "sentences not UTF-8": (
        write("sentences.txt", "Hier hört man her.".encode("latin-1")),
        "token_similarity.sentences: sentences.txt cannot be read ('utf-8' codec can't decode byte 0xf6 in position 6",
    ),
    "sentence without the target": (
        write("sentences.txt", "Then she gave her answer.\nIt is hers.\n"),
        "sentences.txt, line 2: the target 'her' is not in the sentence; every sentence must contain it",
    ),
    "sentence with one token before the target": (
        write("sentences.txt", "I saw her.\nHe told her.\nI her.\n"),
        "sentences.txt, line 3: there is no token between the first and the target 'her' to be the non-target; "
        "reword the sentence",
    ),
    "sentence longer than the positions": (
        write("sentences.txt", "I saw her.\nHe told her.\nThen her " + "own " * 100),
        "token_similarity.sentences: sentences.txt has a sentence of 103 tokens, more than the 64 positions of tiny; "
        "shorten it",
    ),
    "sentence without an end": (
        write("sentences.txt", "Then her.\nAnd her.\nThen her " + "own " * 1_000_000),
        "sentences.txt, line 3: 4,000,009 characters; at most 100,000 are allowed",
    ),
    "sentences of another size": (
        lambda config: os.truncate("sentences.txt", 50_000_000),
        "token_similarity.sentences: sentences.txt has 50,000,000 bytes, more than the limit of 10,000,000; name a ",
    ),
}


@pytest.mark.parametrize("mistake", CATALOGUE)
def test_mistake_is_one_line(study: dict[str, Any], mistake: str) -> None:
    check_line(study, *CATALOGUE[mistake])
