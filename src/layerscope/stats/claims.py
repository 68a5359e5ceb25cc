"""Claims: statements with a statistic and a criterion specified before the data were seen, and their verdicts."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Generic, Literal, TypeVar

import numpy as np
import pandas as pd

from layerscope.stats.intervals import ALPHA, null_band
from layerscope.stats.jackknife_interval import half_width

Data = TypeVar("Data")
Verdict = Literal["supported", "not supported", "undetermined"]
Clusters = Literal["documents", "types", "sentences"]
FEWEST = 30  # clusters: from fewer, their spread is known too poorly to trust an interval

# What would be sampled anew, and so the question that an interval answers.
QUESTIONS: dict[Clusters, str] = {
    "documents": "this vocabulary on this kind of text",
    "types": "new token types",
    "sentences": "other sentences of this kind",
}


@dataclass(frozen=True)
class Estimate:
    """An effect with its 95% interval, and the 95% band of its null where there is one."""

    effect: float
    low: float
    high: float
    null_low: float = np.nan
    null_high: float = np.nan
    clusters: float = np.nan  # how many the interval is from; NaN where it needs none


UNKNOWN = Estimate(np.nan, np.nan, np.nan)


@dataclass(frozen=True)
class Claim(Generic[Data]):
    """A statement, and the range of its effect in which it is true.

    Supported: the whole interval is in the range, and the effect outside the band of its null. Not supported: the
    whole interval is outside the range. Undetermined: anything else, and any effect from fewer than ``FEWEST``
    clusters.
    """

    name: str
    statement: str
    reference: str  # what the reference study says about it
    statistic: str  # what the effect is
    above: float  # the range, excluding its ends
    below: float
    estimate: Callable[[Data], Estimate]
    clustered_by: Clusters = "documents"  # what the jackknife leaves out
    of_training: bool = True  # a model with random weights must not support it
    about: Literal["model", "sample"] = "model"  # the model, or the tokenizer and the sample

    @property
    def criterion(self) -> str:
        if np.isinf(self.below):
            return f"effect > {self.above:g}"
        return f"effect < {self.below:g}" if np.isinf(self.above) else f"{self.above:g} < effect < {self.below:g}"

    def verdict(self, estimate: Estimate) -> tuple[Verdict, str]:
        """The verdict, and the reason where it is undetermined."""
        if np.isnan([estimate.effect, estimate.low, estimate.high]).any():
            return "undetermined", "the effect or its interval is not defined"
        if estimate.clusters < FEWEST:
            return (
                "undetermined",
                f"{estimate.clusters:.0f} {self.clustered_by}, and an interval takes at least {FEWEST}",
            )
        if estimate.high <= self.above or estimate.low >= self.below:
            return "not supported", ""
        if not (estimate.low > self.above and estimate.high < self.below):
            return "undetermined", "the interval contains values on both sides of the criterion"
        if estimate.null_low <= estimate.effect <= estimate.null_high:
            return "undetermined", "the effect is within the null band"
        return "supported", ""


def evaluate(
    claims: Iterable[Claim[Data]], study: str, models: str, untrained: bool, data: Data
) -> list[dict[str, Any]]:
    """Rows of claims.csv.

    Args:
        models: the model, or the pair of models, of the data.
        untrained: whether their weights are random.
    """
    rows = []
    for claim in claims:
        estimate = claim.estimate(data)
        row: dict[str, Any] = {
            "claim": claim.name,
            "statement": claim.statement,
            "reference": claim.reference,
            "about": claim.about,
        }
        row |= {"study": study, "models": models, "untrained": untrained, "statistic": claim.statistic}
        row |= {"criterion": claim.criterion, "of_training": claim.of_training, "clustered_by": claim.clustered_by}
        verdict, reason = claim.verdict(estimate)
        rows.append(row | asdict(estimate) | {"verdict": verdict, "reason": reason})
    return rows


class Resamples:
    """Statistics of the layers of a model: as observed, under their null, and jackknifed over clusters.

    Args:
        table: ``statistic``, ``layer``, ``kind`` (``observed``, ``null``, ``jackknife``), ``resample``, ``value``, and
            ``clusters`` and ``clusters_effective``, the number of clusters of its jackknife.
    """

    def __init__(self, table: pd.DataFrame) -> None:
        counts = table.groupby("statistic")[["clusters", "clusters_effective"]].first()
        self.clusters, self.df = counts["clusters"], counts["clusters_effective"] - 1
        self.values = {
            key: rows.pivot_table(index="layer", columns="resample", values="value", dropna=False).to_numpy()
            for key, rows in table.groupby(["statistic", "kind"])
        }

    def of(self, kind: str, *statistics: str) -> list[np.ndarray]:
        """Each statistic as [layers, resamples]."""
        return [self.values[statistic, kind] for statistic in statistics]

    def estimate(self, effect: Callable[..., np.ndarray], *statistics: str) -> Estimate:
        """The ``effect``, a function of [layers, resamples] of each statistic that gives [resamples]."""
        value = float(effect(*self.of("observed", *statistics))[0])
        width = float(self.half_width(effect(*self.of("jackknife", *statistics)), *statistics))
        null = (np.nan, np.nan)
        if (statistics[0], "null") in self.values:
            null = null_band(effect(*self.of("null", *statistics)))
        return Estimate(value, value - width, value + width, *null, self.fewest(*statistics))

    def half_width(self, jackknife: np.ndarray, *statistics: str, level: float = ALPHA) -> np.ndarray:
        """Of the interval of an effect of ``statistics``; NaN where there is in effect one cluster.

        Args:
            jackknife: the effect, [..., groups], with each group of clusters left out.
            level: the share of such intervals that miss.

        Returns:
            [...].
        """
        return half_width(jackknife, self.df[list(statistics)].min(), level)

    def fewest(self, *statistics: str) -> float:
        """Clusters of the statistic that has the fewest."""
        return float(self.clusters[list(statistics)].min())
