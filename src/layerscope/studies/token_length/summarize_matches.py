"""Matched neurons of pairs of models, summarised by layer."""

from typing import Any

import numpy as np
import pandas as pd

from layerscope.io.tables import read_table
from layerscope.stats.intervals import student_quantile
from layerscope.stats.jackknife import jackknife_error
from layerscope.stats.relative_depth import relative_depth
from layerscope.studies.token_length.match_columns import MEASURES, without
from layerscope.studies.token_length.profiles import QUANTILES


def matches_table(pairs: dict[tuple[str, str], list[str]]) -> pd.DataFrame:
    """matches.csv: one row per pair of models, layer of the first and layer of the second.

    Args:
        pairs: (model, other) → paths of the tables of :func:`token_length.match_layer.match_layer`, one per
            layer of the other model, in order.

    Returns:
        ``model``, ``other``, ``layer``, ``relative_depth``, ``other_layer``, ``neurons`` (of the layer, that vary);
        ``share``, of them, whose best match of all layers is in ``other_layer``. The same in all rows of a
        layer: quantiles over its neurons of the best r, ``r_q05`` to ``r_q95``, and of the best r with rotated layers,
        averaged over rotations, ``rotated_q05`` to ``rotated_q95``; ``excess``, the mean of the first minus the second,
        with its 95% interval, ``excess_low`` and ``excess_high`` (NaN for one run), and ``runs``, how many runs of
        documents that interval is from.
    """
    rows: list[dict[str, Any]] = []
    for (model, other), paths in pairs.items():
        best = best_of_layers(paths)
        best = best[best["r"].notna()]
        layers = best["layer"].max() + 1
        for layer, found in best.groupby("layer"):
            row = {"model": model, "other": other, "layer": layer, "relative_depth": relative_depth(layer, layers)}
            row |= {"neurons": len(found), **excess(found)}
            for q, name in QUANTILES.items():
                row |= {f"r_{name}": found["r"].quantile(q), f"rotated_{name}": found["r_rotated"].quantile(q)}
            shares = found["other_layer"].value_counts(normalize=True).reindex(range(len(paths)), fill_value=0.0)
            rows += [row | {"other_layer": i, "share": share} for i, share in shares.items()]
    return pd.DataFrame(rows)


def best_of_layers(paths: list[str]) -> pd.DataFrame:
    """Matches of the neurons of a model with all layers of another: of each measure that of the layer it is largest in.

    Returns:
        ``layer``, ``neuron``, ``other_layer``; ``r`` and ``r_rotated`` (the average over rotations), and both with each
        run of documents left out, ``{measure}_without_{run}``; ``r_rotated_{rotation}``. NaN for a neuron that never
        varies.
    """
    place, runs = pd.DataFrame(), 0
    best: dict[str, np.ndarray] = {}  # measure → [neurons, 1 + runs], all documents first
    for other_layer, path in enumerate(paths):
        table = read_table(path)
        if other_layer == 0:
            place = table[["layer", "neuron"]].assign(other_layer=-1)
            runs = sum(name.startswith("r_without_") for name in table)
            best = {measure: np.full((len(table), 1 + runs), -np.inf) for measure in MEASURES}
        for measure, found in best.items():
            here = table[[measure, *(without(measure, run) for run in range(runs))]].to_numpy()
            better = here[:, 0] > found[:, 0]
            found[better] = here[better]
            if measure == "r":
                place.loc[better, "other_layer"] = other_layer
    best["r_rotated"] = np.mean([best[measure] for measure in MEASURES[1:]], axis=0)
    for measure, values in best.items():
        values[np.isinf(values[:, 0])] = np.nan
        place[measure] = values[:, 0]
    jackknife = {
        without(measure, run): best[measure][:, 1 + run] for measure in ("r", "r_rotated") for run in range(runs)
    }
    return place.assign(**jackknife)


def excess(found: pd.DataFrame) -> dict[str, float]:
    """Mean over neurons of r minus that with rotated layers, and its 95% interval.

    The variance is that of the jackknife over documents plus that of the mean over rotations.

    Args:
        found: rows of :func:`best_of_layers`.
    """
    runs = sum(name.startswith("r_without_") for name in found)
    value = float((found["r"] - found["r_rotated"]).mean())
    of_runs = [found[without("r", run)] - found[without("r_rotated", run)] for run in range(runs)]
    # The same neurons in every run: those that still vary whatever is left out.
    jackknife = pd.concat(of_runs, axis=1).dropna().mean().to_numpy()
    of_rotations = found[list(MEASURES[1:])].mean()
    error = np.sqrt(jackknife_error(jackknife) ** 2 + of_rotations.var() / len(of_rotations))
    width = student_quantile(runs - 1) * float(error)
    return {"excess": value, "excess_low": value - width, "excess_high": value + width, "runs": runs}
