"""The neuron of another model that correlates best with each neuron of a model."""

from pathlib import Path

import numpy as np
import pandas as pd

from layerscope.read.tables import table_of
from layerscope.studies.token_length.summarize_matches import best_of_layers

# What the names of the tables begin with: of a model that is the first of a pair, and of one that is the second.
FIRST, SECOND = "matches", "best_in"
PLACE = ["layer", "neuron", "other_layer"]
COLUMNS = ["model", "layer", "neuron", "other", "other_layer", "other_neuron", "r", "r_rotated"]


def best_matches(paths: list[str], model: str, other: str) -> pd.DataFrame:
    """The best match of each neuron of a model among all neurons of another.

    Args:
        paths: tables of :func:`token_length.match_layer.match_layer`. Of the first model of a pair, the first tables,
            one per layer of the other model, in order; of the second, the second tables, one per layer of its own.

    Returns:
        One row per neuron, as of :meth:`layerscope.read.run.Run.matches`.

    Raises:
        UserError: a table is missing or damaged.
    """
    of_first = Path(paths[0]).name.startswith(f"{FIRST}_")
    tables = [table_of(path) for path in paths]
    if of_first:
        best = best_of_layers(paths)[[*PLACE, "r", "r_rotated"]]
        pairs = pd.concat([table[[*PLACE, "other_neuron"]] for table in tables], ignore_index=True)
        found = best.merge(pairs, on=PLACE, how="left")
    else:
        found = pd.concat(tables, ignore_index=True).assign(r_rotated=np.nan)
    places = ["other_layer", "other_neuron"]
    found[places] = found[places].mask(found["other_layer"] < 0)  # of a neuron that never varies
    return found.assign(model=model, other=other)[COLUMNS].astype(dict.fromkeys(places, "Int32"))
