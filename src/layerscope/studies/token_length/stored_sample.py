"""The stored sample: tokens whose single activations are known, for what sums do not give."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from layerscope.stats.jackknife import Groups, Jackknife, document_clusters, unit
from layerscope.studies.token_length.length_groups import token_lengths
from layerscope.summarize.token_classes import token_classes
from layerscope.tokenize.token_shards import Tokens

BESIDE = 1 << 20  # more than there are clusters of documents


@dataclass(frozen=True)
class StoredSample:
    """The tokens of the stored sample that take part."""

    keep: np.ndarray  # [tokens], bool: which take part; the arrays below are of these
    lengths: np.ndarray  # [tokens], characters
    group: np.ndarray  # [tokens], 0 short, 1 median, 2 long
    documents: Jackknife
    own: np.ndarray  # [tokens], bool: of types with a class of their own
    types: Groups  # of those tokens
    types_of_documents: Groups  # of those tokens, by type and cluster of documents
    counts: dict[str, int]  # tokens, types, documents

    @classmethod
    def of(cls, vocabulary: pd.DataFrame, tokens: Tokens, token_types: int) -> "StoredSample":
        """The stored sample.

        Args:
            vocabulary: table of :mod:`layerscope.tokenize.vocabulary`.
            tokens: all of the stored sample.
            token_types: how many types have a class of their own.
        """
        sample = token_lengths(vocabulary, tokens.input_ids)
        ids, document = tokens.input_ids[sample.keep], tokens.document[sample.keep]
        classes, clusters = token_classes(vocabulary, token_types)[ids], document_clusters(document)
        own = classes < len(vocabulary)
        types = Groups(ids[own])
        counts = {"tokens": len(ids), "types": len(types), "documents": len(np.unique(document))}
        of_documents = Groups(types.labels * BESIDE + clusters[own])
        lengths = sample.lengths.astype(np.float64)
        return cls(sample.keep, lengths, sample.group, Jackknife(clusters), own, types, of_documents, counts)

    def variance_of_documents(self, rows: np.ndarray) -> np.ndarray:
        """What documents add to the variance of r over types in this sample: [neurons].

        Tokens of a document are correlated, and those of a type are (two-way clusters of Cameron, Gelbach and Miller
        2011, J. Bus. Econ. Stat. 29:238).

        Args:
            rows: [neurons, tokens].
        """
        rows, types = rows[:, self.own], self.types
        means = types.means(rows)
        r_weights = unit(self.lengths[self.own][types.first])
        middle = means.mean(axis=1, keepdims=True)
        weights = (r_weights / types.sizes)[types.labels]
        with np.errstate(divide="ignore", invalid="ignore"):
            of_tokens = (rows - middle) * weights / np.linalg.norm(means - middle, axis=1, keepdims=True)
        whole = of_tokens.sum(axis=1, keepdims=True)
        groups = Groups(self.documents.groups.labels[self.own])
        of_documents = groups.sums(of_tokens) - whole * groups.sizes / groups.sizes.sum()
        both = self.types_of_documents.sums(of_tokens)
        return (of_documents**2).sum(axis=1) * len(groups) / max(1, len(groups) - 1) - (both**2).sum(axis=1)
