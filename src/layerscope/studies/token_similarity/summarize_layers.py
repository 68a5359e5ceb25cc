"""One table of the layers of all models, from their tables of blocks and dimensions."""

from pathlib import Path

import pandas as pd

from layerscope.io.tables import read_table
from layerscope.stats.relative_depth import relative_depth


def layers_table(tables: dict[str, list[str]]) -> pd.DataFrame:
    """layers.csv: one row per model, layer, token and block.

    Beside the cosines of the block, a row has the mean and the variance over sentences of q, k and v, averaged over
    dimensions, for its layer and token: ``mean_q`` … ``variance_v``.

    Args:
        tables: model → paths of the block tables of its layers, in order; the tables of dimensions are beside them.
    """
    rows = []
    for model, paths in tables.items():
        for layer, path in enumerate(paths):
            dimensions = read_table(dimensions_of(path))
            means = dimensions.pivot_table(index="token", columns="site", values=["mean", "variance"], sort=False)
            means.columns = [f"{what}_{site}" for what, site in means.columns]
            blocks = read_table(path).merge(means.reset_index(), on="token", sort=False)
            blocks.insert(0, "model", model)
            blocks.insert(1, "layer", layer)
            blocks.insert(2, "relative_depth", relative_depth(layer, len(paths)))
            rows.append(blocks)
    return pd.concat(rows, ignore_index=True)


def dimensions_of(path: str) -> Path:
    """The table of dimensions beside a layer's table of blocks."""
    return Path(path).with_name(Path(path).name.replace("layer_", "dimensions_"))
