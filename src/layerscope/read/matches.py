"""The neuron of another model that correlates best with each neuron of a model."""

import pandas as pd

from layerscope.read.folder import ResultsFolder
from layerscope.studies.token_length.summarize_matches import best_of_layers

PLACE = ["layer", "neuron", "other_layer"]


def best_matches(folder: ResultsFolder, model: str, other: str) -> pd.DataFrame:
    """The best match of each neuron of a model among all neurons of another.

    Returns:
        One row per neuron, as of :meth:`layerscope.read.run.Run.matches`.

    Raises:
        UserError: a table is missing or damaged.
    """
    names = [f"token_length/{model}/matches_{other}_{layer:02d}.parquet" for layer in range(folder.depths[other])]
    pairs = pd.concat([folder.table(name)[[*PLACE, "other_neuron"]] for name in names], ignore_index=True)
    best = best_of_layers([str(folder.path / name) for name in names])
    found = best[[*PLACE, "r", "r_rotated"]].merge(pairs, on=PLACE, how="left").assign(model=model, other=other)
    found["other_layer"] = found["other_layer"].mask(found["other_layer"] < 0)  # of a neuron that never varies
    return found[["model", "layer", "neuron", "other", "other_layer", "other_neuron", "r", "r_rotated"]].astype(
        {"other_layer": "Int32", "other_neuron": "Int32"}
    )
