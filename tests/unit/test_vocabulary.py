"""The vocabulary table: lengths and kinds of tokens, for byte-level and sentencepiece-style tokenizers."""

import json

import numpy as np
import pandas as pd
import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers

from layerscope.tokenize.encoding import token_runs
from layerscope.tokenize.tokenizer import LoadedTokenizer, load_tokenizer
from layerscope.tokenize.vocabulary import token_types, vocabulary_table

END_OF_TEXT = 50256  # in GPT-2


@pytest.fixture(scope="module")
def gpt2(shared_data) -> LoadedTokenizer:
    return load_tokenizer({"name": "gpt2", "path": str(shared_data / "gpt2-bpe")})


@pytest.fixture(scope="module")
def fineweb_ids(shared_data, gpt2) -> np.ndarray:
    """The first tokens of the FineWeb documents, one document after the other, no end-of-text tokens."""
    with (shared_data / "fineweb/documents.jsonl").open(encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line in file]
    runs = token_runs(gpt2, texts[:30])
    return np.concatenate([ids[:-1] for ids in runs])[:8192]


@pytest.fixture(scope="module")
def table(gpt2, fineweb_ids) -> pd.DataFrame:
    return vocabulary_table(token_types(gpt2), fineweb_ids)


def test_characters_are_those_of_the_decoded_token(shared_data, table):
    from transformers import AutoTokenizer

    reference = AutoTokenizer.from_pretrained(shared_data / "gpt2-bpe")
    texts = [reference.decode([i]) for i in range(len(reference))]
    assert table["text"].tolist() == texts
    assert table["characters"].tolist() == [len(text) for text in texts]


def test_bytes_follow_gpt2s_byte_map(gpt2, table):
    # GPT-2 writes the 188 printable bytes as themselves and the others as the characters from 256 on.
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    byte_of = {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}
    for i, row in enumerate(table.head(END_OF_TEXT).itertuples()):
        raw = bytes(byte_of[character] for character in gpt2.backend.id_to_token(i))
        assert row.bytes == len(raw)
        assert row.text == raw.decode(errors="replace")
        assert row.leading_space == raw.startswith(b" ")
        assert row.characters_without_space == row.characters - row.leading_space


def test_pieces_of_characters_and_special_tokens_are_marked(gpt2, table):
    partial = [i for i in range(END_OF_TEXT) if "\ufffd" in gpt2.backend.decode([i])]
    assert np.flatnonzero(table["partial"]).tolist() == partial
    assert table.loc[gpt2.encode(["🤖"])[0], "partial"].all()
    assert np.flatnonzero(table["special"]).tolist() == [END_OF_TEXT]
    assert table.loc[END_OF_TEXT, "characters"] == len("<|endoftext|>")


def test_counts_are_those_of_the_sample(table, fineweb_ids):
    assert table["count"].sum() == len(fineweb_ids)
    for i in (fineweb_ids[0], 262, END_OF_TEXT):
        assert table.loc[i, "count"] == (fineweb_ids == i).sum()


def test_the_reference_studys_token_lengths(table, fineweb_ids):
    lengths = table["characters"].to_numpy()[fineweb_ids]
    assert len(lengths) == 8192
    assert (lengths.min(), lengths.max(), np.median(lengths)) == (1, 16, 4)
    shares = [100 * share.mean() for share in (lengths < 4, lengths == 4, lengths > 4)]
    assert shares == pytest.approx([41.7, 17.1, 41.3], abs=0.05)


# A sentencepiece tokenizer decodes a token that stands first without its space.
METASPACE = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(), decoders.Fuse()])
LLAMA = decoders.Sequence(
    [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
)


@pytest.fixture(params=["metaspace", "llama"])
def sentencepiece(request) -> LoadedTokenizer:
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces += ["▁", "a", "t", "h", "e", "é", "th", "the", "▁a", "▁the", "▁▁"]
    merges = [("t", "h"), ("th", "e"), ("▁", "a"), ("▁", "the"), ("▁", "▁")]
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    backend = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True))
    if request.param == "metaspace":
        backend.pre_tokenizer, backend.decoder = pre_tokenizers.Metaspace(), METASPACE
    else:
        backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        backend.decoder = LLAMA
    backend.add_special_tokens(["<unk>", "<s>", "</s>"])
    return LoadedTokenizer(backend, vocabulary["</s>"], "tokenizers.any")


@pytest.mark.parametrize(
    ("piece", "text", "characters", "size", "leading_space", "partial", "special"),
    [
        ("▁the", " the", 4, 4, True, False, False),
        ("the", "the", 3, 3, False, False, False),
        ("▁", " ", 1, 1, True, False, False),
        ("▁▁", "  ", 2, 2, True, False, False),
        ("é", "é", 1, 2, False, False, False),
        ("<0x41>", "A", 1, 1, False, False, False),
        ("<0xC3>", "\ufffd", 1, 1, False, True, False),
        ("</s>", "</s>", 4, 4, False, False, True),
    ],
)
def test_sentencepiece_tokens_keep_their_leading_space(
    sentencepiece, piece, text, characters, size, leading_space, partial, special
):
    table = vocabulary_table(token_types(sentencepiece), sentencepiece.encode(["the 🤖"])[0])
    row = table.loc[sentencepiece.backend.token_to_id(piece)]
    assert (row["text"], row["characters"], row["bytes"]) == (text, characters, size)
    assert (row["leading_space"], row["partial"], row["special"]) == (leading_space, partial, special)
    assert row["characters_without_space"] == characters - leading_space


def test_a_vocabulary_may_leave_ids_out_and_add_tokens_that_are_not_special():
    backend = Tokenizer(models.BPE({"a": 0, "b": 1, "Ġ": 7}, []))
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    backend.add_tokens([AddedToken("   é", normalized=False)])
    tokenizer = LoadedTokenizer(backend, 0, "tokenizers.any")
    added = backend.token_to_id("   é")
    table = vocabulary_table(token_types(tokenizer), np.array([0, 7, 7, added]))
    assert table["token_id"].tolist() == list(range(max(added, 7) + 1))
    assert table.loc[7, ["text", "bytes", "count"]].tolist() == [" ", 1, 2]
    assert table.loc[added, ["text", "characters", "bytes", "special"]].tolist() == ["   é", 4, 5, False]
