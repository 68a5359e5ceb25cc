"""Layers resampled for several properties to one table of evidence."""

import pandas as pd

from layerscope.io.tables import read_table
from layerscope.studies.token_length.measures import INTERVALS
from layerscope.studies.token_length.summarize_evidence import evidence_of


def properties_table(neurons: dict[str, list[str]], resamples: dict[str, list[str]]) -> pd.DataFrame:
    """properties.csv: one row per property, model, layer, measure and statistic.

    Args:
        neurons: model → paths of its layers' tables of neurons of
            :func:`token_length.resample_properties.resample_properties`, in the order of the layers.
        resamples: model → likewise of the tables of resamples.

    Returns:
        ``property`` and the columns of :func:`.evidence_table`; ``tokens_own_class``, the share of tokens whose type
        has a class of its own; and ``intervals``, what they are jackknifed over, one of ``INTERVALS``.
    """
    tables = []
    for model, paths in neurons.items():
        layers = [read_table(path) for path in paths]
        drawn = [read_table(path) for path in resamples[model]]
        for name in layers[0]["property"].unique():
            found = evidence_of(
                model,
                [table[table["property"] == name] for table in layers],
                [table[table["property"] == name] for table in drawn],
            )
            of_layer = drawn[0][drawn[0]["property"] == name].iloc[0]
            found.insert(0, "property", name)
            tables.append(
                found.assign(
                    tokens_own_class=of_layer["tokens_own_class"], intervals=INTERVALS[bool(of_layer["over_documents"])]
                )
            )
    return pd.concat(tables, ignore_index=True)
