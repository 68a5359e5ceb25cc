"""Moments of neurons from sums of powers about a pilot."""

import numpy as np

from layerscope.summarize.neuron_sums import NeuronSums
from layerscope.summarize.token_sums import TokenSums

NOTHING_LEFT = 1e-6  # share of a neuron's squares below which what is left of them is the rounding of float32


def moments(tokens: TokenSums, neurons: NeuronSums) -> dict[str, np.ndarray]:
    """Mean, standard deviation (n − 1), skewness and excess kurtosis (biased, as scipy's default) of each neuron.

    Returns:
        Arrays [neurons]; skewness and kurtosis are NaN for a neuron that does not vary.
    """
    n = tokens.tokens
    mean, m2, m3, m4 = central_moments(np.full(1, n), power_sums(neurons).sum(axis=1, keepdims=True))[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        shape = {"skewness": m3 / m2**1.5, "kurtosis": m4 / m2**2 - 3}
    vary = varies(neurons)
    return {
        "mean": neurons.pilot + mean,
        "std": np.sqrt(np.where(vary, m2, 0) * n / (n - 1)),
        **{name: np.where(vary, values, np.nan) for name, values in shape.items()},
    }


def kurtosis_without(tokens: TokenSums, neurons: NeuronSums) -> np.ndarray:
    """Excess kurtosis with each cluster left out: [neurons, clusters]; NaN where nothing is left, or does not vary."""
    sums, n = power_sums(neurons), tokens.cluster_counts
    whole, rest = sums.sum(axis=1, keepdims=True), n.sum() - n
    _, m2, _, m4 = central_moments(rest, whole - sums)
    least = NOTHING_LEFT * n.sum() * central_moments(n.sum(keepdims=True), whole)[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((rest[:, None] * m2 > least) & varies(neurons), m4 / m2**2 - 3, np.nan).T


def varies(neurons: NeuronSums) -> np.ndarray:
    """Which neurons have different activations: [neurons], bool."""
    return neurons.most_value[0] > neurons.least_value[0]


def power_sums(neurons: NeuronSums) -> np.ndarray:
    """Sums of x − pilot, and of its powers up to the fourth: [4, clusters, neurons]."""
    return np.moveaxis(neurons.cluster_sums[:, [0, -3, -2, -1]], 1, 0)


def central_moments(n: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """Mean, and central moments of the second to the fourth order, of n [groups] values.

    Args:
        sums: of their powers, [4, groups, neurons].

    Returns:
        [4, groups, neurons].
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        mean, second, third, fourth = sums / n[:, None]
    return np.stack(
        [
            mean,
            second - mean**2,
            third - 3 * mean * second + 2 * mean**3,
            fourth - 4 * mean * third + 6 * mean**2 * second - 3 * mean**4,
        ]
    )
