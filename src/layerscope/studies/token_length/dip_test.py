"""Hartigan's dip test of rows of values, and its power for mixtures of two modes."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from diptest import dipstat
from diptest.consts import Consts

from layerscope.stats.intervals import ALPHA
from layerscope.studies.token_length.length_groups import token_lengths
from layerscope.studies.token_length.measures import TABLE_END

SMALLEST_P = 1e-5  # where the table of the dip test ends
MANY = 4096  # values of which not all are needed to see that a dip is small
SHARES = (0.5, 0.2, 0.05)  # of the values in the smaller mode
SEPARATIONS = np.arange(2, 8.5, 0.5)  # of the modes, in the standard deviation within each


def dip_tests(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hartigan and Hartigan's (1985) dip of each row [rows, n], and its p: two arrays [rows].

    Of ``MANY`` values or more, a row that cannot have p <= ``ALPHA`` gets the dip of every fourth of its values, within
    1 / (2m) of its own if there are m of these: the dip is the distance of the distribution function from the nearest
    unimodal one, so it changes no more than the function does.

    The p is that of the package's table of 1,000,001 simulated uniform samples, ten of which lie beyond its last
    quantile, 1e-5. Beyond that quantile the package interpolates to 0 at the largest of them, which is no p. There, p
    is at most ``SMALLEST_P``, and bounded by Massart's (1990) inequality: the dip of unimodal data is at most their
    largest distance from their distribution, which exceeds d with probability at most 2 exp(-2 n d²). For more than
    ``TABLE_END`` values p is NaN: the table has none, and the dip alone is an effect size. Both are NaN for fewer than
    four values.
    """
    unknown = np.full(len(rows), np.nan)
    n = rows.shape[1]
    if n < 4:
        return unknown, unknown
    ordered = [np.sort(row) for row in rows]  # one by one, they stay in the cache
    if n > TABLE_END:
        return _dips(ordered), unknown
    if n < MANY:
        dip = _dips(ordered)
    else:
        # Those in the middle of as many equal shares of the values.
        kept = n // 4
        middles = (2 * np.arange(kept) + 1) * n // (2 * kept)
        dip = _dips(row[middles] for row in ordered)
        may_pass = np.flatnonzero(_from_table(n, dip + 1 / (2 * kept)) <= ALPHA)
        dip[may_pass] = _dips(ordered[row] for row in may_pass)
    p = _from_table(n, dip)
    bound = np.minimum(2 * np.exp(-2 * n * dip**2), SMALLEST_P)
    return dip, np.where(p > SMALLEST_P, p, bound)


def _dips(ordered: Iterable[np.ndarray]) -> np.ndarray:
    """Dips of rows of ordered values: [rows]."""
    return np.array([dipstat(row.astype(np.float64), sort_x=False) for row in ordered])


def _from_table(n: int, dips: np.ndarray) -> np.ndarray:
    """p of dips of n values by the package's table."""
    return np.array([Consts.compute_pval_interpolation(n, dip) for dip in dips])


def dip_power(values: int, resamples: int, rng: np.random.Generator) -> pd.DataFrame:
    """Power of the dip test for mixtures of two normal distributions.

    Args:
        values: in each simulated neuron.
        resamples: simulated neurons per mixture and separation. The same values are moved apart for all separations,
            so that power differs by the separation alone.

    Returns:
        ``values``, ``share_of_smaller``, ``separation``; ``power_1e5`` and ``power_05``, the share of simulated neurons
        with p <= 1e-5 and p <= 5%, NaN beyond the test's table; ``resamples``.
    """
    power = np.full((2, len(SHARES), len(SEPARATIONS)), np.nan)
    if 4 <= values <= TABLE_END:
        power[:] = 0
        for _ in range(resamples):
            for mixture, share in enumerate(SHARES):
                higher = np.arange(values) < rng.binomial(values, share)
                _, p = dip_tests(rng.standard_normal(values) + SEPARATIONS[:, None] * higher)
                power[:, mixture] += p <= SMALLEST_P, p <= ALPHA
        power /= resamples
    table = {"values": values, "share_of_smaller": np.repeat(SHARES, len(SEPARATIONS))}
    table |= {"separation": np.tile(SEPARATIONS, len(SHARES))}
    table |= {"power_1e5": power[0].ravel(), "power_05": power[1].ravel()}
    return pd.DataFrame(table).assign(resamples=resamples)


def dip_power_table(vocabulary: pd.DataFrame, input_ids: np.ndarray, resamples: int, seed: int) -> pd.DataFrame:
    """:func:`dip_power` at the numbers of types, and of types of short tokens, of a sample; in ``population``.

    Args:
        vocabulary: table of :func:`layerscope.tokenize.vocabulary.vocabulary_table`.
        input_ids: [tokens].
    """
    sample = token_lengths(vocabulary, input_ids)
    types, rng = input_ids[sample.keep], np.random.default_rng(seed)
    sizes = {"types": len(np.unique(types)), "short_types": len(np.unique(types[sample.group == 0]))}
    tables = [dip_power(size, resamples, rng).assign(population=population) for population, size in sizes.items()]
    return pd.concat(tables)[["population", *tables[0].columns[:-1]]]
