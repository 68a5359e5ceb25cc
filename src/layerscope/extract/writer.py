"""Writing of activation shards, batch by batch, so that memory does not grow with the number of tokens."""

from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypedDict

import h5py
import numpy as np
import xxhash

from layerscope.extract.activation_shards import FORMAT, dataset_name, manifest_of, verify_structure
from layerscope.io.errors import UserError
from layerscope.io.files import partial_file, sync, write_json
from layerscope.io.hdf5 import set_attribute, set_root_attributes
from layerscope.model.finite import not_finite
from layerscope.tokenize.token_shards import Tokens

CHUNK = (512, 256)  # rows x columns: extraction writes blocks of rows, statistics read blocks of columns


class StorageSpec(TypedDict):
    """How activations are stored."""

    storage_dtype: Literal["float32", "float16"]
    compression: Literal["none", "lzf", "gzip"]


class ActivationShardWriter:
    """Writes one shard, batch by batch; datasets are made as the first batch shows their widths.

    Use as a context manager; :meth:`finish` gives the file its final name and writes its manifest beside it.
    """

    def __init__(
        self,
        path: str | Path,
        tokens: Tokens,
        attributes: dict[str, Any],
        storage_dtype: str,
        compression: str,
    ) -> None:
        self.path = Path(path)
        self.model = attributes.get("model", "")
        self.temporary = partial_file(self.path)
        self.tokens, self.tokens_digest = len(tokens), tokens.digest()
        self.dtype = np.dtype(storage_dtype)
        self.options = {"compression": None if compression == "none" else compression, "fletcher32": True}
        if compression != "none":
            self.options["shuffle"] = True
        self.rows: dict[str, int] = {}
        self.digests: dict[str, Any] = {}
        self.ranges: dict[str, tuple[float, float]] = {}
        self.file = h5py.File(self.temporary, "w", libver="latest", rdcc_nbytes=0)
        set_root_attributes(self.file, {"format": FORMAT, "storage_dtype": storage_dtype, **attributes})
        tokens.write(self.file.create_group("tokens"))

    def append(self, site: str, layer: int, values: np.ndarray) -> None:
        """Append the next rows [batch tokens, width].

        Raises:
            UserError: values that are not finite, or too large for float16 storage.
        """
        name = dataset_name(site, layer)
        row = self.rows.get(name, 0)
        low, high = float(values.min()), float(values.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            raise not_finite(self.model, site, layer, values)
        limit = float(np.finfo(self.dtype).max)
        if max(-low, high) > limit:
            raise UserError(
                f"models.{self.model}: {site} of layer {layer} reaches {max(-low, high):.4g}, more than {self.dtype} "
                f"can store ({limit:.4g}); set extraction.storage_dtype: float32"
            )
        stored = np.ascontiguousarray(values, dtype=self.dtype)
        # The range of what is stored: rounded values may lie outside that of the computed ones.
        low, high = float(self.dtype.type(low)), float(self.dtype.type(high))
        if name not in self.rows:
            width = stored.shape[1]
            chunks = (min(CHUNK[0], self.tokens), min(CHUNK[1], width))
            self.file.create_dataset(name, (self.tokens, width), self.dtype, chunks=chunks, **self.options)
            self.digests[name] = xxhash.xxh3_128()
            self.ranges[name] = (low, high)
        self.file[name][row : row + len(stored)] = stored
        self.digests[name].update(stored)
        self.ranges[name] = (min(low, self.ranges[name][0]), max(high, self.ranges[name][1]))
        self.rows[name] = row + len(stored)

    def finish(self) -> dict[str, Any]:
        """Close, sync, verify and rename the file; write and return its manifest.

        Killed between the two, the file has no manifest, or that of another: then it is refused on reading.

        Raises:
            UserError: rows are missing, or what is on disk is not what was written.
        """
        for name, rows in self.rows.items():
            if rows != self.tokens:
                raise UserError(f"{self.path}: {name} has {rows} of {self.tokens} rows; nothing was kept")
        datasets = {}
        for name in sorted(self.rows):
            low, high = self.ranges[name]
            described = {"digest": self.digests[name].hexdigest(), "minimum": low, "maximum": high}
            for key, value in described.items():
                set_attribute(self.file[name], key, value)
            datasets[name] = {"shape": list(self.file[name].shape), **described}
        self.file.close()
        sync(self.temporary)
        manifest = {
            "format": FORMAT,
            "dtype": str(self.dtype),
            "tokens": self.tokens,
            "tokens_digest": self.tokens_digest,
            "datasets": datasets,
        }
        verify_structure(self.temporary, manifest)
        self.temporary.replace(self.path)
        sync(self.path.parent)
        write_json(manifest_of(self.path), manifest)
        return manifest

    def __enter__(self) -> "ActivationShardWriter":
        return self

    def __exit__(self, *exception: object) -> None:
        # Where writing failed (a full disk), closing fails too; the first error is the one to show.
        with suppress(Exception):
            self.file.close()
        self.temporary.unlink(missing_ok=True)
