"""Encode the documents of a corpus, part by part, each document once."""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from layerscope.io.errors import UserError
from layerscope.io.provenance import text_origin
from layerscope.io.records import CorpusRecord, TokenizerRecord
from layerscope.tokenize.encoded_documents import EncodedDocuments, bounds, read_part, write_part
from layerscope.tokenize.tokenizer import LoadedTokenizer, load_tokenizer

BATCH = 64  # documents encoded at once,
CHARACTERS = 10_000_000  # or fewer, if they are this long together: encoding takes a hundred bytes per character
QUICK = 100_000  # characters that are encoded in a tenth of a second

# Numbers and texts of the documents of a corpus from a number on, from 0; those without text are passed over.
Documents = Callable[[CorpusRecord, int], Iterator[tuple[int, str]]]


def token_runs(tokenizer: LoadedTokenizer, texts: list[str]) -> Iterator[np.ndarray]:
    """Token ids of each document, int32, with the end-of-text token after its last; all are encoded at once.

    Raises:
        UserError: the tokenizer fails on a document, or gives the end-of-text token within one.
    """
    for text, ids in zip(texts, tokenizer.encode(texts), strict=True):
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


def encode_part(
    corpus: CorpusRecord,
    tokenizer: TokenizerRecord,
    part: int,
    previous: str | Path | None,
    documents: Documents,
    output: str | Path,
) -> None:
    """Write a part of the encoded documents of a corpus, which begins where the part before it ends.

    Args:
        part: its number, from 0.
        previous: file of the part before it; None for the first.

    Raises:
        UserError: the corpus cannot be read, or as :func:`encode_documents`.
    """
    before = read_part(previous)[0] if previous else None
    encoded = encode_documents(corpus, load_tokenizer(tokenizer), part, before, documents)
    write_part(output, encoded, part, text_origin(corpus, tokenizer))


def encode_documents(
    corpus: CorpusRecord,
    tokenizer: LoadedTokenizer,
    part: int,
    previous: EncodedDocuments | None,
    documents: Documents,
) -> EncodedDocuments:
    """The documents of a part: from where the part before it ends to its own end, or that of the corpus.

    Raises:
        UserError: as :func:`token_runs`, or the tokenizer gives no tokens for any document.
    """
    start, stop = islice(bounds(), part, part + 2)
    runs, found, rows = [], 0, 0
    if previous:
        found, rows = previous.tokens, previous.rows
        if found > start:  # its last document crosses the bound
            runs = np.split(previous.input_ids, previous.ends[-2:-1])[-1:]
    first_token = found - sum(map(len, runs))
    first_document = previous.documents - len(runs) if previous else 0
    following = iter(()) if previous and previous.ended else documents(corpus, rows)
    # A token is seldom less than a character, so that a batch of as many characters as tokens are missing ends in time.
    while found < stop and (batch := _batch(following, min(CHARACTERS, stop - found))):
        for (number, _), ids in zip(batch, token_runs(tokenizer, [text for _, text in batch]), strict=True):
            if found < stop:
                runs.append(ids)
                found, rows = found + len(ids), number + 1
    if found == first_document + len(runs) > 0:
        raise UserError(
            f"{tokenizer.place} gives no tokens for any of the {found} documents of corpus {corpus['name']} read so far"
        )
    input_ids = np.concatenate([np.empty(0, np.int32), *runs])
    ends = np.cumsum([len(ids) for ids in runs], dtype=np.int64)
    return EncodedDocuments(input_ids, ends, first_document, first_token, rows, ended=found < stop)


def _batch(documents: Iterator[tuple[int, str]], characters: int) -> list[tuple[int, str]]:
    """The next documents: ``BATCH``, or fewer, if they are so long together."""
    batch: list[tuple[int, str]] = []
    for number, text in islice(documents, BATCH):
        batch.append((number, text))
        characters -= len(text)
        if characters <= 0:
            break
    return batch
