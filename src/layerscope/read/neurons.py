"""One long table of neurons with all that token_length measures of each, under one name per statistic."""

import pandas as pd

from layerscope.read import NEURON_TABLES
from layerscope.read.folder import ResultsFolder
from layerscope.read.neurons_table import neurons_table


def neurons_of_layer(folder: ResultsFolder, model: str, layer: int, matches: pd.DataFrame | None) -> pd.DataFrame:
    """The rows of :meth:`layerscope.read.run.Run.neurons` of one layer.

    Args:
        matches: of :func:`layerscope.read.matches.best_matches`, of all layers of the model, if it has any.

    Raises:
        UserError: a table that every run writes is missing, or one is damaged.
    """
    tables = {kind: folder.of_layer(kind, model, layer) for kind in NEURON_TABLES}
    if folder.place("weights", model, layer).is_file():
        tables["weights"] = folder.of_layer("weights", model, layer)
    return neurons_table(model, layer, folder.depths[model], tables, matches)
