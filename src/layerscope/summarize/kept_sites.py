"""The table of what the key ``activations`` keeps: one row per model, corpus, site and way of keeping it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypedDict

import h5py
import pandas as pd

from layerscope.extract.activation_shards import FORMAT, PLACE, dataset_name
from layerscope.io.errors import reading
from layerscope.io.hdf5 import read_root_attributes
from layerscope.summarize.summary_shards import FORMAT as SUMMARY_FORMAT
from layerscope.summarize.summary_shards import place_of


class KeptSite(TypedDict):
    """A site of a model on a corpus."""

    model: str
    tokenizer: str
    corpus: str
    site: str
    kept: Literal["stored", "summarized"]
    shards: int


def kept_sites(results: Path, rows: Sequence[KeptSite]) -> pd.DataFrame:
    """What is known of each site from the first of its shards.

    Args:
        results: the folder of results.

    Returns:
        The rows, and ``layers``, ``width`` (numbers per token), ``tokens`` in all, and ``files``, a pattern for the
        paths of the shards.

    Raises:
        UserError: a shard is damaged, or not that of its place.
    """
    return pd.DataFrame([{**row, **_described(results, row)} for row in rows])


def _described(results: Path, row: KeptSite) -> dict[str, int | str]:
    stored = row["kept"] == "stored"
    place = PLACE if stored else place_of(row["site"])
    shard = results / place.format(**row, shard=0)
    attributes = read_root_attributes(shard, {FORMAT if stored else SUMMARY_FORMAT: place})
    first = dataset_name(row["site"], 0)
    with reading(shard, first), h5py.File(shard) as file:
        width = file[first].shape[1] if stored else len(file[first]["pilot"])
        layers = len(file[row["site"]])
    return {
        "layers": layers,
        "width": width,
        "tokens": row["shards"] * attributes["sequences"] * attributes["sequence_length"],
        "files": str(Path(place.format(**row, shard=0)).with_name("shard_*.h5")),
    }
