"""Q, K and V of the target and the non-target token of every sentence, in every layer: one HDF5 file per model.

``/{q,k,v}/layer_{layer}`` has the shape [2, sentences, width]: target first, non-target second. With grouped-query
attention K and V are narrower than Q.
"""

from pathlib import Path
from typing import Any

import numpy as np

from layerscope.extract.activation_shards import dataset_name
from layerscope.io.errors import reading
from layerscope.io.hdf5 import new_hdf5, open_hdf5, read_dataset, write_dataset
from layerscope.studies.token_similarity.sentences import TOKENS

FORMAT = "layerscope token vectors 3"
PLACE = "token_similarity/{model}/vectors.h5"


def write_vectors(path: str | Path, datasets: dict[str, np.ndarray], attributes: dict[str, Any]) -> None:
    """Write vectors, the sentences' tokens and the chosen places, each by its name in the file."""
    with new_hdf5(path, {"format": FORMAT, **attributes}) as file:
        for name, values in datasets.items():
            write_dataset(file, name, values)


def read_vectors(path: str, layer: int) -> tuple[dict[str, dict[str, np.ndarray]], int]:
    """Vectors of one layer: token (target, non_target) → q, k or v → float32 [sentences, width].

    Also into how many tokens the target is split, at most.

    Raises:
        UserError: the file is damaged, or not that of its place.
    """
    with reading(path), open_hdf5(path, {FORMAT: PLACE}) as (file, _):
        arrays = {site: read_dataset(file, dataset_name(site, layer)) for site in "qkv"}
        pieces = int(read_dataset(file, "places/target_pieces").max())
    return {token: {site: arrays[site][i] for site in "qkv"} for i, token in enumerate(TOKENS)}, pieces
