"""Root attributes of HDF5 files, which say what a file is and what it was made from."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from layerscope.io.errors import damaged, reading
from layerscope.io.files import digest_of_record


def check_format(path: str | Path, found: Any, expected: str) -> None:
    """Hold the format that a file names against the one that is read.

    Raises:
        UserError: it is another.
    """
    if found != expected:
        raise damaged(path, f"format {found!r} is not {expected!r}")


def set_attribute(thing: h5py.File | h5py.Dataset, name: str, value: Any) -> None:
    """Give a file or a dataset an attribute.

    Texts get a fixed length. Those of a variable one lie in HDF5's global heap, which has no checksum, and of a wrong
    length there the library reads on for ever.
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


def set_root_attributes(file: h5py.File, attributes: dict[str, Any]) -> None:
    """Give a file its attributes and a digest of them."""
    for name, value in {**attributes, "attributes_digest": digest_of_record(attributes)}.items():
        set_attribute(file, name, value)


def root_attributes(file: h5py.File, path: str | Path) -> dict[str, Any]:
    """The root attributes of a file, held against their digest.

    Raises:
        UserError: they are not those that were written.
    """
    attributes = attributes_of(file)
    if attributes.pop("attributes_digest", None) != digest_of_record(attributes):
        raise damaged(path, "its attributes differ from those that were written")
    return attributes


def read_root_attributes(path: str | Path, places: Mapping[str, str]) -> dict[str, Any]:
    """The root attributes of a file of any format, held also against its name if ``places``, by format, tell of it.

    Raises:
        UserError: the file is damaged, they are not those that were written, or it belongs under another name.
    """
    with reading(path), h5py.File(path) as file:
        attributes = root_attributes(file, path)
    if place := places.get(str(attributes.get("format"))):
        check_place(path, attributes, place)
    return attributes


def checked_attributes(file: h5py.File, path: str | Path, file_format: str, place: str) -> dict[str, Any]:
    """The root attributes of a file, held also against the file's format and name.

    Raises:
        UserError: they are not those that were written, or by them the file belongs under another name.
    """
    check_format(path, attributes_of(file).get("format"), file_format)
    attributes = root_attributes(file, path)
    check_place(path, attributes, place)
    return attributes


def check_place(path: str | Path, attributes: dict[str, Any], place: str) -> None:
    """Hold what a file says of itself against its name; one that was taken elsewhere has none to be held against.

    Args:
        place: the end of the path, with names of attributes in braces.

    Raises:
        UserError: the file belongs under another name.
    """
    if Path(path).match(re.sub(r"{.*?}", "*", place)):
        named = Path(place.format(**attributes)).parts
        if Path(path).parts[-len(named) :] != named:
            raise damaged(path, f"holds what belongs into {Path(*named)}")
