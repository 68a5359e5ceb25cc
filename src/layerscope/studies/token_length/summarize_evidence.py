"""Resampled layers to one table of evidence: each summary of r with its interval and its null."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from layerscope.io.tables import read_table
from layerscope.stats.intervals import null_band, null_p
from layerscope.stats.jackknife import jackknife_error
from layerscope.stats.jackknife_interval import half_width
from layerscope.stats.multiple_testing import passes, share
from layerscope.stats.relative_depth import relative_depth


def evidence_table(neurons: dict[str, list[str]], resamples: dict[str, list[str]]) -> pd.DataFrame:
    """evidence.csv: one row per model, layer, measure and statistic.

    Args:
        neurons: model → paths of its layers' tables of neurons of :func:`token_length.resample_layer.resample_layer`,
            in the order of the layers.
        resamples: model → likewise of the tables of resamples.

    Returns:
        ``model``, ``layer``, ``relative_depth``, ``measure``, ``statistic``, ``value``; ``std_error``, ``low`` and
        ``high``, the 95% interval, and ``clustered_by`` and ``clusters``, what its jackknife leaves out and how many
        there are (``documents``: of this vocabulary on other text of this kind; ``types``: of new token types);
        ``null_low``, ``null_high``, the 95% band of the null, and ``p`` (two-sided); ``tokens``, ``types``,
        ``documents``. The statistics ``significant_bh`` and ``significant_by`` are the share of a layer's neurons that
        pass at a false discovery rate of 5% over all neurons of the model (Benjamini and Hochberg; Benjamini and
        Yekutieli, under any dependence); they have only a value.
    """
    return pd.concat(
        (
            evidence_of(model, [read_table(path) for path in paths], map(read_table, resamples[model]))
            for model, paths in neurons.items()
        ),
        ignore_index=True,
    )


def evidence_of(model: str, neurons: list[pd.DataFrame], resamples: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """The rows of :func:`evidence_table` of one model, from the tables of its layers."""
    rows: list[dict[str, Any]] = []
    passing = discoveries(neurons)
    for layer, drawn in enumerate(resamples):
        counts = {key: int(drawn[key].iloc[0]) for key in ("tokens", "types", "documents")}
        place = {"model": model, "layer": layer, "relative_depth": relative_depth(layer, len(neurons))}
        for row in [*_summaries(drawn), *passing[layer]]:
            rows.append(place | row | counts)
    columns = ["model", "layer", "relative_depth", "measure", "statistic", "value", "std_error", "low", "high"]
    columns += ["clustered_by", "clusters", "null_low", "null_high", "p", "tokens", "types", "documents"]
    return pd.DataFrame(rows, columns=columns)


def _summaries(drawn: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Rows of one layer, from its table of resamples."""
    for (measure, statistic), rows in drawn.groupby(["measure", "statistic"], sort=False):
        kinds = {kind: values.to_numpy() for kind, values in rows.groupby("kind")["value"]}
        value = float(kinds["observed"][0])
        row = {"measure": measure, "statistic": statistic, "value": value}
        if "jackknife" in kinds:
            width = float(half_width(kinds["jackknife"], rows["clusters_effective"].iloc[0] - 1))
            row |= {
                "std_error": float(jackknife_error(kinds["jackknife"])),
                "low": value - width,
                "high": value + width,
            }
            row["clustered_by"] = "types" if measure == "r_types" else "documents"
            row["clusters"] = int(rows["clusters"].iloc[0])
        if "null" in kinds:
            row["p"] = null_p(value, kinds["null"])
            row["null_low"], row["null_high"] = null_band(kinds["null"])
        yield row


def discoveries(tables: list[pd.DataFrame]) -> list[list[dict[str, Any]]]:
    """For each layer, the share of neurons that pass when all neurons of a model are tested at once."""
    layers = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
    rows: list[list[dict[str, Any]]] = [[] for _ in tables]
    for measure, column in (("r", "p"), ("r_given_all", "p_given_all")):
        p = np.concatenate([table[column] for table in tables])
        for method in ("bh", "by"):
            passed = passes(p, method)
            for layer in range(len(tables)):
                value = share(passed[~np.isnan(p) & (layers == layer)])
                rows[layer].append({"measure": measure, "statistic": f"significant_{method}", "value": value})
    return rows
