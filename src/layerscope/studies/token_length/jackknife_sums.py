"""Correlations and their jackknife over clusters of documents, from sums over the clusters."""

from dataclasses import dataclass

import numpy as np

from layerscope.stats.jackknife import NOTHING_LEFT as LEFT_OF_A_NORM
from layerscope.studies.token_length.token_regressions import NOTHING_LEFT, Regression
from layerscope.summarize.neuron_sums import NeuronSums
from layerscope.summarize.token_sums import TokenSums


@dataclass(frozen=True)
class ResidualSums:
    """Sums of the residuals of neurons given covariates, scaled to norm 1; NaN for a neuron that they explain fully."""

    products: np.ndarray  # [clusters, covariates, neurons], Σ residual · covariate
    squares: np.ndarray  # [clusters, neurons], Σ residual²
    classes: np.ndarray  # [classes, neurons], Σ residual


def residual_sums(sums: NeuronSums, tokens: TokenSums, regression: Regression) -> ResidualSums:
    """Sums of the residuals of neurons given the covariates of a regression."""
    given = regression.given
    products, squares = sums.cluster_sums[:, :-3], sums.cluster_sums[:, -3]
    total, square = products.sum(axis=0), squares.sum(axis=0)
    coefficients = np.zeros_like(total)
    coefficients[given] = regression.solve @ total[given]
    norm2 = square - (coefficients * total).sum(axis=0)
    explained = norm2 <= NOTHING_LEFT * (square - total[0] ** 2 / tokens.tokens)
    norm = np.sqrt(np.where(explained, np.nan, norm2))
    fitted = tokens.cluster_products @ coefficients
    left = squares - (coefficients * (2 * products - fitted)).sum(axis=1)
    classes = sums.class_sums - tokens.class_products[:, 0] @ coefficients
    return ResidualSums((products - fitted) / norm, left / norm**2, classes / norm)


def pearson_of_classes(left: ResidualSums, values: np.ndarray, weight: float) -> np.ndarray:
    """Pearson's r of residuals of neurons with those of a property that has one value in each class: [neurons].

    Residuals of neurons are orthogonal to the covariates that are given, so that only the property itself counts.

    Args:
        left: of the neurons.
        values: of the property, [classes].
        weight: of the property in its residuals, which have mean 0 and norm 1.
    """
    return np.clip(weight * (values @ left.classes), -1, 1)


def jackknife_pearson(
    left: ResidualSums, cluster_products: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pearson's r of residuals of neurons with one of the covariates' combinations.

    Args:
        left: of the neurons.
        cluster_products: of the covariates, [clusters, covariates, covariates].
        weights: of the covariates in the combination, which has mean 0 and norm 1.

    Returns:
        r [neurons], and with each cluster left out [neurons, clusters]; NaN where a variable does not vary.
    """
    n = cluster_products[:, 0, 0]
    y, y2 = cluster_products[:, 0] @ weights, weights @ cluster_products @ weights
    xy, x = np.einsum("c,kcn->kn", weights, left.products), left.products[:, 0]
    observed = np.clip(xy.sum(axis=0), -1, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        rest = n.sum() - n
        x_mean, x_square, covariance = ((sums.sum(axis=0) - sums) / rest[:, None] for sums in (x, left.squares, xy))
        y_mean, y_square = ((sums.sum() - sums) / rest for sums in (y, y2))
        variance, y_variance = x_square - x_mean**2, (y_square - y_mean**2)[:, None]
        r = (covariance - x_mean * y_mean[:, None]) / np.sqrt(variance * y_variance)
    least = LEFT_OF_A_NORM / n.sum()
    return observed, np.where((variance > least) & (y_variance > least), np.clip(r, -1, 1), np.nan).T
