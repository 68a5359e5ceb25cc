"""Best correlations of neurons with the units of another layer, from sums of products."""

from concurrent.futures import Executor

import numpy as np

from layerscope.studies.token_length.document_runs import Sums, r_without
from layerscope.studies.token_length.match_columns import MEASURES, without
from layerscope.studies.token_length.rotation import Rotation

NEURONS_AT_ONCE = 32  # whose correlations stay in the cache
OTHERS_AT_ONCE = 64


def best_matches(
    products: np.ndarray,
    own: Sums,
    others: list[Sums],
    counts: np.ndarray,
    rotations: list[Rotation],
    pool: Executor,
) -> tuple[np.ndarray, np.ndarray]:
    """Best correlations of neurons with the units of another layer, as it is and rotated.

    Args:
        products: [neurons, other neurons], sums over all tokens; covariances take their place.
        own: of the neurons, minus some value near their means.
        others: of the other layer's neurons, likewise, and of its units under each of the ``rotations``.
        counts: [runs], tokens.
        pool: threads, which take some neurons at a time.

    Returns:
        [measures, neurons]: r, from -1 to 1, and the unit; NaN and -1 for a neuron that never varies.
    """
    own_mean, mean = (sums.mean(counts).astype(np.float32) for sums in (own, others[0]))
    stds = [np.sqrt(sums.variance(counts)).astype(np.float32) for sums in others]
    constant = [np.flatnonzero(np.isnan(std)) for std in stds]
    r, match = (np.empty((len(stds), len(products)), dtype) for dtype in (float, int))

    def look(start: int) -> None:
        some = slice(start, start + NEURONS_AT_ONCE)
        covariance = products[some]
        covariance /= np.float32(counts.sum())
        covariance -= np.outer(own_mean[some], mean)
        for measure, rotation in enumerate((None, *rotations)):
            values = rotation(covariance) if rotation else covariance.copy()
            values /= stds[measure]
            values[:, constant[measure]] = -np.inf
            where = values.argmax(axis=1)
            r[measure, some], match[measure, some] = values[np.arange(len(where)), where], where

    list(pool.map(look, range(0, len(products), NEURONS_AT_ONCE)))
    r = np.clip(np.where(np.isinf(r), np.nan, r / np.sqrt(own.variance(counts))), -1, 1)
    return r, np.where(np.isnan(r), -1, match)


def best_of_others(
    covariances: np.ndarray, own: Sums, other: Sums, counts: np.ndarray, pool: Executor
) -> tuple[np.ndarray, np.ndarray]:
    """For each neuron of the other layer, the neuron of this one that correlates best with it.

    Args:
        covariances: [neurons, other neurons], as :func:`best_matches` leaves them.
        own, other: of the neurons of both layers, minus some value near their means.
        counts: [runs], tokens.
        pool: threads, which take some neurons of the other layer at a time.

    Returns:
        [other neurons]: r, from -1 to 1, and the neuron; NaN and -1 for one that never varies, or if none here does.
    """
    own_std, std = (np.sqrt(sums.variance(counts)) for sums in (own, other))
    varies, scale = np.isfinite(own_std)[:, None], own_std.astype(np.float32)[:, None]
    chosen, match = np.empty(len(std), np.float32), np.empty(len(std), int)

    def look(start: int) -> None:
        some = slice(start, start + OTHERS_AT_ONCE)
        values = np.where(varies, covariances[:, some] / scale, -np.inf)
        match[some] = values.argmax(axis=0)
        chosen[some] = covariances[match[some], np.arange(len(std))[some]]

    list(pool.map(look, range(0, len(std), OTHERS_AT_ONCE)))
    # Rounded as in best_matches, so that r of a pair is the same both ways.
    r = np.clip(chosen / std.astype(np.float32) / own_std[match], -1, 1)
    return r, np.where(np.isnan(r), -1, match)


def pairs_of_products(products: np.ndarray, match: np.ndarray, rotations: list[Rotation], pool: Executor) -> np.ndarray:
    """Of the products by runs [runs, neurons, other neurons], those of matched units: [measures, runs, neurons]."""
    pairs = np.empty((len(match), *products.shape[:2]))
    pairs[0] = products[:, np.arange(products.shape[1]), match[0]]

    def take(start: int) -> None:
        some = slice(start, start + NEURONS_AT_ONCE)
        for measure, rotation in enumerate(rotations, start=1):
            pairs[measure, :, some] = np.einsum("rno,no->rn", products[:, some], rotation.weights(match[measure, some]))

    list(pool.map(take, range(0, products.shape[1], NEURONS_AT_ONCE)))
    return pairs


def measured(
    r: np.ndarray, match: np.ndarray, own: Sums, others: list[Sums], counts: np.ndarray, pairs: np.ndarray
) -> dict[str, np.ndarray]:
    """Columns of :func:`token_length.match_layer.match_layer`, from ``other_neuron`` on.

    Args:
        r: of :func:`best_matches`, as ``match``, ``own``, ``others`` and ``counts``.
        pairs: of :func:`pairs_of_products`.
    """
    columns = {"other_neuron": match[0]}
    for i, measure in enumerate(MEASURES):
        columns[measure] = r[i]
        for run, left in enumerate(r_without(counts, own, others[i].of(match[i]), pairs[i])):
            columns[without(measure, run)] = left.astype(np.float32)
    return columns
