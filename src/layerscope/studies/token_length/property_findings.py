"""Findings on properties of token types other than their length."""

import pandas as pd

from layerscope.report.tables import listed
from layerscope.studies.token_length.measures import INTERVALS, of_measure


def property_findings(properties: pd.DataFrame) -> list[str]:
    """How many neurons of each model correlate with each property, and which intervals are missing.

    Args:
        properties: properties.csv.
    """
    sentences = []
    for model in properties["model"].unique():
        passing = of_measure(properties, "r", "significant_bh", model).groupby("property", sort=False)["value"].mean()
        shares = listed([f"{share:.0%} with {name}" for name, share in passing.items()])
        sentences.append(
            f"Neurons of {model} whose r over tokens is beyond the null at a false discovery rate of 5%: {shares}."
        )
    without = properties.loc[properties["intervals"] != INTERVALS[True], "property"].unique()
    if len(without):
        sentences.append(
            f"r over tokens with {listed(list(without))} has no interval over documents, for which the summaries lack "
            "sums; summaries.properties adds them."
        )
    return sentences
