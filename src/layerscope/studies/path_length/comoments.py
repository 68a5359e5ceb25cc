"""Co-moments of the quantities: what means, variances and correlations over tokens need, of any number of tokens.

Those of two groups of tokens merge into those of both by the formulas of Chan, Golub and LeVeque (1979) and Pébay
(2008, SAND2008-6212): the products are about the mean of their own group, so no digits are lost where a mean is large
against its standard deviation, and values that are all equal have products that are exactly 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import accumulate
from typing import Self

import numpy as np

from layerscope.stats.document_clusters import CLUSTERS, document_clusters
from layerscope.studies.path_length.lengths import QUANTITIES, Values
from layerscope.tokenize.token_shards import Tokens

FILTERS = ("all", "without_first")  # of each sequence; both are of the tokens that take part in statistics


@dataclass(frozen=True, eq=False)
class CoMoments:
    """Co-moments of groups of tokens, zero where a group is empty. The shape of the groups, [...], is any."""

    tokens: np.ndarray  # int64 [...]
    means: np.ndarray  # float64 [..., layers, quantities]
    products: np.ndarray  # float64 [..., layers, quantities, quantities]: Σ (x − mean of x)(y − mean of y)

    def merged(self, other: Self) -> Self:
        """Of the tokens of both, group by group."""
        tokens = self.tokens + other.tokens
        total = np.maximum(tokens, 1)
        share = (other.tokens / total)[..., None, None]
        apart = other.means - self.means
        weight = (self.tokens * share[..., 0, 0])[..., None, None, None]
        return type(self)(
            tokens,
            self.means + share * apart,
            self.products + other.products + weight * (apart[..., :, None] * apart[..., None, :]),
        )

    def group(self, *place: int | slice) -> Self:
        """Some of the groups."""
        return type(self)(self.tokens[place], self.means[place], self.products[place])

    @property
    def nothing(self) -> Self:
        """Of no tokens, in the same groups."""
        return type(self)(*(np.zeros_like(array) for array in (self.tokens, self.means, self.products)))


def merge(parts: Sequence[CoMoments]) -> CoMoments:
    """All parts as one, merged in their order: the same order gives the same bits."""
    return reduce(CoMoments.merged, parts)


def without_each(parts: Sequence[CoMoments]) -> list[CoMoments]:
    """All parts but one, for each of them; nothing is subtracted, so no digits are lost."""
    before = list(accumulate(parts, CoMoments.merged, initial=parts[0].nothing))
    after = list(accumulate(reversed(parts), CoMoments.merged, initial=parts[0].nothing))[::-1]
    return [start.merged(end) for start, end in zip(before, after[1:], strict=False)]


def comoments_of(values: Values, tokens: Tokens, included: np.ndarray) -> CoMoments:
    """Co-moments of the tokens of a shard, of each filter and cluster of documents: groups [filters, clusters].

    Args:
        values: quantities [layers, tokens].
        included: [tokens], bool, those that take part in statistics.
    """
    layers, cluster = len(values["path_resid"]), document_clusters(tokens.document)
    counts = np.zeros((len(FILTERS), CLUSTERS), dtype=np.int64)
    means = np.zeros((*counts.shape, layers, len(QUANTITIES)))
    products = np.zeros((*means.shape, len(QUANTITIES)))
    for number, keep in enumerate(filters_of(tokens, included).values()):
        for group in np.unique(cluster[keep]):
            places = np.flatnonzero(keep & (cluster == group))
            counts[number, group] = len(places)
            for layer in range(layers):
                x = np.stack([values[name][layer, places] for name in QUANTITIES]).astype(np.float64)
                means[number, group, layer] = x.mean(axis=1)
                x -= means[number, group, layer][:, None]
                products[number, group, layer] = x @ x.T
    return CoMoments(counts, means, products)


def filters_of(tokens: Tokens, included: np.ndarray) -> dict[str, np.ndarray]:
    """Each filter, [tokens], bool."""
    return dict(zip(FILTERS, (included, included & (tokens.position > 0)), strict=True))
