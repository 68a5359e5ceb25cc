"""Tokens in the explorer: the text of the sample and the bytes of its types, read back by the page's rules."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from explorer_data import read_script
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from layerscope.explorer.corpus_text import chunk_tokens, write_chunks, write_vocabulary
from layerscope.explorer.manifest import manifest
from layerscope.tokenize.token_bytes import byte_alphabet, token_bytes
from layerscope.tokenize.token_shards import Tokens
from layerscope.tokenize.tokenizer import LoadedTokenizer, load_tokenizer
from layerscope.tokenize.vocabulary import token_types, vocabulary_table

MINI = Path(__file__).parents[2] / "resources/tokenizers/mini"
TEXT = "It cost 5 € in Łódź — 日本語 and 🙂🙃, naïvely: Ωμέγα?\n"


def byte_fallback() -> LoadedTokenizer:
    """As of SentencePiece: a byte that no token covers has one of its own."""
    vocabulary = {"<unk>": 0, "</s>": 1, **{f"<0x{byte:02X}>": 2 + byte for byte in range(256)}}
    vocabulary |= {"▁": 258, "a": 259, "▁a": 260, "<0xE2>x": 261}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[("▁", "a")], unk_token="<unk>", byte_fallback=True))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    backend.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    backend.add_special_tokens([AddedToken("</s>", special=True)])
    return LoadedTokenizer(backend, 1, "a tokenizer")


def byte_level() -> LoadedTokenizer:
    return load_tokenizer({"name": "mini", "path": str(MINI)})


@pytest.mark.parametrize("loaded", [byte_level(), byte_fallback()], ids=["byte level", "byte fallback"])
def test_bytes_of_tokens_are_those_of_the_text(loaded: LoadedTokenizer) -> None:
    """Joined, also where a character is cut into several tokens."""
    pieces = token_bytes(loaded, token_types(loaded))
    assert len(pieces) == loaded.size
    for text in (TEXT, "a a", *TEXT.split()):
        [ids] = loaded.encode([text])
        assert b"".join(pieces[i] for i in ids) == text.encode()


def test_every_byte_has_a_token(shared_data: Path) -> None:
    for loaded in (byte_fallback(), load_tokenizer({"name": "gpt2", "path": str(shared_data / "gpt2-bpe")})):
        pieces = token_bytes(loaded, token_types(loaded))
        assert {piece for piece in pieces if len(piece) == 1} == {bytes([byte]) for byte in range(256)}


def test_tokens_of_gpt2_are_its_own_bytes(shared_data: Path) -> None:
    """By GPT-2's byte map: 188 printable bytes are themselves, the others the characters from 256 on."""
    loaded = load_tokenizer({"name": "gpt2", "path": str(shared_data / "gpt2-bpe")})
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    byte_of = {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}
    assert byte_alphabet() == byte_of
    pieces = token_bytes(loaded, token_types(loaded))
    for number in range(50256):
        assert pieces[number] == bytes(byte_of[character] for character in loaded.backend.id_to_token(number))
    assert pieces[50256] == b"<|endoftext|>"


def test_a_token_that_only_looks_like_a_byte_is_text() -> None:
    loaded = byte_fallback()
    types = token_types(loaded)
    pieces = token_bytes(loaded, types)
    assert pieces[261] == b"<0xE2>x" and pieces[1] == b"</s>" and pieces[260] == b" a"
    assert types["partial"][2 + 0xE2] and pieces[2 + 0xE2] == b"\xe2" and not types["partial"][2 + 0x41]


def test_vocabulary_is_that_of_the_table(tmp_path: Path) -> None:
    loaded = byte_level()
    [ids] = loaded.encode([TEXT * 3])
    table = vocabulary_table(token_types(loaded), np.array(ids))
    table.loc[7, "characters"] = 300
    write_vocabulary(str(tmp_path / "mini.js"), "mini", loaded, table)
    name, facts, arrays = read_script(tmp_path / "mini.js")
    assert (name, facts) == ("vocabulary/mini", {})
    assert arrays["count"].tolist() == table["count"].tolist() and arrays["count"].sum() == len(ids)
    assert arrays["characters"].tolist() == table["characters"].clip(upper=255).tolist()
    starts = [0, *arrays["ends"][:-1]]
    content = arrays["bytes"].tobytes()
    for row, start, end, flags in zip(table.itertuples(), starts, arrays["ends"], arrays["flags"], strict=True):
        assert (flags & 1, flags & 2) == (row.partial, 2 * row.special)
        if not row.partial:
            assert content[start:end].decode() == row.text
        else:
            assert len(content[start:end]) == row.bytes
    assert b"".join(content[starts[i] : arrays["ends"][i]] for i in ids).decode() == TEXT * 3


def sample(sequences: int, length: int) -> Tokens:
    numbers = np.arange(sequences * length, dtype=np.int32)
    ids = np.random.default_rng(0).integers(0, 60_000, len(numbers), dtype=np.int32)
    return Tokens(ids, numbers // length, numbers % length, numbers // 50)


@pytest.mark.parametrize(("sequences", "length", "chunks"), [(3, 64, 1), (700, 100, 2), (512, 256, 2), (2049, 64, 3)])
def test_chunks_are_the_tokens_of_the_sample(sequences: int, length: int, chunks: int, tmp_path: Path) -> None:
    size = chunk_tokens(length)
    assert size % length == 0 and 65_536 <= size < 65_536 + length
    tokens = sample(sequences, length)
    write_chunks(tmp_path, "mini", tokens, length)
    paths = sorted(tmp_path.iterdir())
    assert [path.name for path in paths] == [f"{chunk:05d}.js" for chunk in range(chunks)]
    read = [read_script(path) for path in paths]
    assert [name for name, _, _ in read] == [f"tokens/mini/{chunk:05d}" for chunk in range(chunks)]
    assert [facts["first"] for _, facts, _ in read] == [chunk * size for chunk in range(chunks)]
    for name, expected in (("input_ids", tokens.input_ids), ("document", tokens.document)):
        parts = [arrays[name] for _, _, arrays in read]
        assert all(len(part) == size for part in parts[:-1]) and 0 < len(parts[-1]) <= size
        assert parts[0].dtype == np.uint32 and np.array_equal(np.concatenate(parts), expected)


def test_manifest_says_which_files_there_are() -> None:
    models = {
        "one": {"tokenizer": "mini", "weights": "trained", "matched": "two"},
        "two": {"tokenizer": "mini", "weights": "random", "matched": None},
    }
    found = manifest(
        {"corpus": "some", "sequence_length": 100, "models": models}, {"one": [3, 4], "two": [5]}, {"mini": 9}
    )
    assert json.loads(json.dumps(found)) == found
    assert (found["chunk_tokens"], found["context"]) == (65_600, {"before": 15, "after": 5})
    one, two = found["models"]
    assert (one["neurons"], one["layers"], one["matched"], two["matched"]) == ([3, 4], 2, "two", None)
    names = [column["name"] for column in found["columns"]]
    assert one["columns"] == names and [name for name in names if name not in two["columns"]] == [
        *("match_layer", "match_neuron", "match_r")
    ]
    assert all(column["label"] and column["description"] for column in found["columns"])
    assert found["tokenizers"] == {"mini": {"types": 9}} and pd.Series(names).is_unique
