"""How sure the summaries of path lengths are: sequences, token types and tokens drawn anew."""

import numpy as np
import pandas as pd

from layerscope.path_length.shards import read_path_shards
from layerscope.resampling import Drawn, Groups, Resampled, draws_of_text, unit
from layerscope.statistics import pearson


def resample_paths(shards: list[str], draws: int, seed: int) -> pd.DataFrame:
    """Summaries of every layer, as observed and in draws of the text.

    Args:
        shards: path-length shards of a sample, in order.
        draws: how many of each kind.
        seed: of them.

    Returns:
        ``statistic``, ``layer``, ``kind`` (``observed``, ``sequences``, ``types``, ``tokens``), ``draw``, ``value``,
        and how many ``sequences`` and ``types`` there are. Statistics: ``length_resid``, mean path length; ``r_attn``
        and ``r_mlp``, Pearson's r of the path lengths with that of the residual stream; ``cosine``, mean cosine of
        attention's and the MLP's output; all without the first token of each sequence, and ``r_mlp_all`` with it.
    """
    values, tokens = read_path_shards(shards)
    parts = []
    for suffix, keep in (("", tokens.position > 0), ("_all", np.ones(len(tokens), dtype=bool))):
        sequences, types = Groups(tokens.sequence[keep]), Groups(tokens.input_ids[keep])
        drawn = draws_of_text(sequences, types, draws, np.random.default_rng(seed))
        for layer in range(len(values["path_resid"])):
            of = {name: array[layer, keep].astype(np.float64) for name, array in values.items()}
            summaries = {f"r_mlp{suffix}": correlations(of["path_mlp"], of["path_resid"], drawn)}
            if not suffix:
                summaries["r_attn"] = correlations(of["path_attn"], of["path_resid"], drawn)
                summaries["length_resid"] = means(of["path_resid"], drawn)
                summaries["cosine"] = means(of["cosine_attn_mlp"], drawn)
            for statistic, kinds in summaries.items():
                for kind, found in kinds.items():
                    table = pd.DataFrame({"draw": np.arange(len(found), dtype=np.int32), "value": found})
                    parts.append(table.assign(statistic=statistic, layer=layer, kind=kind))
    return pd.concat(parts, ignore_index=True).assign(sequences=len(sequences), types=len(types))


def correlations(x: np.ndarray, y: np.ndarray, drawn: dict[str, Drawn]) -> dict[str, np.ndarray]:
    """Pearson's r of ``x`` and ``y`` [tokens]: kind → [draws]."""
    rows, y_unit = unit(x[None]), unit(y)
    found = {kind: Resampled(draws, y_unit).pearson(rows)[0] for kind, draws in drawn.items()}
    return {"observed": pearson(x[None], y), **found}


def means(x: np.ndarray, drawn: dict[str, Drawn]) -> dict[str, np.ndarray]:
    """Mean of ``x`` [tokens]: kind → [draws]."""
    return {"observed": np.array([x.mean()]), **{kind: draws.means(x) for kind, draws in drawn.items()}}
