"""Text for calibration: documents drawn from a pool, real or simulated, with its types, lengths and counts."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from layerscope.stats.splines import spline_basis
from layerscope.studies.token_length.length_groups import TokenLengths, median_length
from layerscope.studies.token_length.resample_layer import LayerResamples
from layerscope.studies.token_length.stored_sample import StoredSample
from layerscope.studies.token_length.token_regressions import TokenRegressions
from layerscope.summarize.summarize_shard import summary_of_values
from layerscope.summarize.summary_shards import LayerSummary
from layerscope.tokenize.token_shards import Tokens
from layerscope.tokenize.tokenizer import load_tokenizer
from layerscope.tokenize.vocabulary import takes_part, token_types

ZIPF_TYPES, ZIPF_DOCUMENTS = 20_000, 300
SEQUENCE_LENGTH = 512


@dataclass(frozen=True)
class Text:
    """Tokens that take part in the statistics."""

    types: np.ndarray  # [tokens], numbers of the types, from 0
    documents: np.ndarray  # [tokens]
    position: np.ndarray  # [tokens]
    places: np.ndarray  # [tokens], in the pool
    vocabulary: pd.DataFrame  # of the types; counts are those in the pool

    @property
    def lengths(self) -> np.ndarray:
        return self.vocabulary["characters"].to_numpy()[self.types]

    @property
    def log_frequency(self) -> np.ndarray:
        return np.log1p(self.vocabulary["corpus_count"].to_numpy())[self.types]

    @property
    def token_lengths(self) -> TokenLengths:
        return TokenLengths(np.ones(len(self.types), dtype=bool), self.lengths, median_length(self.vocabulary))

    def covariates(self) -> dict[str, np.ndarray]:
        """The covariates of each measure of r over tokens: [tokens, covariates]."""
        counts = self.vocabulary["corpus_count"].to_numpy()
        frequency = spline_basis(np.log1p(counts), counts)[self.types]
        every = np.column_stack([frequency, self.vocabulary["leading_space"].to_numpy()[self.types], self.position])
        return {"r": every[:, :0], "r_given_frequency": frequency, "r_given_all": every}

    @cached_property
    def tokens(self) -> Tokens:
        # Documents are drawn, so positions do not follow each other; each token is in a sequence of its own.
        arrays = self.types, np.arange(len(self.types)), self.position, self.documents
        return Tokens(*(array.astype(np.int32) for array in arrays))

    def summary(self, rows: np.ndarray) -> LayerSummary:
        """The summary of neurons [neurons, tokens]."""
        values = np.ascontiguousarray(rows.T)
        return summary_of_values(values, self.tokens, SEQUENCE_LENGTH, self.vocabulary, len(self.vocabulary))

    def resamples(self, resamples: int, seed: int) -> LayerResamples:
        summary, kinds = self.summary(np.zeros((1, len(self.types)))), len(self.vocabulary)
        regressions = TokenRegressions(
            summary.tokens, summary.covariates, self.vocabulary, kinds, "characters", "spline"
        )
        return LayerResamples(regressions, StoredSample.of(self.vocabulary, self.tokens, kinds), resamples, seed)

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
        return Text(self.types[at], np.concatenate(documents), self.position[at], self.places[at], self.vocabulary)


def read_text(documents: Path, tokenizer: Path, sequence_length: int = SEQUENCE_LENGTH) -> Text:
    """All documents of a JSON Lines file, packed into sequences as the workflow does."""
    loaded = load_tokenizer(
        {"name": "t", "source": str(tokenizer), "commit": None, "content": None, "path": str(tokenizer)}
    )
    texts = [json.loads(line)["text"] for line in documents.open(encoding="utf-8")]
    encoded = loaded.encode(texts)
    ids = np.concatenate(encoded).astype(int)
    document = np.repeat(np.arange(len(texts)), [len(of) for of in encoded])
    position = (np.arange(len(ids)) + document) % sequence_length  # an end-of-text token separates documents
    vocabulary = token_types(loaded)
    keep = takes_part(vocabulary, ids)
    ids, document, position = ids[keep], np.unique(document[keep], return_inverse=True)[1], position[keep]
    kinds, types, counts = np.unique(ids, return_inverse=True, return_counts=True)
    vocabulary = vocabulary.iloc[kinds].reset_index(drop=True).assign(corpus_count=counts)
    return Text(types, document, position, np.arange(len(ids)), vocabulary)


def zipf_text(rng: np.random.Generator, sequence_length: int = SEQUENCE_LENGTH) -> Text:
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
    vocabulary = pd.DataFrame({"characters": length_of[kinds], "leading_space": space_of[kinds]})
    vocabulary = vocabulary.assign(special=False, partial=False, corpus_count=counts)
    position = np.arange(len(joined)) % sequence_length
    return Text(numbers, np.concatenate(documents), position, np.arange(len(joined)), vocabulary)


def zscore(values: np.ndarray) -> np.ndarray:
    return (values - values.mean(axis=-1, keepdims=True)) / values.std(axis=-1, keepdims=True)
