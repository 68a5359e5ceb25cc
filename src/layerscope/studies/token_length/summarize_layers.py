"""Tables of neurons to one table of layers, over all models."""

from typing import Any

import pandas as pd

from layerscope.io.tables import read_table
from layerscope.stats.relative_depth import relative_depth


def layer_row(model: str, layer: int, layers: int, neurons: pd.DataFrame) -> dict[str, Any]:
    """Summary of one layer's neurons.

    Args:
        neurons: table of :func:`token_length.correlate_layer.correlate_layer`.

    Returns:
        One row of layers.csv. Neurons that never vary have no r: they are left out of its summaries and counted in
        ``neurons_constant``.
    """
    r = neurons["r_pearson"].dropna()
    rho = neurons["r_spearman"].dropna()
    return {
        "model": model,
        "layer": layer,
        "relative_depth": relative_depth(layer, layers),
        "neurons": len(neurons),
        "neurons_constant": int(neurons["r_pearson"].isna().sum()),
        "tokens": int(neurons["tokens"].iloc[0]),
        "tokens_stored": int(neurons["tokens_stored"].iloc[0]),
        "r_mean": r.mean(),
        "r_q05": r.quantile(0.05),
        "r_q25": r.quantile(0.25),
        "r_median": r.median(),
        "r_q75": r.quantile(0.75),
        "r_q95": r.quantile(0.95),
        "r_std": r.std(),
        "fraction_positive": (r > 0).mean() if len(r) else float("nan"),
        "spearman_mean": rho.mean(),
        "spearman_median": rho.median(),
        "spearman_std": rho.std(),
        "activation_mean": neurons["mean"].mean(),
        "activation_std": neurons["std"].mean(),
        "activation_mean_short": neurons["mean_short"].mean(),
        "activation_mean_median": neurons["mean_median"].mean(),
        "activation_mean_long": neurons["mean_long"].mean(),
    }


def layers_table(tables: dict[str, list[str]]) -> pd.DataFrame:
    """layers.csv: one row per model and layer.

    Args:
        tables: model → paths of its layers' neuron tables, in the order of the layers.
    """
    return pd.DataFrame(
        [
            layer_row(model, layer, len(paths), read_table(path))
            for model, paths in tables.items()
            for layer, path in enumerate(paths)
        ]
    )
