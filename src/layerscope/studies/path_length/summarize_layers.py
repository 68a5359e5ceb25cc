"""One table of the layers of all models, from their path lengths."""

import numpy as np
import pandas as pd

from layerscope.stats.correlation import pearson, spearman
from layerscope.stats.relative_depth import relative_depth
from layerscope.studies.path_length.included_tokens import read_included


def layers_table(shards: dict[str, list[str]], vocabularies: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """layers.csv: one row per model, layer and token filter (``all``, or ``without_first`` of each sequence).

    Both exclude special tokens and pieces of UTF-8 characters.

    Args:
        shards: model → paths of its path-length shards, in order.
        vocabularies: model → vocabulary table of its tokenizer.
    """
    rows = []
    for model, paths in shards.items():
        values, tokens = read_included(paths, vocabularies[model])
        filters = {"all": np.ones(len(tokens), dtype=bool), "without_first": tokens.position > 0}
        layers = len(values["path_resid"])
        rows += [
            {
                "model": model,
                "layer": layer,
                "relative_depth": relative_depth(layer, layers),
                "token_filter": token_filter,
                "tokens": int(keep.sum()),
                "documents": len(np.unique(tokens.document[keep])),
                **layer_row({name: array[layer, keep].astype(np.float64) for name, array in values.items()}),
            }
            for token_filter, keep in filters.items()
            for layer in range(layers)
        ]
    table = pd.DataFrame(rows)
    # The path so far: means over tokens, summed over the layers up to this one.
    groups = table.groupby(["model", "token_filter"], sort=False)
    for name in ("attn", "mlp", "resid"):
        table[f"cumulative_{name}"] = groups[f"length_{name}"].transform(lambda length: length.fillna(0).cumsum())
    return table


def layer_row(values: dict[str, np.ndarray]) -> dict[str, float]:
    """Summaries of one layer's quantities [tokens]; correlations are over tokens, with the residual's path length."""
    row: dict[str, float] = {}
    for name in ("attn", "mlp"):
        path = values[f"path_{name}"][None]
        row[f"r_pearson_{name}"] = pearson(path, values["path_resid"])[0]
        row[f"r_spearman_{name}"] = spearman(path, values["path_resid"])[0]
    for name in ("attn", "mlp", "resid"):
        row[f"length_{name}"] = values[f"path_{name}"].mean()
    for name in ("attn", "mlp"):
        row[f"step_{name}"] = values[f"step_{name}"].mean()
    row["cosine_attn_mlp"] = values["cosine_attn_mlp"].mean()
    row["cosine_attn_mlp_std"] = values["cosine_attn_mlp"].std(ddof=1)
    return row
