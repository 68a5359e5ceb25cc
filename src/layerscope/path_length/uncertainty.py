"""How sure the summaries of path lengths are: sequences and token types left out in turn."""

import numpy as np
import pandas as pd

from layerscope.path_length.shards import read_path_shards
from layerscope.resampling import LeftOut, LeftOutPearson, effective_number, left_out_of_text, unit
from layerscope.statistics import pearson


def resample_paths(shards: list[str]) -> pd.DataFrame:
    """Summaries of every layer, as observed and with parts of the text left out.

    Args:
        shards: path-length shards of a sample, in order.

    Returns:
        ``statistic``, ``layer``, ``kind`` (``observed``, ``sequences``, ``types``, ``tokens``), ``draw``, ``value``,
        ``sequences`` and ``types_effective`` of the sample. Statistics: ``length_resid``, mean path length; ``r_attn``
        and ``r_mlp``, Pearson's r of the path lengths with that of the residual stream; ``cosine``, mean cosine of
        attention's and the MLP's output; all without the first token of each sequence, and ``r_mlp_all`` with it.
    """
    values, tokens = read_path_shards(shards)
    parts = []
    for suffix, keep in (("", tokens.position > 0), ("_all", np.ones(len(tokens), dtype=bool))):
        sequences, types = tokens.sequence[keep], tokens.input_ids[keep]
        left_out = left_out_of_text(sequences, types, np.random.default_rng(0))
        for layer in range(len(values["path_resid"])):
            of = {name: array[layer, keep].astype(np.float64) for name, array in values.items()}
            summaries = {f"r_mlp{suffix}": correlations(of["path_mlp"], of["path_resid"], left_out)}
            if not suffix:
                summaries["r_attn"] = correlations(of["path_attn"], of["path_resid"], left_out)
                summaries["length_resid"] = means(of["path_resid"], left_out)
                summaries["cosine"] = means(of["cosine_attn_mlp"], left_out)
            for statistic, kinds in summaries.items():
                for kind, found in kinds.items():
                    table = pd.DataFrame({"draw": np.arange(len(found), dtype=np.int32), "value": found})
                    parts.append(table.assign(statistic=statistic, layer=layer, kind=kind))
    return pd.concat(parts, ignore_index=True).assign(
        sequences=len(np.unique(sequences)), types_effective=effective_number(types)
    )


def correlations(x: np.ndarray, y: np.ndarray, left_out: dict[str, LeftOut]) -> dict[str, np.ndarray]:
    """Pearson's r of ``x`` and ``y`` [tokens]: kind → [draws]."""
    rows, y_unit = unit(x[None]), unit(y)
    return {"observed": pearson(x[None], y)} | {
        kind: LeftOutPearson(parts, y_unit).of(rows)[0] for kind, parts in left_out.items()
    }


def means(x: np.ndarray, left_out: dict[str, LeftOut]) -> dict[str, np.ndarray]:
    """Mean of ``x`` [tokens]: kind → [draws]."""
    return {"observed": np.array([x.mean()])} | {kind: parts.means(x) for kind, parts in left_out.items()}
