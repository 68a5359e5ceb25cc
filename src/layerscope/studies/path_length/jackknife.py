"""Jackknife over documents of the summaries of path lengths."""

import numpy as np
import pandas as pd

from layerscope.stats.correlation import pearson
from layerscope.stats.jackknife import Jackknife, JackknifePearson, unit
from layerscope.studies.path_length.included_tokens import read_included

Summary = tuple[np.ndarray, np.ndarray]  # a statistic of the sample, and of each jackknife resample


def jackknife_paths(shards: list[str], vocabulary: pd.DataFrame) -> pd.DataFrame:
    """Summaries of every layer, as observed and for each jackknife resample.

    Args:
        shards: path-length shards of a sample, in order.
        vocabulary: table of the sample's tokenizer.

    Returns:
        ``statistic``, ``layer``, ``kind`` (``observed``, ``jackknife``), ``resample``, ``value``; ``clusters``, the
        number of documents, and ``clusters_effective``. Statistics, without the first token of each sequence:

        - ``length_attn``, ``length_mlp``, ``length_resid``: mean path lengths
        - ``step_attn``, ``step_mlp``: mean steps
        - ``cosine``: mean cosine between the outputs of attention and MLP
        - ``r_attn``, ``r_mlp``: Pearson's r of their path lengths with that of the residual stream
        - ``rho_attn``, ``rho_mlp``: Spearman's r of the same
        - ``r_attn_all`` and so on: r with the first token included
    """
    values, tokens = read_included(shards, vocabulary)
    # The same documents are left out with and without the first tokens, so that the two can be compared.
    jackknife = Jackknife(tokens.document)
    parts = []
    with np.errstate(divide="ignore", invalid="ignore"):  # without its only document, nothing is left
        for layer in range(len(values["path_resid"])):
            of = {name: array[layer].astype(np.float64) for name, array in values.items()}
            found = layer_summaries(of, tokens.position > 0, jackknife)
            for i, kind in enumerate(("observed", "jackknife")):
                table = pd.DataFrame({statistic: drawn[i] for statistic, drawn in found.items()})
                table = table.assign(resample=table.index, layer=layer, kind=kind)
                parts.append(table.melt(["layer", "kind", "resample"], var_name="statistic"))
    return pd.concat(parts, ignore_index=True).assign(
        clusters=jackknife.clusters, clusters_effective=jackknife.effective
    )


def layer_summaries(of: dict[str, np.ndarray], after_first: np.ndarray, jackknife: Jackknife) -> dict[str, Summary]:
    """The statistics of :func:`jackknife_paths` for one layer.

    Args:
        of: quantities [tokens].
        after_first: [tokens], bool, false for the first token of each sequence.
    """
    means_of = {f"length_{name}": f"path_{name}" for name in ("attn", "mlp", "resid")}
    means_of |= {f"step_{name}": f"step_{name}" for name in ("attn", "mlp")} | {"cosine": "cosine_attn_mlp"}
    found = {statistic: means(of[name], after_first, jackknife) for statistic, name in means_of.items()}
    paths = np.stack([of["path_attn"], of["path_mlp"]])
    for suffix, keep in (("", after_first), ("_all", np.ones_like(after_first))):
        r = correlations(paths, of["path_resid"], keep, jackknife)
        rho = rank_correlations(paths, of["path_resid"], keep, jackknife)
        for i, name in enumerate(("attn", "mlp")):
            found[f"r_{name}{suffix}"] = r[0][i], r[1][i]
            found[f"rho_{name}{suffix}"] = rho[0][i], rho[1][i]
    return found


def means(x: np.ndarray, keep: np.ndarray, jackknife: Jackknife) -> Summary:
    """Mean of ``x`` [tokens] over the tokens ``keep``."""
    return np.array([x[keep].mean()]), jackknife.means(x, keep)


def correlations(rows: np.ndarray, y: np.ndarray, keep: np.ndarray, jackknife: Jackknife) -> Summary:
    """Pearson's r of each of ``rows`` [rows, tokens] with ``y`` over the tokens ``keep``.

    Returns:
        [rows, 1] and [rows, groups].
    """
    units = np.zeros((len(rows) + 1, len(y)))
    units[:, keep] = unit(np.stack([*rows, y])[:, keep])
    observed = pearson(rows[:, keep], y[keep])[:, None]
    return observed, JackknifePearson(jackknife, units[-1], keep).of(units[:-1])


def rank_correlations(rows: np.ndarray, y: np.ndarray, keep: np.ndarray, jackknife: Jackknife) -> Summary:
    """Spearman's r of each of ``rows`` [rows, tokens] with ``y`` over the tokens ``keep``, ranked anew each time.

    Returns:
        [rows, 1] and [rows, groups].
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
