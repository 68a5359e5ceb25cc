"""One token shard of a corpus."""

from collections.abc import Iterable
from typing import Any

from layerscope.tokenize.encoded_documents import read_parts
from layerscope.tokenize.packing import pack_shard
from layerscope.tokenize.token_shards import Tokens


def tokenize_shard(parts: Iterable[str], spec: dict[str, Any], shard: int) -> tuple[Tokens, dict[str, Any]]:
    """Tokens of a shard and the attributes that say where they are from.

    Args:
        parts: files of the encoded documents that hold its tokens, in their order.
        spec: ``sequence_length``, ``sequences_per_shard``.
        shard: its number, from 0.

    Raises:
        UserError: a part cannot be read, or the corpus is too small.
    """
    encoded, origin = read_parts(parts)
    sequences, length = spec["sequences_per_shard"], spec["sequence_length"]
    tokens = pack_shard(origin["corpus"], encoded, shard, sequences, length)
    return tokens, {**origin, "shard": shard, "sequences": sequences, "sequence_length": length}
