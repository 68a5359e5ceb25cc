"""Summaries of a quantity over the neurons of a layer, and their jackknife over clusters of the text.

The jackknife is taken to first order, by the derivative of each summary: the median of some thousand neurons jumps
from neuron to neuron, a share changes by whole neurons, and the plain jackknife of either is far too wide.
"""

import numpy as np
import pandas as pd

from layerscope.stats.jackknife import jackknife_error

WEAK = 0.2  # |r| below which a correlation is called weak
STATISTICS = ("mean", "median", "std", "variance", "fraction_positive", "fraction_weakly_negative")


def summaries(r: np.ndarray, error: float) -> dict[str, np.ndarray]:
    """Summaries over neurons of each column of r [neurons, resamples]: ``STATISTICS`` → [resamples].

    ``variance`` is that of r over neurons minus ``error``, the part due to the errors of r.
    """
    if not len(r):
        return {name: np.full(r.shape[1], np.nan) for name in STATISTICS}
    variance = r.var(axis=0, ddof=min(1, len(r) - 1))
    return {
        "mean": r.mean(axis=0),
        "median": np.median(r, axis=0),
        "std": np.sqrt(variance),
        "variance": variance - error,
        "fraction_positive": (r > 0).mean(axis=0),
        "fraction_weakly_negative": ((r < 0) & (r > -WEAK)).mean(axis=0),
    }


def error_variance(changes: np.ndarray) -> float:
    """The part of the variance of r over neurons that is due to the errors of r.

    The mean squared standard error of the neurons, minus that of their mean, which they share.

    Args:
        changes: [neurons, groups], change of r with each group left out; NaN without groups.
    """
    if not changes.size:
        return np.nan
    apart = changes - changes.mean(axis=0)
    return float((jackknife_error(apart) ** 2).sum() / max(1, len(apart) - 1))


def jackknife_summaries(r: np.ndarray, changes: np.ndarray, error: float) -> dict[str, np.ndarray]:
    """The summaries of r [neurons] with each group left out: each of ``STATISTICS`` but ``std`` → [groups].

    Args:
        changes: [neurons, groups], change of r with each group left out.
        error: of :func:`error_variance`.
    """
    observed = {name: values[0] for name, values in summaries(r[:, None], error).items()}
    if not len(r):
        return {name: np.full(changes.shape[1], np.nan) for name in STATISTICS if name != "std"}
    apart = changes - changes.mean(axis=0)
    df = max(1, len(r) - 1)
    # 2 cov(r, change) includes each change with itself, which the error already takes out of the variance.
    variance = 2 * ((r - r.mean()) @ apart + (apart**2).sum(axis=0)) / df
    width = kernel_width(changes)
    zero, weak = normal(r, width) @ changes / len(r), normal(r + WEAK, width) @ changes / len(r)
    return {
        "mean": observed["mean"] + changes.mean(axis=0),
        "median": jackknife_median(r, changes),
        "variance": observed["variance"] + variance,
        "fraction_positive": observed["fraction_positive"] + zero,
        "fraction_weakly_negative": observed["fraction_weakly_negative"] + weak - zero,
    }


def jackknife_median(values: np.ndarray, changes: np.ndarray) -> np.ndarray:
    """The median of values [neurons] with each group left out: [groups].

    It changes as the neurons about it do: by the mean of their ``changes`` [neurons, groups], weighted by a normal
    kernel that contains at least one neuron.
    """
    apart = values - np.median(values)
    weights = normal(apart, max(kernel_width(changes), np.abs(apart).min()))
    return np.median(values) + weights @ changes / weights.sum()


def kernel_width(changes: np.ndarray) -> float:
    """Width of the kernel that counts neurons near a value: half the standard error of a neuron.

    For neurons with independent normal errors of standard deviation s and density f, the number above a value has
    variance f s/√π. With a normal kernel of width h its change has variance f s²/(2√π h); they are equal for h = s/2.

    Args:
        changes: [neurons, groups], change of each neuron with each group left out.
    """
    return max(0.5 * float(np.sqrt((jackknife_error(changes) ** 2).mean())), np.finfo(np.float64).tiny ** 0.25)


def normal(at: np.ndarray, width: float) -> np.ndarray:
    """Density at each of ``at`` of a normal distribution with mean zero."""
    return np.exp(-((at / width) ** 2) / 2) / (width * np.sqrt(2 * np.pi))


def table_of(found: dict[str, np.ndarray], measure: str, kind: str) -> pd.DataFrame:
    """Statistics of resamples as rows: ``measure``, ``statistic``, ``kind``, ``resample``, ``value``."""
    return pd.concat(
        pd.DataFrame({"resample": np.arange(len(values), dtype=np.int32), "value": values}).assign(
            measure=measure, statistic=name, kind=kind
        )
        for name, values in found.items()
    )
