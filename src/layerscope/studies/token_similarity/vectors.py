"""Q, K and V of the target and the non-target token of every sentence, in every layer: one HDF5 file per model.

``/{q,k,v}/layer_{layer}`` has the shape [2, sentences, width]: target first, non-target second. With grouped-query
attention K and V are narrower than Q.
"""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from layerscope.extract.activation_shards import dataset_name
from layerscope.io.errors import reading
from layerscope.io.files import digest_of, whole_file
from layerscope.io.root_attributes import attributes_of, checked_attributes, set_attribute, set_root_attributes
from layerscope.studies.token_similarity.sentences import TOKENS

FORMAT = "layerscope token vectors 3"
PLACE = "token_similarity/{model}/vectors.h5"


def write_vectors(path: str | Path, datasets: dict[str, np.ndarray], attributes: dict[str, Any]) -> None:
    """Write vectors, the sentences' tokens and the chosen places, each by its name in the file."""
    with whole_file(path) as temporary, h5py.File(temporary, "w", libver="latest") as file:
        set_root_attributes(file, {"format": FORMAT, **attributes})
        for name, values in datasets.items():
            dataset = file.create_dataset(name, data=values, fletcher32=True)
            set_attribute(dataset, "digest", digest_of([values.tobytes()]))


def read_vectors(path: str, layer: int) -> tuple[dict[str, dict[str, np.ndarray]], int]:
    """Vectors of one layer: token (target, non_target) → q, k or v → float32 [sentences, width].

    Also into how many tokens the target is split, at most.

    Raises:
        UserError: the file is damaged, or not that of its place.
    """
    with reading(path), h5py.File(path) as file:
        checked_attributes(file, path, FORMAT, PLACE)
        arrays = {site: _read(file[dataset_name(site, layer)]) for site in "qkv"}
        pieces = int(_read(file["places/target_pieces"]).max())
    return {token: {site: arrays[site][i] for site in "qkv"} for i, token in enumerate(TOKENS)}, pieces


def _read(dataset: h5py.Dataset) -> np.ndarray:
    values = dataset[:]
    if digest_of([values.tobytes()]) != attributes_of(dataset).get("digest"):
        raise ValueError(f"{dataset.name} differs from what was written")
    return values
