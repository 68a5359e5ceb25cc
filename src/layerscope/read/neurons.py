"""One long table of neurons with all that token_length measures of each, under one name per statistic."""

import pandas as pd
from scipy.special import ndtri

from layerscope.read.folder import ResultsFolder
from layerscope.stats.intervals import ALPHA, student_quantile
from layerscope.stats.relative_depth import relative_depth

POPULATIONS = ("tokens", "short_tokens", "types", "short_types")  # whose dip is tested
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


def neurons_of_layer(folder: ResultsFolder, model: str, layer: int, matches: pd.DataFrame | None) -> pd.DataFrame:
    """The rows of :meth:`layerscope.read.run.Run.neurons` of one layer.

    Args:
        matches: of :func:`layerscope.read.matches.best_matches`, of all layers of the model, if it has any.

    Raises:
        UserError: a table that every run writes is missing, or one is damaged.
    """
    inference = folder.of_layer("inference", model, layer)
    resamples = folder.of_layer("resamples", model, layer)
    intervals = [_interval(inference, resamples, measure) for measure in ("r", "r_types")]
    parts = [
        folder.of_layer("layer", model, layer),
        inference.assign(**intervals[0], **intervals[1], **_null_band(inference)),
        folder.of_layer("dip", model, layer).rename(columns=P_OF_DIPS),
    ]
    if (folder.path / folder.place("weights", model, layer)).is_file():
        parts.append(folder.of_layer("weights", model, layer))
    if matches is not None:
        parts.append(matches.loc[matches["layer"] == layer, ["neuron", *MATCH]].rename(columns=MATCH))
    places = {"model": model, "layer": layer, "relative_depth": relative_depth(layer, folder.depths[model])}
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
