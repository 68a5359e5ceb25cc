"""The neuron of another model that correlates best with each neuron of a model."""

import pandas as pd

from layerscope.io.tables import read_table
from layerscope.studies.token_length.summarize_matches import best_of_layers

PLACE = ["layer", "neuron", "other_layer"]


def best_matches(paths: list[str], model: str, other: str) -> pd.DataFrame:
    """The best match of each neuron of a model among all neurons of another.

    Args:
        paths: tables of :func:`token_length.match_layer.match_layer`, one per layer of the other model, in order.

    Returns:
        One row per neuron, as of :meth:`layerscope.read.run.Run.matches`.

    Raises:
        UserError: a table is missing or damaged.
    """
    pairs = pd.concat([read_table(path)[[*PLACE, "other_neuron"]] for path in paths], ignore_index=True)
    best = best_of_layers(paths)
    found = best[[*PLACE, "r", "r_rotated"]].merge(pairs, on=PLACE, how="left").assign(model=model, other=other)
    found["other_layer"] = found["other_layer"].mask(found["other_layer"] < 0)  # of a neuron that never varies
    return found[["model", "layer", "neuron", "other", "other_layer", "other_neuron", "r", "r_rotated"]].astype(
        {"other_layer": "Int32", "other_neuron": "Int32"}
    )
