"""How large a model is, from its files, its record or what was stored of it, for what its jobs ask of a cluster.

Snakemake asks for each job, so what a file says is kept until the file changes.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, wraps
from pathlib import Path
from typing import TypeVar

from layerscope.fetch.places import is_local
from layerscope.io.errors import UserError
from layerscope.io.files import read_json
from layerscope.model.architecture import OF_NEURONS, VOCABULARY
from layerscope.model.model_config import architecture, read_model_config


@dataclass(frozen=True)
class ModelSize:
    """Of the base model, without its language-modelling head."""

    layers: int
    hidden: int
    mlp: int  # width of the MLP
    weights_per_layer: int
    embeddings: int  # weights
    eager_heads: int = 0  # of attention, where transformers computes the scores of all tokens at once
    query: int | None = None  # width of q, where it is not that of the stream
    key: int | None = None  # likewise of k and v
    file_bytes: int | None = None  # of a weight in its files, where config.json says it

    @property
    def weights(self) -> int:
        return self.layers * self.weights_per_layer + self.embeddings

    def width(self, site: str) -> int:
        """Numbers that a site has for each token."""
        match site:
            case "q":
                return self.query or self.hidden
            case "k" | "v":
                return self.key or self.hidden
        return self.mlp if site in OF_NEURONS else self.hidden

    def operations(self, tokens: float) -> float:
        """Floating-point operations of a forward pass, without those between tokens in attention."""
        return 2 * self.layers * self.weights_per_layer * tokens


PRECISIONS = {"float32": 4, "float16": 2, "bfloat16": 2}  # bytes
UNKNOWN = ModelSize(1, 1, 1, 0, 0)
Read = TypeVar("Read")


def until_changed(read: Callable[[str], Read]) -> Callable[[str], Read]:
    """A function of a file that keeps its result until the file changes."""

    @cache
    def read_at(path: str, changed: int) -> Read:
        return read(path)

    @wraps(read)
    def current(path: str) -> Read:
        return read_at(path, os.stat(path).st_mtime_ns)  # noqa: PTH116  as in file_size

    return current


@until_changed
def model_size(record: str) -> ModelSize:
    """The size of a model.

    Args:
        record: path of its record.

    Raises:
        FileNotFoundError: it has not been fetched yet.
    """
    try:
        return _size(read_json(record)["path"])
    except (UserError, KeyError, TypeError):  # the job says what is wrong
        return UNKNOWN


@cache  # rules ask while the Snakefile is read
def local_model_size(source: str) -> ModelSize | None:
    """The size of a model on this machine; None of one on the hub, or if its files do not say."""
    if not is_local(source):
        return None
    try:
        return _size(source)
    except (UserError, KeyError, TypeError):  # the job says what is wrong
        return None


def known_size(source: str, record: str) -> ModelSize | None:
    """The size of a model before it is loaded: of one on this machine, or that was fetched; else None.

    Args:
        record: path of its record, which may not be there.
    """
    if is_local(source) or not Path(record).exists():
        return local_model_size(source)
    return model_size(record)


def _size(folder: str) -> ModelSize:
    config = read_model_config(folder)
    found = architecture("", config)
    layers, hidden, mlp = found.layers("", config), config[found.names.hidden], found.width(config, "mlp_pre")
    q, k, v = (found.width(config, site) for site in "qkv")
    projections = 3 if "gate" in found.mlp_in.module else 2
    positions = found.positions("", config) if found.norm == "LayerNorm" else 0  # others have rotary embeddings
    embeddings = (config[VOCABULARY] + (positions or 0)) * hidden
    eager_heads = config[found.names.heads] if found.attention == "eager" else 0
    of_layer = hidden * (2 * q + k + v + projections * mlp)
    dtype = config.get("dtype") or config.get("torch_dtype")
    file_bytes = PRECISIONS.get(dtype) if isinstance(dtype, str) else None
    return ModelSize(layers, hidden, mlp, of_layer, embeddings, eager_heads, q, k, file_bytes)


@until_changed
def stored_width(manifest: str) -> int:
    """The width of the widest site in an activation shard.

    Args:
        manifest: path of its manifest.

    Raises:
        FileNotFoundError: it has not been written yet.
    """
    try:
        return max(dataset["shape"][1] for dataset in read_json(manifest)["datasets"].values())
    except (UserError, ValueError, KeyError, TypeError, AttributeError):  # the job says what is wrong
        return UNKNOWN.mlp


def file_size(path: str) -> int:
    """Bytes of a file.

    Raises:
        FileNotFoundError: it has not been written yet.
    """
    return os.stat(path).st_size  # noqa: PTH116  Snakemake knows a missing input by its path as a text
