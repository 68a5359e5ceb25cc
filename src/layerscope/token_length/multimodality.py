"""Tested layers to one table of how many neurons have more than one mode, over all models."""

from typing import Any

import numpy as np
import pandas as pd

from layerscope.depth import relative_depth
from layerscope.inference import ALPHA, passes, share
from layerscope.tables import read_table
from layerscope.token_length.modality import POPULATIONS

UNIFORM = 5 / 9  # the bimodality coefficient of a uniform distribution


def multimodality_table(neurons: dict[str, list[str]], unimodal: dict[str, list[str]]) -> pd.DataFrame:
    """modality.csv: one row a model, layer and population.

    Args:
        neurons: model → paths of its layers' tables of neurons of
            :func:`layerscope.token_length.modality.modality_of_layer`, in the order of the layers.
        unimodal: likewise of made-up neurons with one mode.

    Returns:
        ``model``, ``layer``, ``relative_depth``, ``population``, ``neurons`` (that vary); shares of them: ``share``
        whose dip has p <= 5 %, ``share_bh``, ``share_by`` and ``share_holm`` that pass when all neurons of the model
        are tested at once (Benjamini and Hochberg, Benjamini and Yekutieli, Holm), ``share_coefficient`` with a
        bimodality coefficient above 5/9 (over tokens only); ``share_unimodal`` and ``share_coefficient_unimodal``, the
        same of neurons made up with one mode. Shares of a population without p are NaN: nobody knows who passes.
    """
    rows: list[dict[str, Any]] = []
    for model, paths in neurons.items():
        tables = [read_table(path) for path in paths]
        of_layer = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
        joined = pd.concat(tables, ignore_index=True)
        passing = {
            population: {f"share_{m}": passes(joined[f"p_{population}"].to_numpy(), m) for m in ("bh", "by", "holm")}
            for population in POPULATIONS
        }
        for layer, path in enumerate(unimodal[model]):
            made_up, here = read_table(path), of_layer == layer
            for population in POPULATIONS:
                varies = here & joined[f"dip_{population}"].notna().to_numpy()
                tested = here & joined[f"p_{population}"].notna().to_numpy()
                row = {"model": model, "layer": layer, "relative_depth": relative_depth(layer, len(paths))}
                row |= {"population": population, "neurons": int(varies.sum())}
                row["share"] = share(joined.loc[tested, f"p_{population}"] <= ALPHA)
                row["share_unimodal"] = share(made_up[f"p_{population}"].dropna() <= ALPHA)
                row |= {key: share(passed[tested]) for key, passed in passing[population].items()}
                if (column := f"bimodality_{population}") in joined:
                    row["share_coefficient"] = share(joined.loc[varies, column] > UNIFORM)
                    row["share_coefficient_unimodal"] = share(made_up[column] > UNIFORM)
                rows.append(row)
    return pd.DataFrame(rows)
