"""Profiles of r on relative depth of pairs of models."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from layerscope.studies.token_length.measures import of_measure

NULL = ("null_low", "null_high")
QUANTILES = {0.05: "q05", 0.25: "q25", 0.5: "median", 0.75: "q75", 0.95: "q95"}


def profiles_table(layers: pd.DataFrame, evidence: pd.DataFrame, pairs: list[list[str]]) -> pd.DataFrame:
    """profiles.csv: quantiles of r over neurons of two models, at the relative depths of the one with fewer layers.

    Widths differ, so quantiles over the neurons of a layer are compared; between two layers they are interpolated
    linearly.

    Args:
        layers: layers.csv.
        evidence: evidence.csv.

    Returns:
        ``model``, ``other``, ``relative_depth``, ``quantile``, ``r``, ``other_r``, ``difference`` (other minus model);
        for the median also the 95% band of the null: ``null_low``, ``null_high``, ``other_null_low``,
        ``other_null_high``.
    """
    return pd.DataFrame([row for pair in pairs for row in _profiles(layers, evidence, *pair)])


def _profiles(layers: pd.DataFrame, evidence: pd.DataFrame, model: str, other: str) -> Iterator[dict[str, Any]]:
    tables = {"": layers[layers["model"] == model], "other_": layers[layers["model"] == other]}
    null = {"": of_measure(evidence, "r", "median", model), "other_": of_measure(evidence, "r", "median", other)}
    grid = common_depths(*tables.values())
    for q, name in QUANTILES.items():
        columns = {f"{who}r": along(grid, table, f"r_{name}") for who, table in tables.items()}
        if name == "median":
            columns |= {f"{who}{end}": along(grid, null[who], end) for who in null for end in NULL}
        for at, depth in enumerate(grid):
            row = {"model": model, "other": other, "relative_depth": depth, "quantile": q}
            row |= {column: values[at] for column, values in columns.items()}
            yield row | {"difference": row["other_r"] - row["r"]}


def along(grid: np.ndarray, table: pd.DataFrame, column: str) -> np.ndarray:
    """A column of a table of layers, interpolated at the relative depths ``grid``."""
    return np.interp(grid, table["relative_depth"], table[column])


def common_depths(*tables: pd.DataFrame) -> np.ndarray:
    """Relative depths of the model with the fewest layers."""
    return min((table["relative_depth"].to_numpy() for table in tables), key=len)
