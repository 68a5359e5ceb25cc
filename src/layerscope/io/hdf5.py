"""HDF5 files that say what they are, with digests of what they hold.

Root attributes carry a digest of all of them, and datasets one of their values. HDF5's own checksums (fletcher32) find
a damaged byte, but not a value that a program changed.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from layerscope.io.errors import damaged, reading
from layerscope.io.files import digest_of, digest_of_record, whole_file


@contextmanager
def new_hdf5(path: str | Path, attributes: dict[str, Any]) -> Iterator[h5py.File]:
    """A file with root attributes, to fill with datasets; it gets its name when the block succeeds."""
    with whole_file(path) as temporary, h5py.File(temporary, "w", libver="latest") as file:
        set_root_attributes(file, attributes)
        yield file


@contextmanager
def open_hdf5(path: str | Path, places: Mapping[str, str]) -> Iterator[tuple[h5py.File, dict[str, Any]]]:
    """A file and its root attributes, checked against their digest, and against its format and name.

    Args:
        places: expected format → the end of the path of such a file, with names of attributes in braces.

    Raises:
        UserError: the format is another, the attributes are not those that were written, or by them the file belongs
            under another name.
    """
    with h5py.File(path) as file:
        attributes = attributes_of(file)
        check_format(path, attributes.get("format"), *places)
        if attributes.pop("attributes_digest", None) != digest_of_record(attributes):
            raise damaged(path, "its attributes differ from those that were written")
        _check_place(path, attributes, places[attributes["format"]])
        yield file, attributes


def read_root_attributes(path: str | Path, places: Mapping[str, str]) -> dict[str, Any]:
    """The root attributes of a file, as :func:`open_hdf5`."""
    with reading(path), open_hdf5(path, places) as (_, attributes):
        return attributes


def check_format(path: str | Path, found: Any, *expected: str) -> None:
    """Check the format that a file names against those that can be read.

    Raises:
        UserError: it is another.
    """
    if found not in expected:
        raise damaged(path, f"format {found!r} is not {' or '.join(map(repr, expected))}")


def _check_place(path: str | Path, attributes: dict[str, Any], place: str) -> None:
    """Check what a file says of itself against its name, if it has a name that the workflow gives."""
    if Path(path).match(re.sub(r"{.*?}", "*", place)):
        named = Path(place.format(**attributes)).parts
        if Path(path).parts[-len(named) :] != named:
            raise damaged(path, f"holds what belongs in {Path(*named)}")


def set_root_attributes(file: h5py.File, attributes: dict[str, Any]) -> None:
    """Give a file its attributes and a digest of them."""
    for name, value in {**attributes, "attributes_digest": digest_of_record(attributes)}.items():
        set_attribute(file, name, value)


def set_attribute(thing: h5py.File | h5py.Dataset, name: str, value: Any) -> None:
    """Give a file or a dataset an attribute.

    Texts get a fixed length. HDF5 keeps those of variable length in its global heap, which has no checksum, and a wrong
    length there makes the library read forever.
    """
    if isinstance(value, str):
        text = value.encode()
        thing.attrs.create(name, text, dtype=h5py.string_dtype("utf-8", max(len(text), 1)))
    else:
        thing.attrs[name] = value


def attributes_of(thing: h5py.File | h5py.Dataset) -> dict[str, Any]:
    """The attributes of a file or a dataset, texts as ``str`` and numbers as Python's."""
    return {name: _plain(value) for name, value in thing.attrs.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    return value.item() if isinstance(value, np.generic) else value


def write_dataset(group: h5py.Group, name: str, values: np.ndarray, **options: Any) -> None:
    """Write a dataset and a digest of its values; ``options`` are those of h5py."""
    dataset = group.create_dataset(name, data=values, fletcher32=True, **options)
    set_attribute(dataset, "digest", digest_of([np.ascontiguousarray(values).data]))


def read_dataset(group: h5py.Group, name: str) -> np.ndarray:
    """All values of a dataset of :func:`write_dataset`.

    Raises:
        UserError: they are not those that were written.
    """
    dataset = group[name]
    values = dataset[:]
    if digest_of([values.data]) != attributes_of(dataset).get("digest"):
        raise damaged(group.file.filename, f"{dataset.name} differs from what was written")
    return values
