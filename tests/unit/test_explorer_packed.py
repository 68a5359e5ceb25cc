"""Data files of the explorer: what is packed can be read back, by rules that the page follows too."""

import base64
import gzip
import json
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from layerscope.explorer.packed import DTYPES, pack, write_script


def unpack(payload: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Facts and arrays of a payload."""
    (length,) = struct.unpack_from("<I", payload)
    header = json.loads(payload[4 : 4 + length])
    assert (4 + length) % 8 == 0
    arrays = {}
    for array in header["arrays"]:
        assert array["offset"] % 8 == 0
        dtype = np.dtype(array["dtype"]).newbyteorder("<")
        flat = np.frombuffer(payload, dtype, int(np.prod(array["shape"])), 4 + length + array["offset"])
        arrays[array["name"]] = flat.reshape(array["shape"])
    return header["facts"], arrays


@pytest.mark.parametrize("dtype", DTYPES)
def test_round_trip(dtype: str) -> None:
    arrays = {
        "odd": np.arange(7).astype(dtype),
        "strided": np.arange(24).reshape(4, 6).astype(dtype)[:, ::2],
        "big_endian": np.arange(3).astype(np.dtype(dtype).newbyteorder(">")),
        "empty": np.zeros((0, 4), dtype),
    }
    facts, unpacked = unpack(pack(arrays, {"matched": "größer"}))
    assert facts == {"matched": "größer"}
    assert list(unpacked) == list(arrays)
    for name, array in arrays.items():
        assert unpacked[name].dtype == dtype
        np.testing.assert_array_equal(unpacked[name], array)


def test_nan_and_infinity_are_kept() -> None:
    values = np.array([np.nan, np.inf, -np.inf, 1e-45], np.float32)
    np.testing.assert_array_equal(unpack(pack({"values": values}, {}))[1]["values"], values)


def test_what_the_page_cannot_read_is_refused() -> None:
    with pytest.raises(TypeError, match="array counts: dtype int64; the page reads uint8"):
        pack({"counts": np.arange(3)}, {})
    with pytest.raises(ValueError, match="JSON"):
        pack({}, {"mean": float("nan")})


def test_script_is_one_call_with_the_same_bytes_each_time(tmp_path: Path) -> None:
    arrays = {"values": np.arange(1000, dtype=np.float32)}
    for folder in ("a", "b"):
        write_script(tmp_path / folder / "r.js", "neo-8m/columns/r", arrays, {"first": 0})
    text = (tmp_path / "a" / "r.js").read_text(encoding="ascii")
    assert text == (tmp_path / "b" / "r.js").read_text(encoding="ascii")
    call = re.fullmatch(r'layerscope\.receive\("neo-8m/columns/r", "([A-Za-z0-9+/=]+)"\);\n', text)
    assert call
    facts, unpacked = unpack(gzip.decompress(base64.b64decode(call[1])))
    assert facts == {"first": 0}
    np.testing.assert_array_equal(unpacked["values"], arrays["values"])
