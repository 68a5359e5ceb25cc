"""Regressions of a token property on its confounds, and of neurons on both, from sums over tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from layerscope.studies.token_length.length_groups import median_length
from layerscope.studies.token_length.sign_flip_null import LEAST_LEVERAGE, corrected
from layerscope.summarize.covariates import ONE, POSITION, scaled
from layerscope.summarize.token_classes import token_classes
from layerscope.summarize.token_sums import TokenSums

NOTHING_LEFT = 1e-12  # share of a variance, or of the largest eigenvalue, below which what is left of it is rounding


@dataclass(frozen=True)
class Regression:
    """A property's residuals y given some covariates, as a weighted sum of all covariates, with mean 0 and norm 1.

    NaN where the covariates explain the property fully: then there is no partial correlation.
    """

    given: list[int]  # the covariates that are taken out, the constant among them
    solve: np.ndarray  # [given, given], from products of the covariates with a variable to its coefficients
    weights: np.ndarray  # [covariates]: y of a token with covariates z is weights · z
    null_weights: np.ndarray  # [classes], see :mod:`.sign_flip_null`


class TokenRegressions:
    """Regressions of all measures of r over tokens: the same for every neuron, layer and model of the same tokens.

    Args:
        tokens: sums of the sample.
        names: of its covariates.
        vocabulary: table of :mod:`layerscope.tokenize.vocabulary`.
        token_types: how many types have a class of their own.
        name: of the property.
        frequency_covariate: how frequency is a covariate, ``spline`` or ``line``.
        values: of the property, [types]; default: the column of the vocabulary. A property that is no covariate has in
            each class the mean over its tokens, and sums of it are those over classes.
    """

    def __init__(
        self,
        tokens: TokenSums,
        names: Sequence[str],
        vocabulary: pd.DataFrame,
        token_types: int,
        name: str,
        frequency_covariate: str,
        values: np.ndarray | None = None,
    ) -> None:
        self.tokens, self.names = tokens, list(names)
        self.own = tokens.classes < len(vocabulary)  # [classes], of one type
        values = vocabulary[name].to_numpy(np.float64) if values is None else values
        of_types = np.searchsorted(tokens.classes, token_classes(vocabulary, token_types)[tokens.types])
        counts = tokens.type_counts
        # [classes], the mean over the tokens of the class
        self.of_classes = np.bincount(of_types, counts * values[tokens.types]) / np.bincount(of_types, counts)
        self.vocabulary = vocabulary
        self.is_covariate = name in self.names
        self.scaled = scaled(self.of_classes, tokens.class_counts)  # [classes], for which r is the same
        if self.is_covariate:
            self.property, self.class_products = self.names.index(name), tokens.class_products
            self.products = tokens.cluster_products.sum(axis=0)
        else:
            self.property = len(self.names)
            self.class_products = with_property(tokens.class_products, self.scaled)
            self.products = self.class_products.sum(axis=0)
        frequency = [i for i, name in enumerate(self.names) if name.startswith("frequency_spline_")]
        frequency = [self.names.index("log_frequency"), *(frequency if frequency_covariate == "spline" else ())]
        constant, others = self.names.index(ONE), [self.names.index("leading_space"), self.names.index(POSITION)]
        self.measures = {
            "r": self._regression([constant]),
            "r_given_frequency": self._regression([constant, *frequency]),
            "r_given_all": self._regression([constant, *frequency, *others]),
        }

    @cached_property
    def side(self) -> np.ndarray:
        """[classes]: −1 for tokens shorter than the median length, 1 for longer ones."""
        return np.sign(self.of_classes - median_length(self.vocabulary))

    def _regression(self, given: list[int]) -> Regression:
        among = self.products[np.ix_(given, given)]
        values, vectors = np.linalg.eigh(among)
        kept = values > NOTHING_LEFT * values[-1]
        basis = vectors[:, kept] / np.sqrt(values[kept])  # orthonormal covariates, of those that are given
        solve = basis @ basis.T
        weights = np.zeros(len(self.products))
        weights[self.property] = 1
        weights[given] -= solve @ self.products[given, self.property]
        left = weights @ self.products @ weights
        varying = (
            self.products[self.property, self.property] - self.products[0, self.property] ** 2 / self.tokens.tokens
        )
        weights *= left**-0.5 if left > NOTHING_LEFT * varying else np.nan
        return Regression(given, solve, weights, self._null_weights(given, basis, weights))

    def _null_weights(self, given: list[int], basis: np.ndarray, weights: np.ndarray) -> np.ndarray:
        counts, products = self.tokens.class_counts, self.class_products
        means = products[:, 0] @ weights / counts
        # Of weights that vary within a class, the means have a smaller norm.
        result = means / np.sqrt(counts @ means**2)
        hats = basis.T @ products[:, given][:, :, given] @ basis
        for i in np.flatnonzero(np.trace(hats, axis1=1, axis2=2) > LEAST_LEVERAGE):
            result[i] += (
                corrected(hats[i], basis.T @ products[i, given] @ weights, products[i, 0, given] @ basis) / counts[i]
            )
        return result


def with_property(products: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Products of covariates, with those of a further one that has one value in each class.

    Args:
        products: [classes, covariates, covariates], of which the first covariate is 1.
        values: [classes].

    Returns:
        [classes, covariates + 1, covariates + 1].
    """
    with_others = products[:, 0] * values[:, None]
    wider = np.pad(products, ((0, 0), (0, 1), (0, 1)))
    wider[:, -1, :-1] = wider[:, :-1, -1] = with_others
    wider[:, -1, -1] = with_others[:, 0] * values
    return wider
