"""Assessed layers to one table of evidence: each summary of r with its interval, and what chance gives."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from layerscope.depth import relative_depth
from layerscope.inference import ALPHA, passes, share, student_quantile
from layerscope.resampling import KINDS, two_way_error
from layerscope.tables import read_table
from layerscope.token_length.summaries import MEASURES, RESAMPLED, SHIFT, STATISTICS


def evidence_table(neurons: dict[str, list[str]], draws: dict[str, list[str]]) -> pd.DataFrame:
    """evidence.csv: one row a model, layer, measure and statistic.

    Args:
        neurons: model → paths of its layers' tables of neurons of :func:`layerscope.token_length.assess.assess_layer`,
            in the order of the layers.
        draws: likewise of draws.

    Returns:
        ``model``, ``layer``, ``relative_depth``, ``measure``, ``statistic``, ``value``; ``std_error``, ``low`` and
        ``high`` (95 % interval, where the measure is resampled); ``chance_low``, ``chance_high`` (2.5 and 97.5 % of
        the draws of chance) and ``p`` (two-sided); ``tokens``, ``types``, ``sequences``. The statistics
        ``significant_bh`` and ``significant_by`` are the share of a layer's neurons that pass at a false discovery
        rate of 5 % over all neurons of the model (Benjamini and Hochberg; Benjamini and Yekutieli, under any
        dependence); they have a value alone.
    """
    rows: list[dict[str, Any]] = []
    for model, paths in neurons.items():
        tables = [read_table(path) for path in paths]
        passing = discoveries(tables)
        for layer, path in enumerate(draws[model]):
            drawn = read_table(path)
            counts = {key: int(drawn[key].iloc[0]) for key in ("tokens", "types", "sequences")}
            place = {"model": model, "layer": layer, "relative_depth": relative_depth(layer, len(paths))}
            for row in [*_summaries(drawn), *passing[layer]]:
                rows.append(place | row | counts)
    columns = ["model", "layer", "relative_depth", "measure", "statistic", "value", "std_error", "low", "high"]
    return pd.DataFrame(rows, columns=[*columns, "chance_low", "chance_high", "p", "tokens", "types", "sequences"])


def _summaries(drawn: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Rows of one layer, from its table of draws."""
    for measure in (*MEASURES, SHIFT):
        freedom = drawn.loc[drawn["measure"] == measure, ["sequences", "types_effective"]].iloc[0].min() - 1
        kinds = dict(iter(drawn[drawn["measure"] == measure].groupby("kind")))
        for statistic in STATISTICS if measure != SHIFT else ("mean",):
            value = float(kinds["observed"][statistic].iloc[0])
            chance = kinds["chance"][statistic].to_numpy()
            row = {"measure": measure, "statistic": statistic, "value": value, "p": p_of_draws(value, chance)}
            row["chance_low"], row["chance_high"] = np.quantile(chance, [ALPHA / 2, 1 - ALPHA / 2])
            if measure in (*RESAMPLED, SHIFT):
                error = two_way_error(*(kinds[kind][statistic].to_numpy() for kind in KINDS))
                reach = error * student_quantile(freedom)
                row |= {"std_error": error, "low": value - reach, "high": value + reach}
            yield row


def p_of_draws(value: float, chance: np.ndarray) -> float:
    """Share of the draws, the value counted among them, that lie as far from their mean as the value."""
    if np.isnan(value):
        return np.nan
    middle = chance.mean()
    return float((1 + (np.abs(chance - middle) >= abs(value - middle)).sum()) / (1 + len(chance)))


def discoveries(tables: list[pd.DataFrame]) -> list[list[dict[str, Any]]]:
    """Of each layer, the share of neurons that pass when all neurons of a model are tested at once."""
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
