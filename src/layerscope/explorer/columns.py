"""The statistics of neurons that the explorer shows, which are columns of ``run.neurons()``, and their files."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from layerscope.explorer.packed import write_script


@dataclass(frozen=True)
class Column:
    """A statistic of a neuron."""

    name: str
    label: str
    unit: str
    description: str


MATCHES = ("match_layer", "match_neuron", "match_r")  # of models that are matched with another

COLUMNS = (
    Column("r", "r", "r", "Pearson's r of the activation with token length in characters, over all tokens."),
    Column("r_low", "r: low", "r", "Low end of the 95% interval of r for other text of this kind."),
    Column("r_high", "r: high", "r", "High end of the 95% interval of r for other text of this kind."),
    Column("r_null_low", "null of r: low", "r", "Low end of the 95% band of r if length meant nothing."),
    Column("r_null_high", "null of r: high", "r", "High end of the 95% band of r if length meant nothing."),
    Column("p", "p of r", "probability", "Two-sided, under that null."),
    Column("r_given_frequency", "r given frequency", "r", "Partial r, given the log of the token's frequency."),
    Column("r_given_all", "r given all confounds", "r", "Partial r, given frequency, leading space and position."),
    Column("p_given_all", "p of r given all", "probability", "Two-sided, of r given all confounds."),
    Column("r_types", "r over types", "r", "Pearson's r of the mean activation with length over token types."),
    Column("r_types_low", "r over types: low", "r", "Low end of its 95% interval for new token types."),
    Column("r_types_high", "r over types: high", "r", "High end of its 95% interval for new token types."),
    Column("r_spearman", "Spearman's r", "r", "By ranks, with token length, over the stored sample."),
    Column("mean", "mean", "activation", "Mean activation over all tokens."),
    Column("std", "standard deviation", "activation", "Of the activation, over all tokens."),
    Column("skewness", "skewness", "", "Of the activation, over all tokens."),
    Column("kurtosis", "kurtosis", "", "Excess kurtosis of the activation, over all tokens; 0 for a normal one."),
    Column("minimum", "minimum", "activation", "Smallest activation."),
    Column("maximum", "maximum", "activation", "Largest activation."),
    Column("dip_tokens", "dip over tokens", "", "How far the activations are from having one mode."),
    Column("p_dip_tokens", "p of the dip over tokens", "probability", "None for more than 72,000 tokens."),
    Column("dip_types", "dip over types", "", "The same for the mean activations of token types."),
    Column("p_dip_types", "p of the dip over types", "probability", "None for more than 72,000 types."),
    Column("icc", "intraclass correlation", "share", "Share of the variance that lies between token types."),
    Column("bimodality_tokens", "bimodality coefficient", "", "Over tokens; a uniform distribution has 5/9."),
    Column("match_layer", "layer of the match", "", "Layer of the best match in the other model of the pair."),
    Column("match_neuron", "neuron of the match", "", "Number of the best match within its layer."),
    Column("match_r", "r with the match", "r", "Pearson's r with the best match over the same tokens."),
    Column("norm_in", "norm of input weights", "weight", "L2 norm; of a gated MLP, of the gate's."),
    Column("norm_out", "norm of output weights", "weight", "L2 norm."),
    Column("cosine_in_out", "cosine of weights", "cosine", "Between input and output weights."),
)


def columns_of(matched: bool) -> list[str]:
    """Names of the columns that a model has.

    Args:
        matched: whether its neurons are matched with another model's.
    """
    return [column.name for column in COLUMNS if matched or column.name not in MATCHES]


def described() -> list[dict[str, str]]:
    """All columns, for the manifest."""
    return [asdict(column) for column in COLUMNS]


def values_of(neurons: pd.DataFrame) -> np.ndarray:
    """All columns of some neurons: float32 [neurons, columns], NaN where a value is undefined or too large."""
    names = [column.name for column in COLUMNS]
    values = neurons.reindex(columns=names).astype("float64").to_numpy(na_value=np.nan)
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


def write_columns(paths: Iterable[str], model: str, layers: Iterable[pd.DataFrame]) -> None:
    """Write a file for each column of a model.

    Args:
        paths: where to, each named for its column.
        layers: tables of :func:`layerscope.read.neurons_table.neurons_table` of all layers, in order.
    """
    rows = np.concatenate([values_of(layer) for layer in layers])
    values = dict(zip((column.name for column in COLUMNS), rows.T, strict=True))
    for path in paths:
        name = Path(path).stem
        write_script(path, f"{model}/columns/{name}", {"values": values[name]})
