"""What token_length measures of each neuron, joined from its tables under one name per statistic."""

from collections.abc import Mapping

import pandas as pd
from scipy.special import ndtri

from layerscope.stats.intervals import ALPHA, student_quantile
from layerscope.stats.relative_depth import relative_depth
from layerscope.studies.token_length.measures import POPULATIONS

P_OF_DIPS = {f"p_{population}": f"p_dip_{population}" for population in POPULATIONS}
MATCH = {"other": "match_model", "other_layer": "match_layer", "other_neuron": "match_neuron", "r": "match_r"}
COLUMNS = [
    *("model", "layer", "relative_depth", "neuron", "r", "r_low", "r_high", "r_null_low", "r_null_high", "p"),
    *("r_given_frequency", "r_given_all", "p_given_all", "r_types", "r_types_low", "r_types_high", "r_spearman"),
    *("mean", "std", "skewness", "kurtosis", "minimum", "maximum", "mean_short", "mean_median", "mean_long", "icc"),
    *(f"{what}_{population}" for population in POPULATIONS for what in ("dip", "p_dip")),
    *("bimodality_tokens", "bimodality_short_tokens", *MATCH.values(), "norm_in", "norm_out", "cosine_in_out"),
]
TYPES = {"layer": "int32", "neuron": "int32", "match_model": "str", "match_layer": "Int32", "match_neuron": "Int32"}


def neurons_table(
    model: str, layer: int, layers: int, tables: Mapping[str, pd.DataFrame], matches: pd.DataFrame | None
) -> pd.DataFrame:
    """The rows of :meth:`layerscope.read.run.Run.neurons` of one layer.

    Args:
        layers: how many the model has.
        tables: those of the layer by what their names begin with: ``layer``, ``inference``, ``resamples``, ``dip``, and
            ``weights`` where there is one.
        matches: of :func:`layerscope.read.matches.best_matches`, of all layers of the model, if it has any.
    """
    inference, resamples = tables["inference"], tables["resamples"]
    intervals = [_interval(inference, resamples, measure) for measure in ("r", "r_types")]
    parts = [
        tables["layer"],
        inference.assign(**intervals[0], **intervals[1], **_null_band(inference)),
        tables["dip"].rename(columns=P_OF_DIPS),
    ]
    if "weights" in tables:
        parts.append(tables["weights"])
    if matches is not None:
        parts.append(matches.loc[matches["layer"] == layer, ["neuron", *MATCH]].rename(columns=MATCH))
    places = {"model": model, "layer": layer, "relative_depth": relative_depth(layer, layers)}
    neurons = parts[0]["neuron"].sort_values()
    columns = [part.set_index("neuron").reindex(neurons).filter(COLUMNS) for part in parts]
    table = pd.concat(columns, axis=1).reset_index().assign(**places)
    return table.reindex(columns=COLUMNS).astype(TYPES)


def _interval(inference: pd.DataFrame, resamples: pd.DataFrame, measure: str) -> dict[str, pd.Series]:
    """Ends of the 95% interval of each neuron: Student's t times the standard error of the jackknife."""
    effective = resamples.loc[resamples["measure"] == measure, "clusters_effective"].iloc[0]
    width = student_quantile(effective - 1) * inference[f"{measure}_std_error"]
    return {f"{measure}_low": inference[measure] - width, f"{measure}_high": inference[measure] + width}


def _null_band(inference: pd.DataFrame) -> dict[str, pd.Series]:
    """Ends of the 95% band of r under its null, normal about zero; none in tables that say nothing of its error."""
    if "r_null_error" not in inference:
        return {}
    width = float(ndtri(1 - ALPHA / 2)) * inference["r_null_error"]
    return {"r_null_low": -width, "r_null_high": width}
