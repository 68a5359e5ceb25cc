"""What the statistics read of the path-length shards of a sample."""

from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from layerscope.io.errors import UserError
from layerscope.io.provenance import check_same_run
from layerscope.studies.path_length.comoments import FILTERS, CoMoments, filters_of
from layerscope.studies.path_length.lengths import Values, chosen, join
from layerscope.studies.path_length.path_shards import read_path_shard
from layerscope.tokenize.token_shards import Tokens


@dataclass(frozen=True, eq=False)
class PathSample:
    """Co-moments of all tokens of a sample that take part in statistics, and quantities of those that are stored."""

    comoments: CoMoments  # groups [filters, clusters]
    documents: dict[str, int]  # filter → documents of its tokens
    quantities: Values  # of the stored tokens that take part, [layers, tokens]
    tokens: Tokens  # those
    filters: dict[str, np.ndarray]  # filter → which of those, [tokens], bool


def read_sample(paths: list[str]) -> PathSample:
    """Read the shards of a sample, one after another; only one is in memory.

    Args:
        paths: path-length shards of the sample, in order.

    Raises:
        UserError: a shard is damaged, or not that of its place; the shards are not of one run; or too few tokens are
            left for a correlation.
    """
    attributes, documents, stored, read = {}, [], [], 0
    comoments: CoMoments | None = None
    for path in paths:
        shard = read_path_shard(path)
        attributes[path] = shard.attributes
        comoments = shard.comoments if comoments is None else comoments.merged(shard.comoments)
        documents.append(shard.documents)
        read += len(shard.tokens)
        kept = {field.name: getattr(shard.tokens, field.name)[shard.included] for field in fields(Tokens)}
        stored.append((chosen(shard.quantities, shard.included), Tokens(**kept)))
    assert comoments is not None
    check_same_run(attributes)
    tokens = Tokens.join(part for _, part in stored)
    filters = filters_of(tokens, np.ones(len(tokens), dtype=bool))
    if filters["without_first"].sum() < 3:
        raise UserError(
            f"path_length: of the sample's {read} tokens that are stored, fewer than three are neither special tokens, "
            "nor pieces of characters, nor the first of a sequence; use more text"
        )
    counts = pd.concat(documents).groupby("number").sum()
    of = {name: int((counts[name] > 0).sum()) for name in FILTERS}
    return PathSample(comoments, of, join(values for values, _ in stored), tokens, filters)
