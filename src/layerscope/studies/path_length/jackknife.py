"""Jackknife over documents of the summaries of path lengths."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from layerscope.stats.document_clusters import document_clusters
from layerscope.stats.jackknife import Jackknife, effective_number
from layerscope.studies.path_length.comoments import FILTERS, CoMoments, merge, without_each
from layerscope.studies.path_length.moments import mean, r
from layerscope.studies.path_length.sample import PathSample, read_sample

STREAMS = ("attn", "mlp")
SUFFIXES = {"without_first": "", "all": "_all"}  # of statistics → with which tokens
MEANS = {f"length_{name}": f"path_{name}" for name in (*STREAMS, "resid")}
MEANS |= {f"step_{name}": f"step_{name}" for name in STREAMS} | {"cosine": "cosine_attn_mlp"}


@dataclass(frozen=True, eq=False)
class Summary:
    """A statistic of every layer."""

    observed: np.ndarray  # [layers]
    jackknife: np.ndarray  # [layers, groups]
    tokens: int  # that it is over
    clusters: int
    clusters_effective: float


def jackknife_paths(shards: list[str]) -> pd.DataFrame:
    """Summaries of every layer, as observed and for each jackknife resample.

    Args:
        shards: path-length shards of a sample, in order.

    Returns:
        ``statistic``, ``layer``, ``kind`` (``observed``, ``jackknife``), ``resample``, ``value``; ``tokens``, that the
        statistic is over; ``clusters``, the number of clusters of documents, and ``clusters_effective``. Statistics,
        without the first token of each sequence:

        - ``length_attn``, ``length_mlp``, ``length_resid``: mean path lengths
        - ``step_attn``, ``step_mlp``: mean steps
        - ``cosine``: mean cosine between the outputs of attention and MLP
        - ``r_attn``, ``r_mlp``: Pearson's r of their path lengths with that of the residual stream
        - ``rho_attn``, ``rho_mlp``: Spearman's r of the same, over the stored tokens
        - ``r_attn_all`` and so on: r with the first token included
    """
    sample = read_sample(shards)
    found = linear_summaries(sample.comoments) | rank_summaries(sample)
    return pd.concat([_rows(statistic, summary) for statistic, summary in found.items()], ignore_index=True)


def _rows(statistic: str, summary: Summary) -> pd.DataFrame:
    parts = []
    for kind, values in (("observed", summary.observed[:, None]), ("jackknife", summary.jackknife)):
        layer, resample = np.indices(values.shape).reshape(2, -1)
        parts.append(pd.DataFrame({"layer": layer, "kind": kind, "resample": resample, "value": values.ravel()}))
    counts = {name: getattr(summary, name) for name in ("tokens", "clusters", "clusters_effective")}
    table = pd.concat(parts).assign(**counts)
    table.insert(0, "statistic", statistic)
    return table


def linear_summaries(comoments: CoMoments) -> dict[str, Summary]:
    """Means and Pearson's r, from co-moments of groups [filters, clusters]."""
    sizes = comoments.tokens[FILTERS.index("all")]
    # The same documents are left out with and without the first tokens, so that the two can be compared.
    clusters = [comoments.group(slice(None), int(cluster)) for cluster in np.flatnonzero(sizes)]
    every, rest = merge(clusters), without_each(clusters)
    counts = len(clusters), effective_number(sizes)

    def summary(statistic: Callable[[CoMoments], np.ndarray], name: str) -> Summary:
        number = FILTERS.index(name)
        left = np.stack([statistic(part.group(number)) for part in rest], axis=1)
        return Summary(statistic(every.group(number)), left, int(every.tokens[number]), *counts)

    found = {statistic: summary(partial(mean, name=name), "without_first") for statistic, name in MEANS.items()}
    for filter_, suffix in SUFFIXES.items():
        for name in STREAMS:
            found[f"r_{name}{suffix}"] = summary(partial(r, one=f"path_{name}", other="path_resid"), filter_)
    return found


def rank_summaries(sample: PathSample) -> dict[str, Summary]:
    """Spearman's r, from the quantities of the stored tokens."""
    jackknife = Jackknife(document_clusters(sample.tokens.document))
    found = {}
    for filter_, suffix in SUFFIXES.items():
        keep = sample.filters[filter_]
        of_layers = []
        for layers in zip(*(sample.quantities[f"path_{name}"] for name in (*STREAMS, "resid")), strict=True):
            *paths, resid = (path.astype(np.float64) for path in layers)
            with np.errstate(divide="ignore", invalid="ignore"):  # without its only document, nothing is left
                of_layers.append(rank_correlations(np.stack(paths), resid, keep, jackknife))
        for number, name in enumerate(STREAMS):
            observed, left = (np.stack([of[kind][number] for of in of_layers]) for kind in (0, 1))
            found[f"rho_{name}{suffix}"] = Summary(
                observed[:, 0], left, int(keep.sum()), jackknife.clusters, jackknife.effective
            )
    return found


def rank_correlations(
    rows: np.ndarray, y: np.ndarray, keep: np.ndarray, jackknife: Jackknife
) -> tuple[np.ndarray, np.ndarray]:
    """Spearman's r of each of ``rows`` [rows, tokens] with ``y`` over the tokens ``keep``, ranked anew each time.

    Returns:
        Of the sample, [rows, 1], and of each jackknife resample, [rows, groups].
    """
    # Values are sorted once; each resample only changes how often each value occurs.
    counted = [np.unique(of[keep], return_inverse=True, return_counts=True)[1:] for of in (*rows, y)]
    kept = jackknife.groups.labels[keep]
    parts = [np.flatnonzero(kept == group) for group in range(len(jackknife.groups))]
    found = np.stack([_spearman(counted, part) for part in [np.array([], dtype=int), *parts]], axis=1)
    return found[:, :1], found[:, 1:]


def _spearman(counted: list[tuple[np.ndarray, np.ndarray]], part: np.ndarray) -> np.ndarray:
    """Spearman's r of each variable with the last one, without the tokens of ``part``: [variables − 1].

    Args:
        counted: for each variable, the index of each token's value among the distinct values, and their counts.
    """
    ranks = np.stack([_centred_ranks(places, counts, part) for places, counts in counted])
    # Exact, because ranks are multiples of one half: the sum of squares of a constant variable is 0.
    products = ranks @ ranks.T - ranks[:, part] @ ranks[:, part].T
    squares = np.diag(products)
    return products[:-1, -1] / np.sqrt(squares[:-1] * squares[-1])


def _centred_ranks(places: np.ndarray, counts: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Ranks of all tokens except ``part``, ties at their mean rank, minus the mean of all ranks.

    Returns:
        [tokens], without meaning at ``part``.
    """
    left = counts - np.bincount(places[part], minlength=len(counts))
    so_far = np.cumsum(left)
    return (so_far - (left + so_far[-1]) / 2)[places]
