"""Claims as the report shows them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from layerscope.io.tables import read_csv
from layerscope.report.section import with_minus
from layerscope.stats.claims import QUESTIONS


@dataclass(frozen=True)
class Verdict:
    models: str
    effect: str
    null: str
    verdict: str
    note: str


@dataclass(frozen=True)
class ClaimRows:
    statement: str
    reference: str  # what the reference study says
    statistic: str
    criterion: str
    question: str  # which the interval answers
    about: str  # model or sample
    of_training: bool  # random weights must not support it
    verdicts: list[Verdict]


TEXTS = ("statement", "reference", "statistic", "criterion", "about", "of_training")


def claims_of(paths: list[str]) -> list[ClaimRows]:
    """Claims in the order of claims.csv, each with one verdict per model; none if no study makes any."""
    return [claim for path in paths for claim in claim_rows(read_csv(path))]


def claim_rows(table: pd.DataFrame) -> list[ClaimRows]:
    """The rows of claims.csv, grouped by claim."""
    found = []
    for _, rows in table.groupby(["study", "claim"], sort=False):
        first = rows.iloc[0]
        too = rows["untrained"] & rows["of_training"] & (rows["verdict"] == "supported")
        verdicts = [
            Verdict(row.models, _effect(row), _null(row), row.verdict, _note(row, bool(too.any())))
            for row in rows.itertuples()
        ]
        texts = {column: first[column] for column in TEXTS}
        texts["criterion"] = with_minus(texts["criterion"])
        found.append(ClaimRows(**texts, question=QUESTIONS[first["clustered_by"]], verdicts=verdicts))
    return found


def _effect(row: object) -> str:
    effect, low, high = (getattr(row, name) for name in ("effect", "low", "high"))
    if np.isnan(effect):
        return "not defined"
    if low == high:
        return with_minus(f"{effect:g}")
    digits = decimals(high - low)
    return with_minus(f"{effect:z.{digits}f} [{low:z.{digits}f}, {high:z.{digits}f}]")


def _null(row: object) -> str:
    low, high = (getattr(row, name) for name in ("null_low", "null_high"))
    digits = decimals(high - low)
    return "" if np.isnan(low) else with_minus(f"{low:z.{digits}f} to {high:z.{digits}f}")


def decimals(width: float) -> int:
    """At least three, and enough to show two significant digits of the ``width`` of an interval."""
    return int(np.clip(1 - np.floor(np.log10(width)), 3, 6)) if width > 0 and np.isfinite(width) else 3


def _note(row: Any, supported_without_training: bool) -> str:
    """Why a verdict is undetermined, and whether the weights are random."""
    notes = [row.reason] if isinstance(row.reason, str) else []
    if row.untrained:
        notes.append("random weights")
    elif supported_without_training:
        notes.append("random weights show it too")
    return "; ".join(filter(None, notes))
