"""Token shards: HDF5 files with the tokens of a fixed number of sequences."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np
import pandas as pd

from layerscope.io.errors import damaged, reading
from layerscope.io.files import digest_of
from layerscope.io.hdf5 import new_hdf5, open_hdf5
from layerscope.io.provenance import check_same_run, sample_attributes

FORMAT = "layerscope tokens 3"
PLACE = "tokens/{tokenizer}/{corpus}/shard_{shard:04d}.h5"


@dataclass(frozen=True, eq=False)
class Tokens:
    """Parallel int32 arrays of shape [tokens], in corpus order."""

    input_ids: np.ndarray
    sequence: np.ndarray  # number of the sequence within the corpus, from 0
    position: np.ndarray  # place within the sequence, from 0
    document: np.ndarray  # number of the document within the corpus, from 0

    def __len__(self) -> int:
        return len(self.input_ids)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tokens) and self.digest() == other.digest()

    def digest(self) -> str:
        return digest_of(np.ascontiguousarray(getattr(self, f.name), "<i4").data for f in fields(self))

    def write(self, group: h5py.Group) -> None:
        for field in fields(self):
            group.create_dataset(
                field.name,
                data=getattr(self, field.name),
                dtype="<i4",
                chunks=True,
                shuffle=True,
                compression="gzip",
                fletcher32=True,
            )

    @classmethod
    def read(cls, file: h5py.File, digest: str) -> Self:
        """The tokens in ``/tokens``.

        Raises:
            UserError: ``digest`` is not theirs.
        """
        tokens = cls(**{field.name: file["tokens"][field.name][:] for field in fields(cls)})
        if tokens.digest() != digest:
            raise damaged(file.filename, "/tokens differs from what was written")
        return tokens

    def part(self, start: int, stop: int) -> Self:
        """The tokens ``start`` to ``stop``."""
        return type(self)(**{field.name: getattr(self, field.name)[start:stop] for field in fields(self)})

    @classmethod
    def join(cls, parts: Iterable[Self]) -> Self:
        parts = list(parts)
        return cls(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)})


def write_token_shard(path: str | Path, tokens: Tokens, attributes: dict[str, Any]) -> None:
    """Write a token shard; ``attributes`` describe tokenizer and corpus and end up at the root."""
    with new_hdf5(path, {"format": FORMAT, **attributes, "digest": tokens.digest()}) as file:
        tokens.write(file.create_group("tokens"))


def read_token_shard(path: str | Path, tables: Sequence[pd.DataFrame] = ()) -> tuple[Tokens, dict[str, Any]]:
    """Tokens and root attributes of a token shard.

    Args:
        tables: tables of the tokenizer and corpus that they are to meet.

    Raises:
        UserError: the file is damaged, of another format or place, or its values are not those that were written; or
            it and the tables are not of one run.
    """
    with reading(path), open_hdf5(path, {FORMAT: PLACE}) as (file, attributes):
        tokens = Tokens.read(file, attributes["digest"])
    check_same_run({str(path): attributes}, [table.attrs for table in tables])
    return tokens, attributes


def read_token_shards(
    paths: Iterable[str], tables: Sequence[pd.DataFrame] = (), first: bool = False
) -> tuple[Tokens, dict[str, Any]]:
    """The tokens of a sample, joined over its shards, and the attributes of a table that is made of them.

    Args:
        tables: tables of the sample's tokens that they are to meet.
        first: they are the first shards of the sample, which may have more.

    Raises:
        UserError: as :func:`read_token_shard`, or shards and tables are not of one run.
    """
    shards = {path: read_token_shard(path) for path in paths}
    attributes = {path: attributes for path, (_, attributes) in shards.items()}
    check_same_run(attributes, [table.attrs for table in tables], parts=first)
    return Tokens.join(tokens for tokens, _ in shards.values()), sample_attributes(attributes)
