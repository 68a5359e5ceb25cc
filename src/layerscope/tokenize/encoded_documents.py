"""Encoded documents: HDF5 files, the parts of a corpus, with the token ids of whole documents.

The documents of a corpus, one after the other and each followed by the end-of-text token, are one stream of tokens.
Its parts have fixed bounds, whatever the sample, so that a larger sample adds parts and leaves those before as they
are. A part holds every document that has tokens between its bounds; one that crosses a bound is in both parts.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np

from layerscope.io.errors import reading
from layerscope.io.hdf5 import new_hdf5, open_hdf5, read_dataset, write_dataset
from layerscope.io.provenance import check_same_run, text_origin_of

FORMAT = "layerscope documents 1"
PLACE = "documents/{tokenizer}/{corpus}/part_{part:04d}.h5"
OWN = ("first_document", "first_token", "rows", "ended")  # attributes: the fields of EncodedDocuments of that name
UNIT = 2**20  # tokens of each of the first sixteen parts; a later one is an eighth of those before it


def bounds() -> Iterator[int]:
    """The bounds between parts, in tokens of the corpus: part i has those from bound i to bound i + 1."""
    units = 0
    while True:
        yield units * UNIT
        units = max(units + 1, units * 9 // 8)


def parts_with(start: int, stop: int) -> range:
    """Numbers of the parts that hold the tokens from ``start`` to before ``stop``."""
    starts = list(takewhile(lambda bound: bound < stop, bounds()))
    return range(bisect_right(starts, start) - 1, len(starts))


@dataclass(frozen=True, eq=False)
class EncodedDocuments:
    """Whole documents of a corpus, in its order."""

    input_ids: np.ndarray  # [tokens], int32
    ends: np.ndarray  # [documents], int64: the end of each document in input_ids, its end-of-text token included
    first_document: int  # number of the first document within the corpus, from 0; documents without text do not count
    first_token: int  # tokens of the corpus before it
    rows: int  # documents of the corpus that were read up to here, those without text too
    ended: bool  # whether the corpus ends here

    @property
    def documents(self) -> int:
        """Documents of the corpus up to the end of these."""
        return self.first_document + len(self.ends)

    @property
    def tokens(self) -> int:
        """Tokens of the corpus up to the end of these."""
        return self.first_token + len(self.input_ids)


def write_part(path: str | Path, encoded: EncodedDocuments, part: int, attributes: dict[str, Any]) -> None:
    """Write a part; ``attributes`` are those of :func:`layerscope.io.provenance.text_origin`."""
    own = {name: getattr(encoded, name) for name in OWN}
    with new_hdf5(path, {"format": FORMAT, **attributes, "part": part, **own}) as file:
        for name in ("input_ids", "ends"):
            write_dataset(file, name, getattr(encoded, name), chunks=True, shuffle=True, compression="gzip")


def read_part(path: str | Path) -> tuple[EncodedDocuments, dict[str, Any]]:
    """A part, and the attributes that say which documents were encoded, and with what.

    Raises:
        UserError: the file is damaged, of another format or place, or its values are not those that were written.
    """
    with reading(path), open_hdf5(path, {FORMAT: PLACE}) as (file, attributes):
        own = {name: attributes[name] for name in OWN}
        encoded = EncodedDocuments(read_dataset(file, "input_ids"), read_dataset(file, "ends"), **own)
        return encoded, text_origin_of(attributes)


def read_parts(paths: Iterable[str]) -> tuple[list[EncodedDocuments], dict[str, Any]]:
    """Parts that follow one another, and the attributes of what is made of them.

    Raises:
        UserError: as :func:`read_part`, or they are not of one corpus and tokenizer.
    """
    parts = {path: read_part(path) for path in paths}
    attributes = {path: origin for path, (_, origin) in parts.items()}
    check_same_run(attributes)
    return [encoded for encoded, _ in parts.values()], next(iter(attributes.values()))


def documents_in(parts: Iterable[EncodedDocuments]) -> Iterator[np.ndarray]:
    """Token ids of each document, end-of-text token included; of a document that is in several parts, once.

    Args:
        parts: some that follow one another.
    """
    known = 0
    for part in parts:
        documents = np.split(part.input_ids, part.ends[:-1])[: len(part.ends)]
        yield from documents[max(0, known - part.first_document) :]
        known = part.documents
