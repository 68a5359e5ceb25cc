"""The stored sample: tokens whose single activations are known, for what sums do not give."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from layerscope.stats.document_clusters import document_clusters
from layerscope.stats.few_rows import few_rows
from layerscope.stats.jackknife import Groups, Jackknife, unit
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
    cells: Groups  # of those tokens, by type and cluster of documents; the arrays below are of these
    types: Groups
    clusters: Groups
    weights: np.ndarray  # [cells], of a token in r over types
    counts: dict[str, int]  # tokens, types, documents

    @classmethod
    def of(
        cls, vocabulary: pd.DataFrame, tokens: Tokens, token_types: int, values: np.ndarray | None = None
    ) -> "StoredSample":
        """The stored sample.

        Args:
            vocabulary: table of :mod:`layerscope.tokenize.vocabulary`.
            tokens: all of the stored sample.
            token_types: how many types have a class of their own.
            values: of the property whose r over types is meant, [types]; default: the lengths.
        """
        sample = token_lengths(vocabulary, tokens.input_ids)
        ids, document = tokens.input_ids[sample.keep], tokens.document[sample.keep]
        classes, clusters = token_classes(vocabulary, token_types)[ids], document_clusters(document)
        own = classes < len(vocabulary)
        cells = Groups(ids[own].astype(np.int64) * BESIDE + clusters[own])
        types, of_clusters = Groups(ids[own][cells.first]), Groups(clusters[own][cells.first])
        sizes = types.sums(cells.sizes)
        lengths = sample.lengths.astype(np.float64)
        of_tokens = lengths if values is None else values[ids]
        weights = (unit(of_tokens[own][cells.first][types.first]) / sizes)[types.labels]
        counts = {"tokens": len(ids), "types": len(types), "documents": len(np.unique(document))}
        return cls(
            sample.keep, lengths, sample.group, Jackknife(clusters), own, cells, types, of_clusters, weights, counts
        )

    def variance_of_documents(self, rows: np.ndarray) -> np.ndarray:
        """What documents add to the variance of r over types in this sample: [neurons].

        Tokens of a document are correlated, and those of a type are (two-way clusters of Cameron, Gelbach and Miller
        2011, J. Bus. Econ. Stat. 29:238).

        Args:
            rows: [neurons, tokens].
        """
        return np.concatenate([self._variance_of_documents(some) for some in few_rows(rows)])

    def _variance_of_documents(self, rows: np.ndarray) -> np.ndarray:
        sums, sizes = self.cells.sums(rows.compress(self.own, axis=1)), self.cells.sizes
        means = self.types.sums(sums) / self.types.sums(sizes)
        middle = means.mean(axis=1, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = self.weights / np.linalg.norm(means - middle, axis=1, keepdims=True)
            of_cells = (sums - sizes * middle) * scale
        share = self.clusters.sums(sizes) / sizes.sum()
        of_documents = self.clusters.sums(of_cells) - of_cells.sum(axis=1, keepdims=True) * share
        groups = len(self.clusters)
        return (of_documents**2).sum(axis=1) * groups / max(1, groups - 1) - (of_cells**2).sum(axis=1)
