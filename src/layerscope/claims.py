"""Claims: statements with a statistic and a rule that were fixed before the data, and what the data say of them."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Generic, Literal, TypeVar

import numpy as np
import pandas as pd

from layerscope.inference import ALPHA, student_quantile
from layerscope.resampling import KINDS, two_way_error

Data = TypeVar("Data")
Verdict = Literal["supported", "not supported", "undetermined"]


@dataclass(frozen=True)
class Estimate:
    """An effect with its 95 % interval, and the 95 % band that chance gives where there is one."""

    effect: float
    low: float
    high: float
    null_low: float = np.nan
    null_high: float = np.nan


UNKNOWN = Estimate(np.nan, np.nan, np.nan)


@dataclass(frozen=True)
class Claim(Generic[Data]):
    """A statement, and the range of its effect in which it is true.

    Supported: the whole interval lies in the range, and the effect outside the band of chance. Not supported: the whole
    interval lies outside the range. Undetermined: anything else.
    """

    name: str
    statement: str
    statistic: str  # what the effect is
    above: float  # the range, without its ends
    below: float
    estimate: Callable[[Data], Estimate]
    of_training: bool = True  # a model with random weights must not support it

    @property
    def rule(self) -> str:
        if np.isinf(self.below):
            return f"effect > {self.above:g}"
        return f"effect < {self.below:g}" if np.isinf(self.above) else f"{self.above:g} < effect < {self.below:g}"

    def verdict(self, estimate: Estimate) -> Verdict:
        if np.isnan([estimate.effect, estimate.low, estimate.high]).any():
            return "undetermined"
        if estimate.high <= self.above or estimate.low >= self.below:
            return "not supported"
        by_chance = estimate.null_low <= estimate.effect <= estimate.null_high
        inside = estimate.low > self.above and estimate.high < self.below
        return "supported" if inside and not by_chance else "undetermined"


def judge(claims: Iterable[Claim[Data]], study: str, models: str, control: bool, data: Data) -> list[dict[str, Any]]:
    """Rows of claims.csv.

    Args:
        models: the model, or the models, that the data are of.
        control: whether their weights are random.
    """
    rows = []
    for claim in claims:
        estimate = claim.estimate(data)
        row = {"claim": claim.name, "statement": claim.statement, "study": study, "models": models, "control": control}
        row |= {"statistic": claim.statistic, "rule": claim.rule, "of_training": claim.of_training}
        rows.append(row | asdict(estimate) | {"verdict": claim.verdict(estimate)})
    return rows


class Draws:
    """Statistics of the layers of a model, as observed, by chance, and with parts of the text left out.

    Args:
        table: ``statistic``, ``layer``, ``kind`` (``observed``, ``chance``, ``sequences``, ``types``, ``tokens``),
            ``draw``, ``value``, and ``sequences`` and ``types_effective``, of which there are so many.
    """

    def __init__(self, table: pd.DataFrame) -> None:
        self.freedom = table.groupby("statistic")[["sequences", "types_effective"]].first().min(axis=1) - 1
        self.values = {
            key: rows.pivot_table(index="layer", columns="draw", values="value", dropna=False).to_numpy()
            for key, rows in table.groupby(["statistic", "kind"])
        }

    def of(self, kind: str, *statistics: str) -> list[np.ndarray]:
        """Each statistic as [layers, draws]."""
        return [self.values[statistic, kind] for statistic in statistics]

    def estimate(self, effect: Callable[..., np.ndarray], *statistics: str) -> Estimate:
        """The ``effect``, a function of [layers, draws] of each statistic that gives [draws]."""
        value = float(effect(*self.of("observed", *statistics))[0])
        error = two_way_error(*(effect(*self.of(kind, *statistics)) for kind in KINDS))
        reach = float(error) * self.quantile(ALPHA, *statistics)
        null = (np.nan, np.nan)
        if (statistics[0], "chance") in self.values:
            null = tuple(np.quantile(effect(*self.of("chance", *statistics)), [ALPHA / 2, 1 - ALPHA / 2]))
        return Estimate(value, value - reach, value + reach, *null)

    def quantile(self, level: float, *statistics: str) -> float:
        """Student's t of a two-sided interval; NaN where there is one sequence, or in effect one type."""
        return student_quantile(self.freedom[list(statistics)].min(), level)
