"""Activation shards: one HDF5 file a model, corpus and shard, one dataset a site and layer.

``/{site}/layer_{layer}`` has the shape [tokens, width], tokens in corpus order; ``/tokens`` is the token shard. The
root attributes say everything needed to understand the file alone. A small manifest (JSON) beside the file holds what
later stages need to plan and to check: shapes, ranges, digests.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import xxhash

from layerscope.io.errors import UserError, damaged, reading
from layerscope.io.files import read_json
from layerscope.io.hdf5 import attributes_of, check_format, open_hdf5
from layerscope.io.provenance import check_same_run
from layerscope.tokenize.token_shards import Tokens

FORMAT = "layerscope activations 3"
PLACE = "activations/{model}/{corpus}/shard_{shard:04d}.h5"


def dataset_name(site: str, layer: int) -> str:
    return f"{site}/layer_{layer:02d}"


def manifest_of(path: str | Path) -> Path:
    """Where the manifest of a shard is."""
    return Path(path).with_suffix(".json")


def verify_structure(path: Path, manifest: dict[str, Any]) -> None:
    """Hold a file's format, datasets, shapes and recorded digests against its manifest.

    Raises:
        UserError: they differ.
    """
    with reading(path), h5py.File(path) as file:
        check_format(path, attributes_of(file).get("format"), manifest["format"])
        for name, expected in manifest["datasets"].items():
            dataset = file[name]
            if (list(dataset.shape), attributes_of(dataset).get("digest")) != (expected["shape"], expected["digest"]):
                raise damaged(path, f"{name} is not what was written")


class ActivationShard:
    """One shard, open for reading; what it gives was held against its manifest. Use as a context manager.

    Raises:
        UserError: on opening, the shard or its manifest is damaged, of another format, or not that of its place.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = path
        with reading(manifest_of(path)):
            manifest = read_json(manifest_of(path))
            check_format(manifest_of(path), manifest["format"], FORMAT)
            self.tokens_digest, self.expected = manifest["tokens_digest"], manifest["datasets"]
        with reading(path), ExitStack() as stack:
            self.file, self.attributes = stack.enter_context(open_hdf5(path, {FORMAT: PLACE}))
            self.opened = stack.pop_all()

    def tokens(self) -> Tokens:
        """The tokens.

        Raises:
            UserError: they are not those that were written.
        """
        with reading(self.path, "/tokens"):
            return Tokens.read(self.file, self.tokens_digest)

    def dataset(self, name: str) -> h5py.Dataset:
        """A dataset [tokens, width] after its values were read once, a chunk's rows at a time, for their digest.

        Raises:
            UserError: there is none, or its values are not those that were written.
        """
        if name not in self.expected:
            missing = damaged(self.path, f"holds no {name}")
            raise UserError(f"{missing}; in a study of your own, add the site to Specs.sites")
        digest = xxhash.xxh3_128()
        with reading(self.path, name):
            dataset = self.file[name]
            if list(dataset.shape) == self.expected[name]["shape"]:
                for start in range(0, len(dataset), dataset.chunks[0]):
                    digest.update(dataset[start : start + dataset.chunks[0]])
        if digest.hexdigest() != self.expected[name]["digest"]:
            raise damaged(self.path, f"{name} differs from what was written")
        return dataset

    def __enter__(self) -> "ActivationShard":
        return self

    def __exit__(self, *exception: object) -> None:
        self.opened.close()


class LayerReader:
    """Activations of one site and layer over all shards of a sample, read by blocks of neurons.

    Opening it reads them all once, so that nothing is computed from values that are not those that were written.

    Args:
        paths: shards of the sample, in order.
        tables: tables of the sample's tokens that the activations are to meet.

    Raises:
        UserError: on opening, and on reading, a shard is damaged, or not that of its place or of its manifest; on
            opening, shards and tables are not of one run.
    """

    def __init__(self, paths: list[str], site: str, layer: int, tables: Sequence[pd.DataFrame] = ()) -> None:
        self.paths, self.tables, self.name = paths, tables, dataset_name(site, layer)

    def __enter__(self) -> "LayerReader":
        with ExitStack() as stack:
            self.shards = [stack.enter_context(ActivationShard(path)) for path in self.paths]
            attributes = {path: shard.attributes for path, shard in zip(self.paths, self.shards, strict=True)}
            check_same_run(attributes, [table.attrs for table in self.tables])
            self.datasets = [shard.dataset(self.name) for shard in self.shards]
            self.opened = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self.opened.close()

    @property
    def width(self) -> int:
        return self.datasets[0].shape[1]

    def tokens(self) -> Tokens:
        return Tokens.join(shard.tokens() for shard in self.shards)

    def columns(self, start: int, stop: int) -> np.ndarray:
        """Activations of neurons ``start`` to ``stop`` as float32 [neurons, tokens]."""
        parts = []
        for path, dataset in zip(self.paths, self.datasets, strict=True):
            with reading(path, self.name):
                parts.append(dataset[:, start:stop].T.astype(np.float32, copy=False))
        return np.ascontiguousarray(np.concatenate(parts, axis=1))

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Activations of tokens ``start`` to ``stop`` of the sample as float32 [tokens, neurons]."""
        parts, first = [], 0
        for path, dataset in zip(self.paths, self.datasets, strict=True):
            here = slice(max(start - first, 0), max(stop - first, 0))
            with reading(path, self.name):
                parts.append(dataset[here].astype(np.float32, copy=False))
            first += len(dataset)
        return np.concatenate(parts)
