"""What a summary keeps of tokens alone: sums without any activation."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Self

import numpy as np

from layerscope.stats.document_clusters import document_clusters
from layerscope.summarize.token_classes import NO_CLASS
from layerscope.tokenize.token_shards import Tokens


@dataclass(frozen=True, eq=False)
class TokenSums:
    """Sums over the tokens of a shard, or of several, that take part in statistics.

    Products are Σ z zᵀ of the covariates z, of which the first is 1.
    """

    clusters: np.ndarray  # [clusters], int32: numbers of the clusters of documents
    cluster_products: np.ndarray  # [clusters, covariates, covariates], float64
    classes: np.ndarray  # [classes], int32
    class_products: np.ndarray  # [classes, covariates, covariates], float64
    types: np.ndarray  # [types], int32: token ids
    type_counts: np.ndarray  # [types], int64
    documents: np.ndarray  # [documents], int32: numbers of the documents

    @classmethod
    def of(cls, tokens: Tokens, classes: np.ndarray, covariates: np.ndarray) -> Self:
        """The sums of the tokens of a shard.

        Args:
            classes: [tokens], of :func:`.token_classes`.
            covariates: [tokens, covariates], float64.
        """
        takes_part = np.flatnonzero(classes != NO_CLASS)
        tokens_of = {name: getattr(tokens, name)[takes_part] for name in ("input_ids", "document")}
        z = covariates[takes_part]
        clusters, cluster = np.unique(document_clusters(tokens_of["document"]), return_inverse=True)
        numbers, number = np.unique(classes[takes_part], return_inverse=True)
        types, type_counts = np.unique(tokens_of["input_ids"], return_counts=True)
        return cls(
            clusters.astype(np.int32),
            _products(cluster, len(clusters), z),
            numbers.astype(np.int32),
            _products(number, len(numbers), z),
            types,
            type_counts,
            np.unique(tokens_of["document"]),
        )

    @classmethod
    def merge(cls, parts: Sequence[Self]) -> Self:
        """The sums of all tokens of ``parts``, added in order."""
        clusters, classes = _union(part.clusters for part in parts), _union(part.classes for part in parts)
        types = _union(part.types for part in parts)
        width = parts[0].cluster_products.shape[-1]
        cluster_products = np.zeros((len(clusters), width, width))
        class_products = np.zeros((len(classes), width, width))
        type_counts = np.zeros(len(types), dtype=np.int64)
        for part in parts:
            cluster_products[np.searchsorted(clusters, part.clusters)] += part.cluster_products
            class_products[np.searchsorted(classes, part.classes)] += part.class_products
            type_counts[np.searchsorted(types, part.types)] += part.type_counts
        return cls(
            clusters, cluster_products, classes, class_products, types, type_counts,
            _union(part.documents for part in parts),
        )  # fmt: skip

    def without_class_products(self) -> Self:
        """All that :meth:`NeuronSums.merge` needs; of the products of classes, which are most of the bytes, counts."""
        return replace(self, class_products=self.class_products[:, :1, :1].copy())

    @property
    def tokens(self) -> int:
        """How many tokens take part."""
        return int(self.type_counts.sum())

    @property
    def class_counts(self) -> np.ndarray:
        """[classes], tokens of each."""
        return self.class_products[:, 0, 0]

    @property
    def cluster_counts(self) -> np.ndarray:
        """[clusters], tokens of each."""
        return self.cluster_products[:, 0, 0]


def places_of(tokens: Tokens, sequence_length: int) -> np.ndarray:
    """The place of each token in the text: sequence x sequence length + position, int64."""
    return tokens.sequence.astype(np.int64) * sequence_length + tokens.position


def _products(group: np.ndarray, groups: int, z: np.ndarray) -> np.ndarray:
    """Σ z zᵀ of the tokens of each group: [groups, covariates, covariates]."""
    width = z.shape[1]
    products = np.empty((groups, width, width))
    for i in range(width):
        for j in range(i + 1):
            products[:, i, j] = products[:, j, i] = np.bincount(group, z[:, i] * z[:, j], groups)
    return products


def _union(arrays: Iterable[np.ndarray]) -> np.ndarray:
    return reduce(np.union1d, arrays)
