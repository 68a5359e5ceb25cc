"""Data files of the explorer: what is packed can be read back, by rules that the page follows too."""

from pathlib import Path

import numpy as np
import pytest
from explorer_data import read_script, unpack

from layerscope.explorer.packed import DTYPES, pack, write_script


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
    path, again = (tmp_path / folder / "r.js" for folder in ("a", "b"))
    assert path.read_bytes() == again.read_bytes()
    name, facts, unpacked = read_script(path)
    assert (name, facts) == ("neo-8m/columns/r", {"first": 0})
    np.testing.assert_array_equal(unpacked["values"], arrays["values"])
