"""Pack documents end to end into fixed-length sequences."""

from collections.abc import Sequence

import numpy as np

from layerscope.io.errors import UserError
from layerscope.tokenize.encoded_documents import EncodedDocuments
from layerscope.tokenize.token_shards import Tokens


def pack_shard(
    corpus: str, parts: Sequence[EncodedDocuments], shard: int, sequences: int, sequence_length: int
) -> Tokens:
    """Tokens of one shard: ``sequences`` rows of ``sequence_length``, after those of the shards before it.

    A document that does not fit is continued in the next row, and in the next shard.

    Args:
        parts: those that hold the tokens of the shard, in their order.

    Raises:
        UserError: the corpus is empty or ends before the shard is full.
    """
    size = sequences * sequence_length
    start, stop = shard * size, (shard + 1) * size
    last = parts[-1]
    if not last.documents:
        raise UserError(f"corpus {corpus}: contains no documents with text; {stop} tokens are needed")
    if last.tokens < stop:
        most = last.tokens // size * sequences
        change = f"sequences to at most {most}" if most else "sequences_per_shard or sampling.sequence_length"
        raise UserError(
            f"corpus {corpus}: its {last.documents} documents give {last.tokens} tokens, but shard {shard} ends at "
            f"{stop}; lower sampling.{change}, or add documents"
        )
    input_ids, document, seen = [], [], start
    for part in parts:
        here = np.arange(seen, min(stop, part.tokens)) - part.first_token
        input_ids.append(part.input_ids[here])
        document.append(part.first_document + np.searchsorted(part.ends, here, side="right"))
        seen += len(here)
    return Tokens(
        input_ids=np.concatenate(input_ids),
        sequence=np.repeat(np.arange(shard * sequences, (shard + 1) * sequences, dtype=np.int32), sequence_length),
        position=np.tile(np.arange(sequence_length, dtype=np.int32), sequences),
        document=np.concatenate(document).astype(np.int32),
    )
