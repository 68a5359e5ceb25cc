"""Tests of the activations of a neuron for unimodality: dip test, bimodality coefficient, and histograms."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from layerscope.extract.activation_shards import LayerReader
from layerscope.stats.bins import bins_of
from layerscope.stats.correlation import central_moments, moments, varies
from layerscope.stats.few_rows import few_rows
from layerscope.stats.jackknife import Groups
from layerscope.studies.token_length import SITE
from layerscope.studies.token_length.dip_test import dip_tests
from layerscope.studies.token_length.length_groups import GROUPS, POOLED, TokenLengths, token_lengths
from layerscope.studies.token_length.measures import POPULATIONS

TOP = 4  # neurons of a layer whose own histograms are kept
EDGES = np.linspace(-6, 6, 121)  # of the pooled histogram, in standard deviations of each neuron
NEURON_BINS = 60


def unimodality_tests(
    shards: list[str], vocabulary: pd.DataFrame, layer: int, resamples: int, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Test the neurons of one layer for unimodality.

    Args:
        shards: activation shards of the sample, in order.
        vocabulary: table of :func:`layerscope.tokenize.vocabulary.vocabulary_table`.
        layer: which one.
        resamples: how many unimodal neurons are simulated for comparison.
        seed: seed of the simulation.

    Returns:
        Three tables. Of neurons: ``neuron``, ``icc`` (intraclass correlation of token types), for each of
        ``POPULATIONS`` ``dip_{population}`` and ``p_{population}``, and ``bimodality_tokens`` and
        ``bimodality_short_tokens``; NaN for neurons that never vary, and p for more than ``TABLE_END`` values. The same
        of simulated unimodal neurons, see :func:`simulate_unimodal`, whose ``icc`` are drawn from the layer's. Of
        histograms: ``neuron`` (-1: all, each standardised), ``left``, ``right``, and the counts ``short``, ``median``,
        ``long``; that of all has a bin from -inf and one to inf, and of single neurons there are only the few of
        largest ``dip_types``.

    Raises:
        UserError: a shard is damaged, or they and the tables of their tokens are not of one run.
    """
    with LayerReader(shards, SITE, layer, [vocabulary]) as reader:
        input_ids = reader.tokens().input_ids
        sample = token_lengths(vocabulary, input_ids)
        of = Populations.of(sample, input_ids[sample.keep])
        pooled = np.zeros((3, len(EDGES) + 1), dtype=np.int64)
        parts, top = [], pd.DataFrame({"dip_types": []})
        rows_of_top: dict[int, np.ndarray] = {}
        for start, values in reader.blocks(sample.keep):
            part = dip_table(values, of, pooled).set_index(np.arange(start, start + len(values)))
            parts.append(part)
            top = pd.concat([top, part[["dip_types"]]]).nlargest(TOP, "dip_types")
            rows_of_top = {n: values[n - start].astype(np.float64) if n >= start else rows_of_top[n] for n in top.index}
    neurons = pd.concat(parts).rename_axis("neuron").reset_index()
    rng = np.random.default_rng(seed)
    icc = rng.choice(neurons["icc"].dropna(), resamples) if neurons["icc"].notna().any() else np.zeros(resamples)
    histograms = [histogram_table(POOLED, np.r_[-np.inf, EDGES, np.inf], pooled)]
    for neuron, row in rows_of_top.items():
        edges = np.linspace(row.min(), row.max(), NEURON_BINS + 1)
        histograms.append(histogram_table(neuron, edges, by_group(row[None], sample.group, edges)))
    unimodal = dip_table(simulate_unimodal(icc, of.types, rng), of)
    return neurons, unimodal, pd.concat(histograms, ignore_index=True)


@dataclass(frozen=True)
class Populations:
    """What is tested for unimodality: tokens or means of types, all of them or the short ones."""

    types: Groups
    group: np.ndarray  # [tokens], of length
    short: np.ndarray  # [tokens], bool
    short_types: np.ndarray  # [types], bool

    @classmethod
    def of(cls, sample: TokenLengths, types: np.ndarray) -> "Populations":
        groups = Groups(types)
        short = sample.group == 0
        return cls(groups, sample.group, short, short[groups.first])


