"""The claims as the report shows them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from layerscope.tables import read_csv


@dataclass(frozen=True)
class Verdict:
    models: str
    effect: str
    chance: str
    verdict: str
    note: str


@dataclass(frozen=True)
class ClaimRows:
    statement: str
    statistic: str
    rule: str
    verdicts: list[Verdict]


def claims_of(paths: list[str]) -> list[ClaimRows]:
    """Claims in the order of claims.csv, each with a verdict a model; none where no study makes any."""
    return [claim for path in paths for claim in shown(read_csv(path))]


def shown(table: pd.DataFrame) -> list[ClaimRows]:
    """Claims of the rows of claims.csv."""
    found = []
    for _, rows in table.groupby(["study", "claim"], sort=False):
        first = rows.iloc[0]
        too = rows["control"] & rows["of_training"] & (rows["verdict"] == "supported")
        verdicts = [
            Verdict(row.models, _effect(row), _chance(row), row.verdict, _note(row.control, bool(too.any())))
            for row in rows.itertuples()
        ]
        found.append(ClaimRows(first["statement"], first["statistic"], first["rule"], verdicts))
    return found


def _effect(row: object) -> str:
    effect, low, high = (getattr(row, name) for name in ("effect", "low", "high"))
    if np.isnan(effect):
        return "not defined"
    return f"{effect:g}" if low == high else f"{effect:.3f} [{low:.3f}, {high:.3f}]"


def _chance(row: object) -> str:
    low, high = (getattr(row, name) for name in ("null_low", "null_high"))
    return "" if np.isnan(low) else f"{low:.3f} to {high:.3f}"


def _note(control: bool, supported_without_training: bool) -> str:
    if control:
        return "random weights"
    return "random weights show it too" if supported_without_training else ""
