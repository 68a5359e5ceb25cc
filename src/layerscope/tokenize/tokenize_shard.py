"""One token shard of a corpus."""

from typing import Any

from layerscope.io.provenance import text_origin
from layerscope.io.records import CorpusRecord, TokenizerRecord
from layerscope.tokenize.documents import documents_of_corpus
from layerscope.tokenize.packing import pack_shard
from layerscope.tokenize.token_shards import Tokens
from layerscope.tokenize.tokenizer import load_tokenizer


def tokenize_shard(
    corpus: CorpusRecord, tokenizer: TokenizerRecord, spec: dict[str, Any], shard: int, fetched: str | None
) -> tuple[Tokens, dict[str, Any]]:
    """Tokens of a shard and the attributes that say where they are from.

    Args:
        spec: ``text_field``, ``sequence_length``, ``sequences_per_shard``.
        shard: its number, from 0.
        fetched: JSON Lines file with the documents of a hub data set; None for a local corpus.

    Raises:
        UserError: the corpus cannot be read or is too small.
    """
    tokens = pack_shard(
        corpus["name"],
        load_tokenizer(tokenizer),
        documents_of_corpus(corpus, spec["text_field"], fetched),
        shard,
        spec["sequences_per_shard"],
        spec["sequence_length"],
    )
    attributes = {
        **text_origin(corpus, tokenizer),
        "shard": shard,
        "sequences": spec["sequences_per_shard"],
        "sequence_length": spec["sequence_length"],
    }
    return tokens, attributes
