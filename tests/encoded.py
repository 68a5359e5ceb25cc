"""The encoded documents of a corpus and the token shards that are slices of them, as the jobs make them."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from layerscope.tokenize.documents import local_documents
from layerscope.tokenize.encoded_documents import EncodedDocuments, parts_with
from layerscope.tokenize.encoding import encode_documents, encode_part
from layerscope.tokenize.packing import pack_shard
from layerscope.tokenize.token_shards import Tokens
from layerscope.tokenize.tokenize_shard import tokenize_shard
from layerscope.tokenize.tokenizer import LoadedTokenizer


def encode(tokenizer: LoadedTokenizer, texts: Iterable[str], tokens: int) -> list[EncodedDocuments]:
    """The parts that hold the first tokens of a corpus of texts, none of which is empty."""

    def documents(corpus: Any, first: int) -> Iterator[tuple[int, str]]:
        return islice(enumerate(texts), first, None)

    found: list[EncodedDocuments] = []
    for part in parts_with(0, tokens):
        previous = found[-1] if found else None
        found.append(encode_documents({"name": "mine"}, tokenizer, part, previous, documents))
    return found


def pack(tokenizer: LoadedTokenizer, texts: Iterable[str], shard: int, sequences: int, sequence_length: int) -> Tokens:
    """A token shard of a corpus of texts, made from the parts that its job reads."""
    size = sequences * sequence_length
    start, stop = shard * size, (shard + 1) * size
    parts = encode(tokenizer, texts, stop)
    return pack_shard("mine", [parts[part] for part in parts_with(start, stop)], shard, sequences, sequence_length)


def encode_files(folder: Path, corpus: dict, tokenizer: dict, start: int, stop: int) -> list[str]:
    """Write the encoded documents of a local corpus; the files of the parts with these of its tokens."""
    paths: list[str] = []
    for part in parts_with(0, stop):
        path = str(folder / f"part_{part:04d}.h5")
        encode_part(corpus, tokenizer, part, paths[-1] if paths else None, local_documents, path)
        paths.append(path)
    return [paths[part] for part in parts_with(start, stop)]


def tokenize(
    folder: Path, corpus: dict, tokenizer: dict, spec: dict[str, Any], shard: int
) -> tuple[Tokens, dict[str, Any]]:
    """A token shard of a local corpus and its attributes; the encoded documents go into the folder."""
    size = spec["sequences_per_shard"] * spec["sequence_length"]
    return tokenize_shard(encode_files(folder, corpus, tokenizer, shard * size, (shard + 1) * size), spec, shard)
