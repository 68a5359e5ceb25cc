"""Two models side by side: matched neurons by layer, and profiles of r on relative depth."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from layerscope.depth import relative_depth
from layerscope.tables import read_table
from layerscope.token_length.summaries import of_measure

CHANCE = ("chance_low", "chance_high")
QUANTILES = {0.05: "q05", 0.25: "q25", 0.5: "median", 0.75: "q75", 0.95: "q95"}


def matches_table(pairs: dict[tuple[str, str], list[str]]) -> pd.DataFrame:
    """matches.csv: one row a pair of models, layer of the first and layer of the second.

    Args:
        pairs: (model, other) → paths of the tables of :func:`layerscope.token_length.matching.match_layer`, a table a
            layer of the other model, in order.

    Returns:
        ``model``, ``other``, ``layer``, ``relative_depth``, ``other_layer``, ``neurons`` (of the layer, that vary);
        ``share``, of them, of those whose best match of all layers is in ``other_layer``. The same in all rows of a
        layer: quantiles over its neurons of the best r, ``r_q05`` to ``r_q95``, and of the best r with rotated layers,
        ``rotated_q05`` to ``rotated_q95``, and ``excess``, the mean of the first less the second.
    """
    rows: list[dict[str, Any]] = []
    for (model, other), paths in pairs.items():
        tables = pd.concat(map(read_table, paths)).dropna()
        of_neuron = tables.groupby(["layer", "neuron"])
        best = tables.loc[tables.groupby(["layer", "neuron"])["r"].transform("max") == tables["r"]]
        best = best.drop_duplicates(["layer", "neuron"]).set_index(["layer", "neuron"])
        best["r_rotated"] = of_neuron["r_rotated"].max()
        layers = best.index.get_level_values("layer").max() + 1
        for layer, found in best.groupby("layer"):
            row = {"model": model, "other": other, "layer": layer, "relative_depth": relative_depth(layer, layers)}
            row |= {"neurons": len(found), "excess": (found["r"] - found["r_rotated"]).mean()}
            for q, name in QUANTILES.items():
                row |= {f"r_{name}": found["r"].quantile(q), f"rotated_{name}": found["r_rotated"].quantile(q)}
            shares = found["other_layer"].value_counts(normalize=True).reindex(range(len(paths)), fill_value=0.0)
            rows += [row | {"other_layer": i, "share": share} for i, share in shares.items()]
    return pd.DataFrame(rows)


def profiles_table(layers: pd.DataFrame, evidence: pd.DataFrame, pairs: list[list[str]]) -> pd.DataFrame:
    """profiles.csv: quantiles of r over neurons of two models, at the relative depths of the one with fewer layers.

    Widths differ, so quantiles over the neurons of a layer are compared; between two layers they run along a line.

    Args:
        layers: layers.csv.
        evidence: evidence.csv.

    Returns:
        ``model``, ``other``, ``relative_depth``, ``quantile``, ``r``, ``other_r``, ``difference`` (other less model);
        of the median also 95 % of chance: ``chance_low``, ``chance_high``, ``other_chance_low``, ``other_chance_high``.
    """
    return pd.DataFrame([row for pair in pairs for row in _profiles(layers, evidence, *pair)])


def _profiles(layers: pd.DataFrame, evidence: pd.DataFrame, model: str, other: str) -> Iterator[dict[str, Any]]:
    tables = {"": layers[layers["model"] == model], "other_": layers[layers["model"] == other]}
    chance = {"": of_measure(evidence, "r", "median", model), "other_": of_measure(evidence, "r", "median", other)}
    grid = common_depths(*tables.values())
    for q, name in QUANTILES.items():
        columns = {f"{who}r": along(grid, table, f"r_{name}") for who, table in tables.items()}
        if name == "median":
            columns |= {f"{who}{end}": along(grid, chance[who], end) for who in chance for end in CHANCE}
        for at, depth in enumerate(grid):
            row = {"model": model, "other": other, "relative_depth": depth, "quantile": q}
            row |= {column: values[at] for column, values in columns.items()}
            yield row | {"difference": row["other_r"] - row["r"]}


def along(grid: np.ndarray, table: pd.DataFrame, column: str) -> np.ndarray:
    """A column of a table of layers, at the relative depths ``grid``."""
    return np.interp(grid, table["relative_depth"], table[column])


def common_depths(*tables: pd.DataFrame) -> np.ndarray:
    """Relative depths of the model with the fewest layers."""
    return min((table["relative_depth"].to_numpy() for table in tables), key=len)
