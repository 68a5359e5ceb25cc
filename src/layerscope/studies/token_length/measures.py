"""The measures of r, and how the tables of evidence and of multimodality are read."""

import numpy as np
import pandas as pd

# r over tokens; given frequency; given all confounds; over types.
MEASURES = ("r", "r_given_frequency", "r_given_all", "r_types")
# Whether a property is a covariate of the summaries → what the intervals of its r rest on.
INTERVALS = {True: "documents and types", False: "types; name it in summaries.properties for documents"}
POPULATIONS = ("tokens", "short_tokens", "types", "short_types")  # that are tested for unimodality
TABLE_END = 72_000  # size of the largest sample for which the dip test has critical values


def of_measure(evidence: pd.DataFrame, measure: str, statistic: str, model: str | None = None) -> pd.DataFrame:
    """Rows of evidence.csv, or of a table of resamples, with one statistic of a measure; of one model, or of all."""
    rows = evidence[(evidence["measure"] == measure) & (evidence["statistic"] == statistic)]
    return rows if model is None else rows[rows["model"] == model]


def share_of_neurons(multimodality: pd.DataFrame, population: str, column: str) -> float:
    """A share of all neurons of a model, from its rows of multimodality.csv; NaN where that of a layer is unknown."""
    rows = multimodality[(multimodality["population"] == population) & (multimodality["neurons"] > 0)]
    return float(np.average(rows[column], weights=rows["neurons"])) if len(rows) else np.nan
