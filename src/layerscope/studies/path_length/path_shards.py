"""Path-length shards: HDF5, with co-moments of all tokens of a token shard, and the quantities of the stored ones."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from layerscope.io.errors import reading
from layerscope.io.hdf5 import new_hdf5, open_hdf5, read_dataset, write_dataset
from layerscope.stats.document_clusters import CLUSTERS
from layerscope.studies.path_length.comoments import FILTERS, CoMoments, comoments_of, filters_of
from layerscope.studies.path_length.lengths import QUANTITIES, Values, chosen
from layerscope.tokenize.token_shards import Tokens

FORMAT = "layerscope path lengths 5"
PLACE = "path_length/{model}/shard_{shard:04d}.h5"
# What the axes of co-moments are.
AXES = {
    "quantities": ", ".join(QUANTITIES),
    "token_filters": ", ".join(FILTERS),
    "cluster_of_document": f"number % {CLUSTERS}",
}


@dataclass(frozen=True, eq=False)
class PathShard:
    """What a path-length shard holds."""

    comoments: CoMoments  # groups [filters, clusters]
    documents: pd.DataFrame  # one row per document: its number, and per filter its tokens that take part
    quantities: Values  # of the stored tokens
    tokens: Tokens  # the stored ones
    included: np.ndarray  # [stored tokens], bool, which of them take part in statistics
    attributes: dict[str, Any]


def write_path_shard(
    path: str | Path,
    values: Values,
    tokens: Tokens,
    included: np.ndarray,
    attributes: dict[str, Any],
    stored_sequences: int | None = None,
) -> None:
    """Write co-moments of quantities [layers, tokens], and the quantities of the first sequences.

    Args:
        included: [tokens], bool, those that take part in statistics.
        attributes: what says how the values came about.
        stored_sequences: how many sequences' quantities are stored; default: all.
    """
    number = tokens.sequence - tokens.sequence.min()
    if stored_sequences is None:
        stored_sequences = int(number.max()) + 1
    kept = tokens.part(0, int(np.searchsorted(number, stored_sequences)))
    attributes = {**attributes, **AXES, "stored_sequences": stored_sequences}
    with new_hdf5(path, {"format": FORMAT, **attributes, "stored_tokens_digest": kept.digest()}) as file:
        comoments = comoments_of(values, tokens, included)
        for field in fields(comoments):
            compress = {"chunks": True, "compression": "gzip"}  # clusters may be empty, and products are symmetric
            write_dataset(file, f"comoments/{field.name}", getattr(comoments, field.name), **compress)
        for name, column in _documents(tokens, included).items():
            write_dataset(file, f"documents/{name}", column.to_numpy(), chunks=True)
        if len(kept):
            kept.write(file.create_group("tokens"))
            write_dataset(file, "included", included[: len(kept)], chunks=True)
            for name, array in chosen(values, slice(len(kept))).items():
                write_dataset(file, name, array, chunks=True)


def _documents(tokens: Tokens, included: np.ndarray) -> pd.DataFrame:
    numbers, document = np.unique(tokens.document, return_inverse=True)
    counts = {
        name: np.bincount(document[keep], minlength=len(numbers)) for name, keep in filters_of(tokens, included).items()
    }
    return pd.DataFrame({"number": numbers, **counts})


def read_path_shard(path: str | Path) -> PathShard:
    """All of a shard.

    Raises:
        UserError: it is damaged, or not that of its place.
    """
    with reading(path), open_hdf5(path, {FORMAT: PLACE}) as (file, attributes):
        comoments = CoMoments(**{f.name: read_dataset(file, f"comoments/{f.name}") for f in fields(CoMoments)})
        documents = pd.DataFrame({name: read_dataset(file, f"documents/{name}") for name in ("number", *FILTERS)})
        if attributes["stored_sequences"]:
            tokens = Tokens.read(file, attributes["stored_tokens_digest"])
            included = read_dataset(file, "included")
            values = {name: read_dataset(file, name) for name in QUANTITIES}
        else:
            nothing = np.zeros(0, dtype=np.int32)
            tokens, included = Tokens(*[nothing] * len(fields(Tokens))), nothing.astype(bool)
            values = dict.fromkeys(QUANTITIES, np.zeros((comoments.means.shape[-2], 0), dtype=np.float32))
        return PathShard(comoments, documents, values, tokens, included, attributes)
