"""Claims as the report shows them: matrices of claims and models."""

from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd

from layerscope.read.tables import table_of
from layerscope.report.tables import with_minus
from layerscope.stats.claims import QUESTIONS


@dataclass(frozen=True)
class Verdict:
    models: str
    untrained: bool
    effect: str
    null: str
    verdict: str
    note: str


@dataclass(frozen=True)
class ClaimRows:
    study: str
    name: str
    statement: str
    reference: str  # what the reference study says
    statistic: str
    criterion: str
    question: str  # which the interval answers
    about: str  # model or sample
    of_training: bool  # random weights must not support it
    verdicts: list[Verdict]


@dataclass(frozen=True)
class Matrix:
    """Claims about the same models."""

    models: list[str]
    claims: list[ClaimRows]


TEXTS = ("statement", "reference", "statistic", "about", "of_training")


def claims_of(paths: list[str]) -> list[ClaimRows]:
    """Claims in the order of claims.csv, each with one verdict per model; none if no study makes any."""
    return [claim for path in paths for claim in claim_rows(table_of(path))]


def claim_rows(table: pd.DataFrame) -> list[ClaimRows]:
    """The rows of claims.csv, grouped by claim."""
    found = []
    for (study, name), rows in table.groupby(["study", "claim"], sort=False):
        first = rows.iloc[0]
        too = rows["untrained"] & rows["of_training"] & (rows["verdict"] == "supported")
        verdicts = [
            Verdict(row.models, bool(row.untrained), _effect(row), _null(row), row.verdict, _note(row, bool(too.any())))
            for row in rows.itertuples()
        ]
        claim = ClaimRows(
            study=str(study),
            name=str(name),
            criterion=with_minus(first["criterion"]),
            question=QUESTIONS[first["clustered_by"]],
            verdicts=verdicts,
            **{column: first[column] for column in TEXTS},
        )
        found.append(claim)
    return found


def matrices(claims: list[ClaimRows]) -> list[Matrix]:
    """Claims by the models that they are about, in their order."""

    def models(claim: ClaimRows) -> list[str]:
        return [verdict.models for verdict in claim.verdicts]

    return [Matrix(of, list(found)) for of, found in groupby(sorted(claims, key=lambda c: len(models(c)) < 2), models)]


def tally(claims: list[ClaimRows]) -> str:
    """How many verdicts there are of each kind: one sentence; nothing without claims about models."""
    verdicts = [
        (claim.of_training, verdict) for claim in claims if claim.about == "model" for verdict in claim.verdicts
    ]
    trained = [verdict.verdict for _, verdict in verdicts if not verdict.untrained]
    if not trained:
        return ""
    counts = {kind: trained.count(kind) for kind in ("supported", "not supported", "undetermined")}
    sentence = (
        f"Of {len(trained)} verdicts on claims about trained models, {counts['supported']} support their claim, "
        f"{counts['not supported']} do not, and {counts['undetermined']} are undetermined"
    )
    untrained = [
        verdict.verdict == "supported" for of_training, verdict in verdicts if verdict.untrained and of_training
    ]
    if untrained:
        sentence += f"; with random weights, {sum(untrained)} of {len(untrained)} support a claim about training"
    return f"{sentence}."


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
