"""Tested layers to one table of how many neurons are multimodal, over all models."""

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from layerscope.io.tables import read_table
from layerscope.stats.intervals import ALPHA
from layerscope.stats.multiple_testing import at_least, passes, share
from layerscope.stats.relative_depth import relative_depth
from layerscope.studies.token_length.dip_test import SMALLEST_P
from layerscope.studies.token_length.measures import POPULATIONS

INDEPENDENT = ("types", "short_types")  # populations of values as independent as the p of the dip test takes them to be
UNIFORM = 5 / 9  # the bimodality coefficient of a uniform distribution


def multimodality_table(neurons: dict[str, list[str]], simulated: dict[str, list[str]]) -> pd.DataFrame:
    """multimodality.csv: one row per model, layer and population.

    Args:
        neurons: model → paths of its layers' tables of neurons of
            :func:`token_length.unimodality_test.unimodality_tests`, in the order of the layers.
        simulated: likewise of simulated unimodal neurons.

    Returns:
        ``model``, ``layer``, ``relative_depth``, ``population``, ``neurons`` (that vary); shares of them: ``share`` and
        ``share_1e5`` whose dip has p <= 5% and p <= 1e-5; ``share_at_least``, a lower bound of the share that is
        multimodal, with 95% confidence for the layer (:func:`.multiple_testing.at_least`; over types only);
        ``share_bh`` and ``share_by`` that pass when all neurons of the model are tested at once (Benjamini-Hochberg,
        Benjamini-Yekutieli); ``share_coefficient`` with a bimodality coefficient above 5/9 (over tokens only).
        ``share_unimodal`` and ``share_coefficient_unimodal`` are ``share`` and ``share_coefficient`` of simulated
        unimodal neurons, the former with its 95% interval, ``share_unimodal_low`` and ``share_unimodal_high`` (Clopper
        and Pearson). ``dip_median`` and ``dip_q95`` are the median and the 95th percentile of the dip,
        ``dip_median_unimodal`` and ``dip_q95_unimodal`` those of simulated unimodal neurons. Shares of a population
        without p are NaN.
    """
    rows: list[dict[str, Any]] = []
    for model, paths in neurons.items():
        tables = [read_table(path) for path in paths]
        of_layer = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
        joined = pd.concat(tables, ignore_index=True)
        passing = {
            population: {f"share_{m}": passes(joined[f"p_{population}"].to_numpy(), m) for m in ("bh", "by")}
            for population in POPULATIONS
        }
        for layer, path in enumerate(simulated[model]):
            simulated_here, here = read_table(path), of_layer == layer
            for population in POPULATIONS:
                varies = here & joined[f"dip_{population}"].notna().to_numpy()
                tested = here & joined[f"p_{population}"].notna().to_numpy()
                row = {"model": model, "layer": layer, "relative_depth": relative_depth(layer, len(paths))}
                row |= {"population": population, "neurons": int(varies.sum())}
                p = joined.loc[tested, f"p_{population}"]
                strict = share(p <= SMALLEST_P)
                row |= {"share": share(p <= ALPHA), "share_1e5": strict}
                if population in INDEPENDENT:
                    row["share_at_least"] = at_least(strict, SMALLEST_P)
                row |= unimodal_shares(simulated_here[f"p_{population}"].dropna() <= ALPHA)
                row |= {key: share(passed[tested]) for key, passed in passing[population].items()}
                if (column := f"bimodality_{population}") in joined:
                    row["share_coefficient"] = share(joined.loc[varies, column] > UNIFORM)
                    row["share_coefficient_unimodal"] = share(simulated_here[column] > UNIFORM)
                for suffix, dips in (("", joined.loc[varies]), ("_unimodal", simulated_here)):
                    dip = dips[f"dip_{population}"]
                    row |= {f"dip_median{suffix}": dip.median(), f"dip_q95{suffix}": dip.quantile(0.95)}
                rows.append(row)
    return pd.DataFrame(rows)


def unimodal_shares(passed: pd.Series) -> dict[str, float]:
    """The share of simulated unimodal neurons that passes, and its 95% interval, since they are few."""
    low, high = np.nan, np.nan
    if len(passed):
        low, high = binomtest(int(passed.sum()), len(passed)).proportion_ci(1 - ALPHA)
    return {"share_unimodal": share(passed), "share_unimodal_low": low, "share_unimodal_high": high}