def dip_table(rows: np.ndarray, of: Populations, pooled: np.ndarray | None = None) -> pd.DataFrame:
    """Dips and bimodality coefficients of neurons [neurons, tokens], one row per neuron.

    Over tokens, tokens of a type lie close together, and a frequent type can be a mode of its own. Over types, each
    counts once, by its mean: these are the independent values that the p of the dip test assumes.

    Args:
        pooled: counts to which the standardised values are added, as :func:`with_tails` gives them.
    """
    parts = [_dips(some, of, pooled) for some in few_rows(rows)]
    result = pd.DataFrame({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
    result[~varies(rows)] = np.nan
    return result


def _dips(stored: np.ndarray, of: Populations, pooled: np.ndarray | None) -> dict[str, np.ndarray]:
    """The columns of :func:`dip_table`.

    Args:
        stored: [neurons, tokens], which are sorted in the precision that they are stored in.
    """
    rows = stored.astype(np.float64)
    means = of.types.means(rows)
    short = stored.compress(of.short, axis=1)  # many times faster than an index
    values = dict(zip(POPULATIONS, (stored, short, means, means.compress(of.short_types, axis=1)), strict=True))
    middle = rows.mean(axis=1, keepdims=True)
    rows -= middle
    of_tokens = central_moments(rows)
    of_short = moments(rows.compress(of.short, axis=1))
    moments_of = {"tokens": of_tokens, "short_tokens": of_short}
    total = of_tokens["std"] ** 2 * (rows.shape[1] - 1)
    table = {"icc": intraclass_correlation(total, means - middle, of.types)}
    for population, x in values.items():
        table[f"dip_{population}"], table[f"p_{population}"] = dip_tests(x)
        if population in moments_of:
            table[f"bimodality_{population}"] = bimodality_coefficient(moments_of[population], x.shape[1])
    if pooled is not None:
        with np.errstate(divide="ignore", invalid="ignore"):
            rows /= (of_tokens["std"] * np.sqrt(1 - 1 / rows.shape[1]))[:, None]
        pooled += with_tails(rows, of.group)
    return table


def bimodality_coefficient(biased: Mapping[str, np.ndarray], n: int) -> np.ndarray:
    """(skewness² + 1) / (excess kurtosis + 3 (n-1)²/((n-2)(n-3))) of n values, from unbiased moments (SAS).

    5/9 for a uniform distribution, 1/3 for a normal one; skewed unimodal data can exceed 5/9.

    Args:
        biased: as :func:`layerscope.stats.correlation.moments` gives.
    """
    if n < 4:
        return np.full(len(biased["skewness"]), np.nan)
    skewness = biased["skewness"] * np.sqrt(n * (n - 1)) / (n - 2)
    kurtosis = (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * biased["kurtosis"] + 6)
    return (skewness**2 + 1) / (kurtosis + 3 * (n - 1) ** 2 / ((n - 2) * (n - 3)))


def intraclass_correlation(total: np.ndarray, means: np.ndarray, types: Groups) -> np.ndarray:
    """Intraclass correlation of types, the share of variance between them, by analysis of variance of unequal groups.

    Args:
        total: sum of squares about the mean over tokens, [neurons].
        means: of the types minus that mean, [neurons, types].

    Returns:
        [neurons], 0 to 1; NaN for a neuron that never varies.
    """
    tokens, groups = len(types.labels), len(types)
    between = (means**2 @ types.sizes) / max(1, groups - 1)
    within = np.maximum(0, total - between * (groups - 1)) / max(1, tokens - groups)
    size = (tokens - (types.sizes**2).sum() / tokens) / max(1, groups - 1)
    with np.errstate(invalid="ignore"):
        return np.clip((between - within) / (between + (size - 1) * within), 0, 1)


def simulate_unimodal(icc: np.ndarray, types: Groups, rng: np.random.Generator) -> np.ndarray:
    """Simulated unimodal neurons, normal values with a given intraclass correlation of types: [neurons, tokens].

    Args:
        icc: [neurons].
    """
    between = rng.standard_normal((len(icc), len(types)))
    rows = rng.standard_normal((len(icc), len(types.labels)))
    for row, of_types, share in zip(rows, between, icc, strict=True):
        row *= np.sqrt(1 - share)
        row += np.sqrt(share) * of_types[types.labels]
    return rows


def by_group(rows: np.ndarray, group: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Counts of values [neurons, tokens] by length group and bin (of equal width), pooled over neurons: [3, bins]."""
    span = (edges[0], edges[-1])  # numpy is many times faster when it knows that bins are of equal width
    return np.stack([np.histogram(rows[:, group == i], len(edges) - 1, span)[0] for i in range(3)])


def with_tails(rows: np.ndarray, group: np.ndarray) -> np.ndarray:
    """:func:`by_group` of ``EDGES``, between the counts of the values below and above: [3, bins + 2].

    Args:
        rows: which are overwritten.
    """
    bins, constant = len(EDGES) - 1, np.isnan(rows[:, 0])
    if constant.any():  # else without a copy
        rows = rows[~constant]
    width = (EDGES[-1] - EDGES[0]) / bins
    of_value = bins_of(rows, EDGES[0] - width, width, bins + 1)
    of_value += group.astype(np.intp) * (bins + 2)
    return np.bincount(of_value.ravel(), minlength=3 * (bins + 2)).reshape(3, -1)


def histogram_table(neuron: int, edges: np.ndarray, counts: np.ndarray) -> pd.DataFrame:
    """One row per bin; ``counts`` [3, bins]."""
    table = {"neuron": neuron, "left": edges[:-1], "right": edges[1:], **dict(zip(GROUPS, counts, strict=True))}
    return pd.DataFrame(table)
