"""One table of the layers of all models, from their path lengths."""

import numpy as np
import pandas as pd

from layerscope.stats.correlation import spearman
from layerscope.stats.relative_depth import relative_depth
from layerscope.studies.path_length.comoments import FILTERS, merge
from layerscope.studies.path_length.moments import mean, r, std
from layerscope.studies.path_length.sample import PathSample, read_sample


def layers_table(shards: dict[str, list[str]]) -> pd.DataFrame:
    """layers.csv: one row per model, layer and token filter (``all``, or ``without_first`` of each sequence).

    Both exclude special tokens and pieces of UTF-8 characters. Spearman's r is over the tokens that are stored
    (``tokens_stored``), and everything else over all tokens of the sample.

    Args:
        shards: model → paths of its path-length shards, in order.
    """
    table = pd.concat([_of_model(read_sample(paths)).assign(model=model) for model, paths in shards.items()])
    table = table[["model", *table.columns.drop("model")]].reset_index(drop=True)
    # The path so far: means over tokens, summed over the layers up to this one.
    groups = table.groupby(["model", "token_filter"], sort=False)
    for name in ("attn", "mlp", "resid"):
        table[f"cumulative_{name}"] = groups[f"length_{name}"].transform(lambda length: length.fillna(0).cumsum())
    return table


def _of_model(sample: PathSample) -> pd.DataFrame:
    layers = len(sample.quantities["path_resid"])
    tables = []
    for number, name in enumerate(FILTERS):
        groups = sample.comoments.group(number)
        over = merge([groups.group(cluster) for cluster in range(len(groups.tokens))])
        keep = sample.filters[name]
        ranked = _spearman(sample, keep)
        table = pd.DataFrame({"layer": np.arange(layers)})
        table["relative_depth"] = [relative_depth(layer, layers) for layer in range(layers)]
        table = table.assign(
            token_filter=name,
            tokens=int(over.tokens),
            tokens_stored=int(keep.sum()),
            documents=sample.documents[name],
        )
        for stream in ("attn", "mlp"):
            table[f"r_pearson_{stream}"] = r(over, f"path_{stream}", "path_resid")
            table[f"r_spearman_{stream}"] = ranked[stream]
        for stream in ("attn", "mlp", "resid"):
            table[f"length_{stream}"] = mean(over, f"path_{stream}")
        for stream in ("attn", "mlp"):
            table[f"step_{stream}"] = mean(over, f"step_{stream}")
        table["cosine_attn_mlp"] = mean(over, "cosine_attn_mlp")
        table["cosine_attn_mlp_std"] = std(over, "cosine_attn_mlp")
        tables.append(table)
    return pd.concat(tables)


def _spearman(sample: PathSample, keep: np.ndarray) -> dict[str, np.ndarray]:
    """Spearman's r with the residual stream's path length over stored tokens, of each layer."""
    paths = {name: sample.quantities[f"path_{name}"][:, keep].astype(np.float64) for name in ("attn", "mlp", "resid")}
    found = {name: np.full(len(paths["resid"]), np.nan) for name in ("attn", "mlp")}
    for name, of_layers in found.items():
        for layer, path in enumerate(paths[name]):
            if not np.isnan(path).any():  # as in layer 0, where there is no layer before
                of_layers[layer] = spearman(path[None], paths["resid"][layer])[0]
    return found
