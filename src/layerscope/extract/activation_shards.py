"""Activation shards: one HDF5 file per model, corpus and shard, one dataset per site and layer.

``/{site}/layer_{layer}`` has the shape [tokens, width], tokens in corpus order; ``/tokens`` is the token shard. The
root attributes say everything needed to understand the file alone. A small manifest (JSON) beside the file holds what
later stages need to plan and to check: shapes, ranges, digests.
"""

from collections.abc import Iterable, Iterator, Sequence
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

FORMAT = "layerscope activations 4"
PLACE = "activations/{model}/{corpus}/shard_{shard:04d}.h5"

BLOCK_BYTES = 32 << 20  # of a block of neurons in float64, so that memory does not grow with the number of tokens
HELD_BYTES = 128 << 20  # of activations that are held: a layer of GPT-Neo 125M on 8,192 tokens has 96 MiB
CACHED_TOKENS = 256  # whose activations stay in the cache while they are transposed: a third of the time


def dataset_name(site: str, layer: int) -> str:
    return f"{site}/layer_{layer:02d}"


def manifest_of(path: str | Path) -> Path:
    """Where the manifest of a shard is."""
    return Path(path).with_suffix(".json")


def verify_structure(path: Path, manifest: dict[str, Any]) -> None:
    """Check a file's format, datasets, shapes and recorded digests against its manifest.

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
    """One shard, open for reading; what it gives is checked against its manifest. Use as a context manager.

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

    def values(self, name: str) -> np.ndarray:
        """A dataset [tokens, width].

        Raises:
            UserError: there is none, or its values are not those that were written.
        """
        reading_pass = self.reading_pass(name)
        return reading_pass.rows(reading_pass.dataset.shape[0])

    def reading_pass(self, name: str) -> "ReadingPass":
        """A new pass over a dataset.

        Raises:
            UserError: there is none, or not of the shape that was written.
        """
        if name not in self.expected:
            missing = damaged(self.path, f"holds no {name}")
            raise UserError(f"{missing}; in a study of your own, add the site to its sites")
        with reading(self.path, name):
            dataset = self.file[name]
            if list(dataset.shape) != self.expected[name]["shape"]:
                raise damaged(self.path, f"{name} differs from what was written")
            return ReadingPass(self.path, dataset, name, self.expected[name]["digest"])

    def __enter__(self) -> "ActivationShard":
        return self

    def __exit__(self, *exception: object) -> None:
        self.opened.close()


class ReadingPass:
    """The rows of a dataset in order, whose digest is taken as they are read."""

    def __init__(self, path: str | Path, dataset: h5py.Dataset, name: str, expected: str) -> None:
        self.path, self.dataset, self.name, self.expected = path, dataset, name, expected
        self.read, self.digest = 0, xxhash.xxh3_128()

    def rows(self, count: int) -> np.ndarray:
        """The next rows, as many as there still are of ``count``: [rows, width], as stored.

        Raises:
            UserError: they cannot be read, or are the last and the values are not those that were written.
        """
        with reading(self.path, self.name):
            values = self.dataset[self.read : self.read + count]
        self.digest.update(values)
        self.read += len(values)
        if self.read == len(self.dataset) and self.digest.hexdigest() != self.expected:
            raise damaged(self.path, f"{self.name} differs from what was written")
        return values


