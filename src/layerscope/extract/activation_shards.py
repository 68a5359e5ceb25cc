"""Activation shards: one HDF5 file a model, corpus and shard, one dataset a site and layer.

``/{site}/layer_{layer}`` has the shape [tokens, width], tokens in corpus order; ``/tokens`` is the token shard. The
root attributes say everything needed to understand the file alone. A small manifest (JSON) beside the file holds what
later stages need to plan and to check: shapes, ranges, digests.
"""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from layerscope.errors import UserError
from layerscope.tokenize.token_shards import Tokens

FORMAT = "layerscope activations 1"


def dataset_name(site: str, layer: int) -> str:
    return f"{site}/layer_{layer:02d}"


def verify_structure(path: Path, manifest: dict[str, Any]) -> None:
    """Hold a file's format, datasets, shapes and recorded digests against its manifest.

    Raises:
        UserError: they differ.
    """
    try:
        with h5py.File(path) as file:
            if file.attrs["format"] != manifest["format"]:
                raise UserError(f"{path}: format {file.attrs['format']!r}, expected {manifest['format']!r}")
            for name, expected in manifest["datasets"].items():
                dataset = file[name]
                found = {"shape": list(dataset.shape), "digest": dataset.attrs["digest"]}
                if any(found[key] != expected[key] for key in found):
                    raise UserError(f"{path}: {name} is not what was written; delete the file and run again")
    except (OSError, KeyError) as error:
        raise UserError(f"{path}: damaged ({error}); delete the file and run again") from error


class LayerReader:
    """Activations of one site and layer over all shards of a sample, read by blocks of neurons."""

    def __init__(self, paths: list[str], site: str, layer: int) -> None:
        self.paths, self.name = paths, dataset_name(site, layer)
        self.files: list[h5py.File] = []

    def __enter__(self) -> "LayerReader":
        for path in self.paths:
            try:
                self.files.append(h5py.File(path))
            except OSError as error:
                self.__exit__()
                raise UserError(f"{path}: cannot be read ({error}); delete the file and run again") from error
            if self.name not in self.files[-1]:
                self.__exit__()
                raise UserError(
                    f"{path}: holds no {self.name}; delete the file and run again, or, in a study of your own, add the "
                    "site to Specs.sites"
                )
        return self

    def __exit__(self, *exception: object) -> None:
        for file in self.files:
            file.close()

    @property
    def width(self) -> int:
        return self.files[0][self.name].shape[1]

    def tokens(self) -> Tokens:
        parts = []
        for path, file in zip(self.paths, self.files, strict=True):
            try:
                parts.append(Tokens.read(file["tokens"]))
            except (OSError, KeyError) as error:
                raise UserError(f"{path}: tokens are damaged ({error}); delete the file and run again") from error
        return Tokens.join(parts)

    def columns(self, start: int, stop: int) -> np.ndarray:
        """Activations of neurons ``start`` to ``stop`` as float32 [neurons, tokens]."""
        parts = []
        for path, file in zip(self.paths, self.files, strict=True):
            try:
                parts.append(file[self.name][:, start:stop].T.astype(np.float32, copy=False))
            except OSError as error:
                raise UserError(f"{path}: {self.name} is damaged ({error}); delete the file and run again") from error
        return np.ascontiguousarray(np.concatenate(parts, axis=1))

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Activations of tokens ``start`` to ``stop`` of the sample as float32 [tokens, neurons]."""
        parts, first = [], 0
        for path, file in zip(self.paths, self.files, strict=True):
            dataset = file[self.name]
            here = slice(max(start - first, 0), max(stop - first, 0))
            try:
                parts.append(dataset[here].astype(np.float32, copy=False))
            except OSError as error:
                raise UserError(f"{path}: {self.name} is damaged ({error}); delete the file and run again") from error
            first += len(dataset)
        return np.concatenate(parts)
