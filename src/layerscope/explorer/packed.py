"""Data files of the explorer: arrays packed into a classic script, which a page opened from disk may load."""

import base64
import gzip
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt

from layerscope.io.files import whole_file

DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")
# A typed array of JavaScript has to start at a multiple of its items' size.
ALIGNMENT = 8


def pack(arrays: Mapping[str, npt.NDArray[Any]], facts: Mapping[str, Any]) -> bytes:
    """Arrays and facts as one payload, the same bytes for the same content.

    The payload is the length of the header (uint32), the header in JSON, and the arrays, row-major. All is
    little-endian, and each array starts at a multiple of 8 bytes. The header holds ``facts``, and ``name``, ``dtype``,
    ``shape`` and ``offset`` of each array, the last in bytes from the end of the header.

    Args:
        arrays: name → array of one of ``DTYPES``.
        facts: what else the page needs to know, as JSON without NaN.

    Raises:
        TypeError: a dtype that the page cannot read.
        ValueError: a number in ``facts`` that JSON does not have.
    """
    described, parts, offset = [], [], 0
    for name, array in arrays.items():
        if array.dtype.name not in DTYPES:
            raise TypeError(f"array {name}: dtype {array.dtype.name}; the page reads {', '.join(DTYPES)}")
        content = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        described.append({"name": name, "dtype": array.dtype.name, "shape": list(array.shape), "offset": offset})
        padding = -len(content) % ALIGNMENT
        parts.append(content + b"\0" * padding)
        offset += len(content) + padding
    header = json.dumps({"facts": dict(facts), "arrays": described}, allow_nan=False, separators=(",", ":")).encode()
    header += b" " * (-(4 + len(header)) % ALIGNMENT)
    return b"".join([struct.pack("<I", len(header)), header, *parts])


def write_script(
    path: str | Path, name: str, arrays: Mapping[str, npt.NDArray[Any]], facts: Mapping[str, Any] | None = None
) -> None:
    """Write a data file of the explorer.

    Args:
        path: of the script.
        name: what the page asks for: the path within ``data/`` without ``.js``.
        arrays, facts: as in :func:`pack`.
    """
    # Without the time of writing, so that a run that is repeated gives the same file. Beyond level 4, a file that is 2%
    # smaller takes three times as long.
    packed = gzip.compress(pack(arrays, facts or {}), compresslevel=4, mtime=0)
    with whole_file(path) as temporary, temporary.open("wb") as file:
        file.write(f"layerscope.receive({json.dumps(name)}, ".encode() + b'"')
        file.write(base64.b64encode(packed))
        file.write(b'");\n')
