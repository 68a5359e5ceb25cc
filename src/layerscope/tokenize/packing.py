"""Pack documents end to end into fixed-length sequences."""

from collections.abc import Iterable, Iterator

import numpy as np

from layerscope.io.errors import UserError
from layerscope.tokenize.token_shards import Tokens
from layerscope.tokenize.tokenizer import LoadedTokenizer

BATCH = 64  # documents encoded at once,
CHARACTERS = 10_000_000  # or fewer, if they are this long together: encoding takes a hundred bytes per character
QUICK = 100_000  # characters that are encoded in a tenth of a second


def token_runs(tokenizer: LoadedTokenizer, texts: Iterable[str]) -> Iterator[np.ndarray]:
    """Token ids of each document, int32, with the end-of-text token after its last.

    Raises:
        UserError: the tokenizer fails on a document, or gives the end-of-text token within one.
    """
    for batch in _batches(texts):
        for text, ids in zip(batch, tokenizer.encode(batch), strict=True):
            if tokenizer.end_of_text in ids:
                name = tokenizer.backend.id_to_token(tokenizer.end_of_text)
                raise UserError(
                    f"{tokenizer.place} gives its end-of-text token '{name}' within the document that begins "
                    f"{text[:40]!r}, but it may only separate documents; name another eos_token, or remove the document"
                )
            yield np.asarray([*ids, tokenizer.end_of_text], dtype=np.int32)


def check_document(corpus: str, tokenizer: LoadedTokenizer, text: str) -> None:
    """Encode a document of a corpus, unless it is long: what fails on it fails on many.

    Raises:
        UserError: as :func:`token_runs`, or the tokenizer gives no tokens for it.
    """
    if len(text) <= QUICK and text.strip():
        [ids] = token_runs(tokenizer, [text])
        if len(ids) == 1:
            raise UserError(
                f"{tokenizer.place} gives no tokens for the first document of corpus {corpus}, which begins "
                f"{text[:40]!r}; name the tokenizer that the model was trained with"
            )


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    characters = 0
    for text in texts:
        batch.append(text)
        characters += len(text)
        if len(batch) == BATCH or characters >= CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def pack_shard(
    corpus: str,
    tokenizer: LoadedTokenizer,
    texts: Iterable[str],
    shard: int,
    sequences: int,
    sequence_length: int,
) -> Tokens:
    """Tokens of one shard: ``sequences`` rows of ``sequence_length``, after those of the shards before it.

    One end-of-text token follows each document; a document that does not fit is continued in the next row, and in
    the next shard.

    Raises:
        UserError: the corpus is empty or ends before the shard is full, or as :func:`token_runs`.
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
        raise UserError(f"corpus {corpus}: contains no documents with text; {stop} tokens are needed")
    if seen == number + 1:
        raise UserError(
            f"{tokenizer.place} gives no tokens for any of the {seen} documents of corpus {corpus} read so far"
        )
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
