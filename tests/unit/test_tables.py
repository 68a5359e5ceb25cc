"""Tables between jobs come back as they were written, or not at all."""

import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from layerscope.io.errors import UserError
from layerscope.io.tables import fixed_lists, read_csv, read_table, rows_of, write_csv, write_table

NEGATIVE_NAN = np.frombuffer(bytes.fromhex("000000000000f8ff"), np.float64)[0]
TABLE = pd.DataFrame(
    {
        "neuron": np.arange(64, dtype=np.int32),
        "r": np.random.default_rng(0).normal(size=64),
        "minimum": np.random.default_rng(1).normal(size=64).astype(np.float32),
        "text": [" a", "", "\ufffd", "\n"] * 16,
        "special": np.arange(64) % 3 == 0,
    }
)
TABLE.loc[:2, "r"] = [np.nan, NEGATIVE_NAN, -0.0]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_table(tmp_path / "table.parquet", TABLE)
    return tmp_path / "table.parquet"


def test_table_is_read_as_it_was_written(path: Path) -> None:
    table = read_table(path)
    pd.testing.assert_frame_equal(table, TABLE, check_exact=True)
    assert np.signbit(table["r"][2])
    assert table.attrs == {"path": str(path)} and TABLE.attrs == {}


def test_lists_of_one_length_come_back(tmp_path: Path) -> None:
    """In their place among the columns; and pandas alone reads them, too, as arrays."""
    path, values = tmp_path / "table.parquet", np.random.default_rng(0).normal(size=(64, 5)).astype(np.float16)
    values[3, 1:] = np.nan
    written = TABLE.copy()
    written.insert(2, "window", fixed_lists(values))
    write_table(path, written, {"model": "m"})
    table = read_table(path)
    assert table.columns.tolist() == written.columns.tolist() and table.attrs["model"] == "m"
    pd.testing.assert_frame_equal(table.drop(columns="window"), TABLE, check_exact=True)
    assert rows_of(table["window"]).dtype == np.float16
    np.testing.assert_array_equal(rows_of(table["window"]), values)
    np.testing.assert_array_equal(np.stack(pd.read_parquet(path)["window"].tolist()), values)
    values[7, 2] += 1
    changed = written.assign(window=fixed_lists(values))
    changed.attrs = pd.read_parquet(path).attrs
    digest = changed.attrs["digest"]
    write_table(path, changed)
    assert pd.read_parquet(path).attrs["digest"] != digest


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.assign(r=table["r"] + 1e-12),
        lambda table: table.rename(columns={"r": "rho"}),
        lambda table: table.astype({"neuron": np.int64}),
        lambda table: table[:-1],
        lambda table: table.assign(text=table["text"].str.upper()),
    ],
    ids=["value", "name", "type", "row", "text"],
)
def test_table_that_was_written_again_by_another_is_refused(path: Path, change) -> None:
    """With the digest of before, as pandas keeps it, or without any."""
    for attributes in (pd.read_parquet(path).attrs, {}):
        changed = change(TABLE)
        changed.attrs = attributes
        changed.to_parquet(path)
        with pytest.raises(UserError, match="its values differ from those that were written") as error:
            read_table(path)
        assert str(error.value).endswith(f"delete it and run again (rm {path})")


def test_flipped_bit_is_found_or_changes_nothing(path: Path) -> None:
    """Anywhere: in the values, where they are, or what they are called."""
    content, draw, found = path.read_bytes(), random.Random(0), 0
    for _ in range(300):
        flipped = bytearray(content)
        flipped[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        path.write_bytes(flipped)
        try:
            pd.testing.assert_frame_equal(read_table(path), TABLE, check_exact=True)
        except UserError as error:
            assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
            found += 1
    assert found > 150  # the rest are bytes that readers pass over


@pytest.mark.parametrize("rows", [0, 5, 300_000])
def test_lists_of_a_table_of_any_size(rows: int, tmp_path: Path) -> None:
    """Parquet's readers give large columns in pieces."""
    values = np.random.default_rng(0).standard_normal((rows, 21)).astype(np.float16)
    values[::3, :4] = np.nan
    write_table(tmp_path / "lists.parquet", pd.DataFrame({"at": np.arange(rows), "window": fixed_lists(values)}))
    table = read_table(tmp_path / "lists.parquet")
    assert rows_of(table["window"]).dtype == np.float16
    np.testing.assert_array_equal(rows_of(table["window"]), values)
    some = table[table["at"] % 7 == 1]
    np.testing.assert_array_equal(rows_of(some["window"]), values[1::7])


def test_csv_keeps_every_digit(tmp_path: Path) -> None:
    table = TABLE[["neuron", "r", "special"]].astype({"neuron": np.int64})
    write_csv(tmp_path / "table.csv", table)
    pd.testing.assert_frame_equal(read_csv(tmp_path / "table.csv"), table, check_exact=True)


def test_csv_that_was_saved_by_another_program_is_refused(tmp_path: Path) -> None:
    """As a spreadsheet does, with fewer digits."""
    write_csv(tmp_path / "table.csv", TABLE)
    pd.read_csv(tmp_path / "table.csv").to_csv(tmp_path / "table.csv", index=False, float_format="%.6g")
    with pytest.raises(UserError, match=r"table\.csv: differs from what was written; delete it and run again \(rm "):
        read_csv(tmp_path / "table.csv")
