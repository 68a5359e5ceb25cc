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
    # The same is left out with the first tokens and without, so that the two can be compared.
    left_out = left_out_of_text(tokens.sequence, tokens.input_ids, np.random.default_rng(0))
    parts = []
    for suffix, keep in (("", tokens.position > 0), ("_all", np.ones(len(tokens), dtype=bool))):
        for layer in range(len(values["path_resid"])):
            of = {name: array[layer].astype(np.float64) for name, array in values.items()}
            summaries = {f"r_mlp{suffix}": correlations(of["path_mlp"], of["path_resid"], keep, left_out)}
            if not suffix:
                summaries["r_attn"] = correlations(of["path_attn"], of["path_resid"], keep, left_out)
                summaries["length_resid"] = means(of["path_resid"], keep, left_out)
                summaries["cosine"] = means(of["cosine_attn_mlp"], keep, left_out)
            for statistic, kinds in summaries.items():
                for kind, found in kinds.items():
                    table = pd.DataFrame({"draw": np.arange(len(found), dtype=np.int32), "value": found})
                    parts.append(table.assign(statistic=statistic, layer=layer, kind=kind))
    return pd.concat(parts, ignore_index=True).assign(
        sequences=len(np.unique(tokens.sequence)), types_effective=effective_number(tokens.input_ids)
    )


def correlations(x: np.ndarray, y: np.ndarray, keep: np.ndarray, left_out: dict[str, LeftOut]) -> dict[str, np.ndarray]:
    """Pearson's r of ``x`` and ``y`` [tokens] over the tokens ``keep``: kind → [draws]."""
    both = np.zeros((2, len(x)))
    both[:, keep] = unit(np.stack([x[keep], y[keep]]))
    found = {"observed": pearson(x[None, keep], y[keep])}
    for kind, parts in left_out.items():
        found[kind] = LeftOutPearson(parts, both[1], keep).of(both[:1])[0]
    return found


def means(x: np.ndarray, keep: np.ndarray, left_out: dict[str, LeftOut]) -> dict[str, np.ndarray]:
    """Mean of ``x`` [tokens] over the tokens ``keep``: kind → [draws]."""
    observed = {"observed": np.array([x[keep].mean()])}
    return observed | {kind: parts.means(x, keep) for kind, parts in left_out.items()}
