"""The numbers of one model that the report shows beside those of the other models."""

import numpy as np
import pandas as pd

from layerscope.stats.claims import FEWEST
from layerscope.studies.token_length.measures import of_measure, share_of_neurons


def numbers(layers: pd.DataFrame, evidence: pd.DataFrame, multimodality: pd.DataFrame) -> dict[str, str]:
    """What a number is → the number, as text.

    Args:
        layers: the model's rows of layers.csv.
        evidence: of evidence.csv.
        multimodality: of multimodality.csv.
    """
    return {**_of_layers(layers), **_of_evidence(evidence), **_of_dips(multimodality)}


def _of_layers(rows: pd.DataFrame) -> dict[str, str]:
    neurons = rows["neurons"] - rows["neurons_constant"]
    positive = (rows["fraction_positive"] * neurons).sum() / neurons.sum()
    first, last = rows.iloc[0], rows.iloc[-1]
    lowest, widest = rows.loc[rows["r_median"].idxmin()], rows.loc[rows["r_std"].idxmax()]
    return {
        "neurons that vary (that never vary, and have no r)": f"{neurons.sum():,} ({rows['neurons_constant'].sum():,})",
        "neurons with r > 0 (first layer, last layer)": f"{positive:.0%} ({first['fraction_positive']:.0%}, "
        f"{last['fraction_positive']:.0%})",
        "median r: first layer, last layer": f"{first['r_median']:+.3f}, {last['r_median']:+.3f}",
        "lowest median r, and its layer": f"{lowest['r_median']:+.3f}, {lowest['layer']:.0f}",
        "largest standard deviation of r, and its layer": f"{widest['r_std']:.3f}, {widest['layer']:.0f}",
        "standard deviation of r in the last layer": f"{last['r_std']:.3f}",
    }


def _of_evidence(rows: pd.DataFrame) -> dict[str, str]:
    raw, frequency, every = (of_measure(rows, m, "median") for m in ("r", "r_given_frequency", "r_given_all"))

    def beyond(of: pd.DataFrame) -> str:
        outside = (of["value"] < of["null_low"]) | (of["value"] > of["null_high"])
        return f"{outside.sum()} of {len(of)}"

    def significant(measure: str) -> str:
        shares = (of_measure(rows, measure, f"significant_{method}")["value"].mean() for method in ("bh", "by"))
        return " (".join(f"{share:.0%}" for share in shares) + ")"

    return {
        "median r of the first layer, 95% interval for other documents": _with_interval(raw),
        "over types, 95% interval for new types": _with_interval(of_measure(rows, "r_types", "median")),
        "|median r|, mean over layers": f"{raw['value'].abs().mean():.3f}",
        "given frequency": f"{frequency['value'].abs().mean():.3f}",
        "given frequency, leading space and position": f"{every['value'].abs().mean():.3f}",
        "layers whose median r is outside its null band": beyond(raw),
        "given all three": beyond(every),
        "neurons beyond their null at a false discovery rate of 5%, Benjamini–Hochberg (Benjamini–Yekutieli)": (
            significant("r")
        ),
        "given all three confounds": significant("r_given_all"),
    }


def _with_interval(of_layers: pd.DataFrame) -> str:
    """The value of the first layer; without its interval where that rests on too few clusters."""
    first = of_layers.iloc[0]
    interval = f" [{first['low']:+.3f}, {first['high']:+.3f}]" if first["clusters"] >= FEWEST else ""
    return f"{first['value']:+.3f}{interval}"


def _of_dips(rows: pd.DataFrame) -> dict[str, str]:
    def share(population: str, column: str = "share") -> str:
        value = share_of_neurons(rows, population, column)
        return "unknown" if np.isnan(value) else f"{value:.1%}"

    return {
        "neurons that pass the dip test over tokens at p ≤ 5% (simulated unimodal ones)": f"{share('tokens')} "
        f"({share('tokens', 'share_unimodal')})",
        "over types (at a false discovery rate of 5%)": f"{share('types')} ({share('types', 'share_bh')})",
        "over types of short tokens": share("short_types"),
    }
