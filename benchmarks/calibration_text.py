"""Text for calibration: documents drawn from a pool, real or simulated, with its types, lengths and counts."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from layerscope.studies.token_length.confounds import Confounds
from layerscope.studies.token_length.length_groups import TokenLengths
from layerscope.tokenize.tokenizer import load_tokenizer
from layerscope.tokenize.vocabulary import token_types, vocabulary_table

ZIPF_TYPES, ZIPF_DOCUMENTS = 20_000, 300


@dataclass(frozen=True)
class Text:
    """Tokens that take part in the statistics; arrays are [tokens] but for ``kinds``."""

    types: np.ndarray  # numbers of the types, from 0
    lengths: np.ndarray
    documents: np.ndarray
    position: np.ndarray
    log_frequency: np.ndarray
    leading_space: np.ndarray
    places: np.ndarray  # of the tokens in the pool
    kinds: int  # how many types the pool has

    @cached_property
    def token_lengths(self) -> TokenLengths:
        return TokenLengths(np.ones(len(self.lengths), dtype=bool), self.lengths, float(np.median(self.lengths)))

    def confounds(self, frequency_control: str = "spline") -> Confounds:
        columns = ("log_frequency", "leading_space", "position")
        return Confounds(pd.DataFrame({name: getattr(self, name) for name in columns}), frequency_control)

    def draw(self, rng: np.random.Generator, tokens: int) -> "Text":
        """As many documents as make up ``tokens``, drawn with replacement: a sample of which this is the population."""
        count = len(np.unique(self.documents))
        starts = np.searchsorted(self.documents, np.arange(count + 1))
        parts, documents, total = [], [], 0
        while total < tokens:
            document = rng.integers(count)
            part = np.arange(starts[document], starts[document + 1])[: tokens - total]
            parts.append(part)
            documents.append(np.full(len(part), len(documents)))
            total += len(part)
        at = np.concatenate(parts)
        columns = ("types", "lengths", "position", "log_frequency", "leading_space", "places")
        return Text(documents=np.concatenate(documents), kinds=self.kinds, **{c: getattr(self, c)[at] for c in columns})


def read_text(documents: Path, tokenizer: Path, sequence_length: int = 512) -> Text:
    """All documents of a JSON Lines file, packed into sequences as the workflow does."""
    loaded = load_tokenizer(
        {"name": "t", "source": str(tokenizer), "commit": None, "content": None, "path": str(tokenizer)}
    )
    texts = [json.loads(line)["text"] for line in documents.open(encoding="utf-8")]
    encoded = loaded.encode(texts)
    ids = np.concatenate(encoded).astype(int)
    document = np.repeat(np.arange(len(texts)), [len(of) for of in encoded])
    position = (np.arange(len(ids)) + document) % sequence_length  # an end-of-text token separates documents
    vocabulary = vocabulary_table(token_types(loaded), np.zeros(0, dtype=np.int32))
    keep = ~(vocabulary["special"] | vocabulary["partial"]).to_numpy()[ids]
    ids, document, position = ids[keep], np.unique(document[keep], return_inverse=True)[1], position[keep]
    kinds, types, counts = np.unique(ids, return_inverse=True, return_counts=True)
    return Text(
        types=types,
        lengths=vocabulary["characters"].to_numpy()[ids],
        documents=document,
        position=position.astype(float),
        log_frequency=np.log1p(counts)[types],
        leading_space=vocabulary["leading_space"].to_numpy()[ids].astype(float),
        places=np.arange(len(ids)),
        kinds=len(kinds),
    )


def zipf_text(rng: np.random.Generator, sequence_length: int = 512) -> Text:
    """Types as frequent as those of GPT-2's tokenizer are in English: the r-th commonest in proportion to 1/(r + 3).

    Lengths fall with frequency; documents have lognormal lengths, and each repeats some rare types of its own.
    """
    rank = np.arange(ZIPF_TYPES)
    frequency = 1 / (rank + 3)
    length_of = np.clip(np.round(0.8 * np.log(rank + 3) + 0.5 + 2.4 * rng.normal(size=ZIPF_TYPES)), 1, 16).astype(int)
    space_of = rng.random(ZIPF_TYPES) < 0.6
    types, documents = [], []
    for document, size in enumerate(np.round(rng.lognormal(6.3, 0.7, ZIPF_DOCUMENTS)).astype(int) + 20):
        topic = frequency * np.where(rank < 200, 1, rng.gamma(0.2, 5, ZIPF_TYPES))
        types.append(rng.choice(ZIPF_TYPES, size, p=topic / topic.sum()))
        documents.append(np.full(size, document))
    joined = np.concatenate(types)
    kinds, numbers, counts = np.unique(joined, return_inverse=True, return_counts=True)
    return Text(
        types=numbers,
        lengths=length_of[joined],
        documents=np.concatenate(documents),
        position=(np.arange(len(joined)) % sequence_length).astype(float),
        log_frequency=np.log1p(counts)[numbers],
        leading_space=space_of[joined].astype(float),
        places=np.arange(len(joined)),
        kinds=len(kinds),
    )


def zscore(values: np.ndarray) -> np.ndarray:
    return (values - values.mean(axis=-1, keepdims=True)) / values.std(axis=-1, keepdims=True)
