"""What the explorer shows of each neuron of a layer, from the layer's tables, in as few files as their sizes allow."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from layerscope.explorer.columns import values_of
from layerscope.explorer.contexts import NONE, Arrays, context_arrays, shown_contexts
from layerscope.explorer.packed import write_script
from layerscope.read.neurons_table import neurons_table
from layerscope.studies.token_length.length_groups import GROUP_NAMES, GROUPS
from layerscope.studies.token_length.token_types import TYPES_KEPT

# Of a file, which then takes 8 to 13 MB, by how many token lengths the sample has; none may have more than 15.
NEURONS_PER_FILE = 4096
# Arrays that are the same for all neurons; the first axis of all others is neurons.
OF_ALL = ("length", "length_tokens")
BITS = 12  # of means and logits that are only shown: within 0.025%, in half of the space


def write_layer_files(
    folder: str | Path,
    model: str,
    layer: int,
    layers: int,
    tables: Mapping[str, pd.DataFrame],
    matches: pd.DataFrame | None,
    sequence_length: int,
) -> None:
    """Write the files of a layer, each of at most ``NEURONS_PER_FILE`` neurons.

    Args:
        folder: of these files, which are numbered from 0.
        layers: how many the model has.
        tables: those of the layer, by the names of :data:`.TABLES`.
        matches: of :func:`layerscope.read.matches.best_matches`, if the model is matched with another.
        sequence_length: tokens of a sequence.
    """
    table = neurons_table(model, layer, layers, tables, matches)
    neurons = len(table)
    arrays = context_arrays(tables["contexts"], neurons, sequence_length)
    arrays |= _histogram_arrays(tables["neuron_histogram"], neurons)
    arrays |= _length_arrays(tables["by_length"], neurons)
    for kind in ("top", "bottom"):
        columns = {"": "token_id", "_mean": "mean", "_tokens": "tokens"}
        arrays |= _ranked(tables["token_types"], kind, f"types_{kind}", columns, neurons)
    if len(tables["logits"]):
        for kind, name in (("promoted", "logits_top"), ("suppressed", "logits_bottom")):
            arrays |= _ranked(tables["logits"], kind, name, {"": "token_id", "_value": "logit"}, neurons)
    facts: dict[str, Any] = {
        "contexts": shown_contexts(),
        "groups": [{"name": group, "label": GROUP_NAMES[group]} for group in GROUPS],
    }
    if matches is not None:
        arrays |= _match_arrays(table)
        facts["matched"] = str(matches["other"].iloc[0])
    arrays["statistics"] = values_of(table)
    for number, first in enumerate(range(0, neurons, NEURONS_PER_FILE)):
        rows = slice(first, first + NEURONS_PER_FILE)
        part = {name: array if name in OF_ALL else array[rows] for name, array in arrays.items()}
        write_script(Path(folder) / f"{number:02d}.js", f"{model}/layer_{layer:02d}/{number:02d}", part, facts)


def _histogram_arrays(table: pd.DataFrame, neurons: int) -> Arrays:
    """Counts, uint32 [neurons, groups, bins], and the ends of the bins, float32 [neurons]."""
    counts = np.stack([table[group].to_numpy(np.uint32).reshape(neurons, -1) for group in GROUPS], axis=1)
    left, right = (table[side].to_numpy(np.float32).reshape(neurons, -1) for side in ("left", "right"))
    return {"histogram": counts, "histogram_low": left[:, 0].copy(), "histogram_high": right[:, -1].copy()}


def _length_arrays(table: pd.DataFrame, neurons: int) -> Arrays:
    """Lengths, uint8 [lengths], their tokens, and means and intervals, float32 [neurons, lengths]."""
    of_first = table.iloc[: len(table) // neurons]
    arrays: Arrays = {
        "length": of_first["length"].clip(upper=255).to_numpy(np.uint8),
        "length_tokens": of_first["tokens"].to_numpy(np.uint32),
    }
    for name in ("mean", "low", "high"):
        arrays[f"length_{name}"] = rounded(table[name].to_numpy(np.float32)).reshape(neurons, -1)
    return arrays


def _ranked(table: pd.DataFrame, kind: str, name: str, columns: Mapping[str, str], neurons: int) -> Arrays:
    """Columns of the rows of a kind, each [neurons, ranks]: ids and counts uint32, all else float32.

    Args:
        name: of the first array; those of the others end with the keys of ``columns``.
    """
    rows = table[table["kind"] == kind]
    at = rows["neuron"].to_numpy(), rows["rank"].to_numpy(int)
    arrays: Arrays = {}
    for ending, column in columns.items():
        counted = rows[column].dtype.kind in "iu"
        empty = (NONE if column == "token_id" else 0) if counted else np.nan
        arrays[name + ending] = np.full((neurons, TYPES_KEPT), empty, np.uint32 if counted else np.float32)
        arrays[name + ending][at] = rows[column] if counted else rounded(rows[column].to_numpy(np.float32))
    return arrays


def rounded(values: np.ndarray) -> np.ndarray:
    """Float32 values to ``BITS`` significant bits."""
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.rint(np.ldexp(mantissa, BITS)), exponent - BITS).astype(np.float32)


def _match_arrays(neurons: pd.DataFrame) -> Arrays:
    """The best match of each neuron: −1 and NaN where there is none."""
    layer, neuron = (neurons[f"match_{what}"].fillna(-1) for what in ("layer", "neuron"))
    r = neurons["match_r"].astype("float64").to_numpy(na_value=np.nan)
    return {
        "match_layer": layer.to_numpy(np.int16),
        "match_neuron": neuron.to_numpy(np.int32),
        "match_r": r.astype(np.float32),
    }