class LayerReader:
    """Activations of one site and layer over all shards of a sample. Use as a context manager.

    One shard is open at a time, since a sample may have more of them than a process may open files. Whoever reads them
    to the end knows that they are those that were written: then their digests have been compared.

    Args:
        paths: shards of the sample, in order.
        tables: tables of the sample's tokens that the activations are to meet.

    Raises:
        UserError: on opening and on reading, a shard is damaged, or not that of its place or of its manifest; on
            opening, shards and tables are not of one run.
    """

    def __init__(self, paths: list[str], site: str, layer: int, tables: Sequence[pd.DataFrame] = ()) -> None:
        self.paths, self.tables, self.name = paths, tables, dataset_name(site, layer)

    def __enter__(self) -> "LayerReader":
        attributes = {}
        for path in self.paths:
            with ActivationShard(path) as shard:
                attributes[path] = shard.attributes
        check_same_run(attributes, [table.attrs for table in self.tables], parts=True)
        self.attributes = attributes[self.paths[0]]
        self.lengths, self.steps = [], []  # of each shard: tokens, and how many of them are stored together
        for one in self._passes():
            self.lengths.append(len(one.dataset))
            self.steps.append(one.dataset.chunks[0])
            self.width, self.dtype = one.dataset.shape[1], one.dataset.dtype
        return self

    def __exit__(self, *exception: object) -> None:
        self.opened.close()

    def tokens(self) -> Tokens:
        def of_shards() -> Iterator[Tokens]:
            for path in self.paths:
                with ActivationShard(path) as shard:
                    yield shard.tokens()

        return Tokens.join(of_shards())

    def blocks(self, keep: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Activations by blocks of neurons: the first neuron of each, and float32 [neurons, tokens to keep] in C order.

        Nothing is handed out before the digests of all values were compared. Where ``HELD_BYTES`` hold the layer, it is
        read once, in the order in which it is stored; else once more, for some hundred neurons at a time, whose
        activations take the place of those before them.

        Args:
            keep: [tokens], bool.
        """
        tokens = int(np.count_nonzero(keep))
        size = 4 * max(1, tokens)  # bytes of a neuron
        block = max(1, BLOCK_BYTES // (8 * len(keep)))
        held = block * max(1, HELD_BYTES // (block * size))  # neurons
        values = np.empty((min(held, self.width), tokens), np.float32)
        if held < self.width:
            self.check()
        for first in range(0, self.width, held):
            part = values[: self.width - first]
            chunks = self._in_order(self._chunks()) if held >= self.width else self._columns(first, first + len(part))
            self._transpose(keep, chunks, part)
            for start in range(0, len(part), block):
                yield first + start, part[start : start + block]

    def rows(self, ranges: Sequence[tuple[int, int]]) -> Iterator[np.ndarray]:
        """Activations of ranges of tokens of the sample, which follow each other: float32 [tokens, neurons] of each.

        All other tokens are read too, for the digests. Those of a shard are compared before its last row is handed out,
        or, if that is not asked for, after the last range: what is computed on the way holds when the iteration ends.
        """
        for rows in self._in_order(ranges):
            yield rows.astype(np.float32, copy=False)

    def check(self) -> None:
        """Read all activations, so that the digests of their values are compared.

        Raises:
            UserError: they are not those that were written.
        """
        for _ in self._in_order(self._chunks()):
            pass

    def columns(self, neurons: Sequence[int]) -> np.ndarray:
        """Activations of some neurons: float32 [tokens, neurons].

        Of the others no more is read than is stored together with them, so that HDF5's checksums alone are compared;
        see :meth:`check`.
        """
        found = np.empty((sum(self.lengths), len(neurons)), np.float32)
        wanted, first = np.asarray(neurons), 0
        for one in self._passes():
            stop = first + len(one.dataset)
            together = wanted // one.dataset.chunks[1]
            for group in np.unique(together):
                of_group = np.flatnonzero(together == group)
                start, end = wanted[of_group].min(), wanted[of_group].max() + 1
                with reading(one.path, self.name):
                    found[first:stop, of_group] = one.dataset[:, start:end][:, wanted[of_group] - start]
            first = stop
        return found

    def _in_order(self, ranges: Sequence[tuple[int, int]]) -> Iterator[np.ndarray]:
        """As :meth:`rows`, as stored."""
        at, end, step = 0, sum(self.lengths), self.steps[0]
        passes = self._passes()
        one = next(passes)

        def read(count: int) -> np.ndarray:
            nonlocal one
            parts = []
            while count > 0:
                if one.read == len(one.dataset):
                    one = next(passes)
                parts.append(one.rows(count))
                count -= len(parts[-1])
            return parts[0] if len(parts) == 1 else np.concatenate(parts)

        for start, stop in [*ranges, (end, end)]:
            for gap in range(at, start, step):
                read(min(step, start - gap))
            if start < stop:
                yield read(stop - start)
            at = stop

    def _passes(self) -> Iterator[ReadingPass]:
        """A pass over each shard in turn, whose file is open until the next is asked for, or the reader is closed."""
        for path in self.paths:
            with ActivationShard(path) as shard:
                self.opened = shard.opened
                yield shard.reading_pass(self.name)

    def _chunks(self) -> list[tuple[int, int]]:
        """Ranges of tokens that are stored together."""
        ranges, first = [], 0
        for length, step in zip(self.lengths, self.steps, strict=True):
            stops = [*range(step, length, step), length]
            ranges += [(first + start, first + stop) for start, stop in zip([0, *stops], stops, strict=False)]
            first += length
        return ranges

    def _columns(self, start: int, stop: int) -> Iterator[np.ndarray]:
        """Activations of neurons ``start`` to ``stop`` for each of the chunks, [tokens, neurons], as stored."""
        for one, step in zip(self._passes(), self.steps, strict=True):
            for first in range(0, len(one.dataset), step):
                with reading(one.path, self.name):
                    values = one.dataset[first : first + step, start:stop]
                yield values

    def _transpose(self, keep: np.ndarray, chunks: Iterable[np.ndarray], into: np.ndarray) -> None:
        """Put the tokens to keep of all chunks, [tokens, width], into [width, tokens]."""
        filled = 0
        for (start, stop), rows in zip(self._chunks(), chunks, strict=True):
            if not keep[start:stop].all():  # else without a copy
                rows = rows.compress(keep[start:stop], axis=0)
            for some in range(0, len(rows), CACHED_TOKENS):
                part = rows[some : some + CACHED_TOKENS]
                into[:, filled + some : filled + some + len(part)] = part.T
            filled += len(rows)
