"""Pack documents end to end into fixed-length sequences."""

from collections.abc import Iterable, Iterator

import numpy as np

from layerscope.errors import UserError
from layerscope.tokenize.token_shards import Tokens
from layerscope.tokenize.tokenizer import LoadedTokenizer

BATCH = 64  # documents encoded at once


def token_runs(tokenizer: LoadedTokenizer, texts: Iterable[str]) -> Iterator[np.ndarray]:
    """Token ids of each document, int32, with the end-of-text token after its last."""
    batch: list[str] = []

    def encoded() -> Iterator[np.ndarray]:
        for ids in tokenizer.encode(batch):
            yield np.asarray([*ids, tokenizer.end_of_text], dtype=np.int32)
        batch.clear()

    for text in texts:
        batch.append(text)
        if len(batch) == BATCH:
            yield from encoded()
    yield from encoded()


def pack_shard(
    corpus: str,
    tokenizer: LoadedTokenizer,
    texts: Iterable[str],
    shard: int,
    sequences: int,
    sequence_length: int,
) -> Tokens:
    """Tokens of one shard: ``sequences`` rows of ``sequence_length``, after those of the shards before it.

    Documents follow each other with one end-of-text token between; a document that does not fit is continued in
    the next row, and in the next shard.

    Raises:
        UserError: the corpus is empty or ends before the shard is full.
    """
    size = sequences * sequence_length
    start, stop = shard * size, (shard + 1) * size
    seen, kept, documents = 0, [], []
    number = -1
    for number, ids in enumerate(token_runs(tokenizer, texts)):
        piece = ids[max(0, start - seen) : max(0, stop - seen)]
        kept.append(piece)
        documents.append(np.full(len(piece), number, dtype=np.int32))
        seen += len(ids)
        if seen >= stop:
            break
    if number < 0:
        raise UserError(f"corpus {corpus}: it holds no documents with text; {stop} tokens are needed")
    if seen < stop:
        most = seen // size * sequences
        change = f"sequences to at most {most}" if most else "sequences_per_shard or sampling.sequence_length"
        raise UserError(
            f"corpus {corpus}: its {number + 1} documents give {seen} tokens, but shard {shard} ends at {stop}; "
            f"lower sampling.{change}, or add documents"
        )
    return Tokens(
        input_ids=np.concatenate(kept),
        sequence=np.repeat(np.arange(shard * sequences, (shard + 1) * sequences, dtype=np.int32), sequence_length),
        position=np.tile(np.arange(sequence_length, dtype=np.int32), sequences),
        document=np.concatenate(documents),
    )
