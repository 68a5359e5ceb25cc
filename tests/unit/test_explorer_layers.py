"""Layers in the explorer: each value of each neuron against the layer's tables, read back by the page's rules."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from explorer_data import NONE, read_script
from layer_tables import AROUND, BINS, random_tables

from layerscope.explorer import layer_file
from layerscope.explorer.columns import COLUMNS, columns_of, write_columns
from layerscope.explorer.contexts import coded
from layerscope.explorer.inputs import TABLES
from layerscope.explorer.layer_file import BITS, NEURONS_PER_FILE, rounded, write_layer_files
from layerscope.read.neurons_table import neurons_table

NEURONS, TOKENS, LENGTH, TYPES, LAYERS = 23, 4096, 64, 300, 3
WINDOW = sum(AROUND) + 1
Tables = dict[str, pd.DataFrame]


@pytest.fixture(scope="module")
def tables() -> Tables:
    """Of a layer, with what may be missing: a neuron that never varies, contexts, types, an interval."""
    found = random_tables(np.random.default_rng(0), NEURONS, TOKENS, LENGTH, TYPES)
    found["inference"].loc[3, ["r", "r_given_all", "p"]] = np.nan
    contexts, types = found["contexts"], found["token_types"]
    # The first neuron has three contexts of the kind most, and the second none at all.
    few = (contexts["neuron"] == 0) & (contexts["kind"] == "most") & (contexts["rank"] > 2)
    found["contexts"] = contexts[~few & (contexts["neuron"] != 1)].reset_index(drop=True)
    found["token_types"] = types[(types["neuron"] != 2) | (types["rank"] < 4)].reset_index(drop=True)
    found["by_length"].loc[found["by_length"]["length"] == 16, ["low", "high"]] = np.nan
    assert set(found) == set(TABLES)
    return found


@pytest.fixture(scope="module")
def matches() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"layer": np.arange(LAYERS).repeat(NEURONS), "neuron": np.tile(np.arange(NEURONS), LAYERS)})
    table["other"] = "other"
    table["other_layer"], table["other_neuron"] = rng.integers(0, 5, len(table)), rng.integers(0, 99, len(table))
    table = table.assign(r=rng.random(len(table))).astype({"other_layer": "Int32", "other_neuron": "Int32"})
    never_varies = table["neuron"] == 5
    table["other_layer"] = table["other_layer"].mask(never_varies)
    table.loc[never_varies, "other_neuron"] = -1
    table.loc[never_varies, "r"] = np.nan
    return table


def read_layer(folder: Path, tables: Tables, matches: pd.DataFrame | None = None) -> tuple[dict, dict[str, np.ndarray]]:
    write_layer_files(folder / "layer_02", "some", 2, LAYERS, tables, matches, LENGTH)
    (path,) = (folder / "layer_02").iterdir()  # one file, of a layer of so few neurons
    name, facts, arrays = read_script(path)
    assert name == "some/layer_02/00"
    return facts, arrays


@pytest.fixture(scope="module")
def layer(tables: Tables, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, dict[str, np.ndarray]]:
    return read_layer(tmp_path_factory.mktemp("layer"), tables)


def slots(facts: dict) -> dict[tuple[str, int], int]:
    """Kind and rank → number of the context."""
    pairs = [(of["kind"], rank) for of in facts["contexts"] for rank in range(of["count"])]
    return {pair: number for number, pair in enumerate(pairs)}


def test_contexts_are_the_first_of_each_kind(layer: tuple, tables: Tables) -> None:
    facts, arrays = layer
    number = slots(facts)
    assert arrays["context_place"].shape == (NEURONS, 29) == arrays["context_value"].shape
    met = np.zeros((NEURONS, 29), bool)
    for row in tables["contexts"].itertuples():
        if (slot := number.get((row.kind, row.rank))) is not None:
            assert arrays["context_place"][row.neuron, slot] == row.sequence * LENGTH + row.position
            assert arrays["context_value"][row.neuron, slot] == np.float32(row.value)
            met[row.neuron, slot] = True
    assert not met[1].any() and met[0].sum() == 22 and met[2:].all()
    assert (arrays["context_place"][~met] == NONE).all() and np.isnan(arrays["context_value"][~met]).all()
    assert (arrays["context_window"][~met] == 0).all()


def test_windows_are_within_half_a_step(layer: tuple, tables: Tables) -> None:
    facts, arrays = layer
    number, low, high = slots(facts), arrays["window_low"], arrays["window_high"]
    assert arrays["context_window"].shape == (NEURONS, 29, WINDOW)
    of_neurons: dict[int, list[np.ndarray]] = {neuron: [] for neuron in range(NEURONS)}
    windows = np.array(tables["contexts"]["window"].tolist(), float)
    for row, window in zip(tables["contexts"].itertuples(), windows, strict=True):
        if (slot := number.get((row.kind, row.rank))) is None:
            continue
        code = arrays["context_window"][row.neuron, slot].astype(float)
        assert np.array_equal(code == 0, np.isnan(window))
        span = high[row.neuron] - low[row.neuron]
        decoded = low[row.neuron] + (code - 1) / 254 * span
        inside = code > 0
        np.testing.assert_allclose(decoded[inside], window[inside], rtol=0, atol=0.501 * span / 254)
        of_neurons[row.neuron].append(window[inside])
    for neuron, values in of_neurons.items():
        if values:
            assert low[neuron] == np.concatenate(values).min() and high[neuron] == np.concatenate(values).max()
    assert np.isnan([low[1], high[1]]).all()


def test_codes_of_extreme_values() -> None:
    values = np.full((3, 1, 3), np.nan, np.float32)
    values[0], values[1] = [[-65504, 0, 65504]], [[2, 2, np.nan]]
    code, low, high = coded(values)
    assert code[:2].tolist() == [[[1, 128, 255]], [[1, 1, 0]]] and low[1] == high[1] == 2
    assert (code[2] == 0).all() and np.isnan([low[2], high[2]]).all()


def test_histograms_are_those_of_the_table(layer: tuple, tables: Tables) -> None:
    facts, arrays = layer
    table, counts = tables["neuron_histogram"], arrays["histogram"]
    assert [group["name"] for group in facts["groups"]] == ["short", "median", "long"]
    assert counts.shape == (NEURONS, 3, BINS)
    for neuron, rows in table.groupby("neuron"):
        for group, of in enumerate(facts["groups"]):
            assert counts[neuron, group].tolist() == rows[of["name"]].tolist()
        ends = arrays["histogram_low"][neuron], arrays["histogram_high"][neuron]
        assert ends == (rows["left"].min(), rows["right"].max())


def test_means_of_lengths_are_those_of_the_table(layer: tuple, tables: Tables) -> None:
    _, arrays = layer
    for neuron, rows in tables["by_length"].groupby("neuron"):
        assert arrays["length"].tolist() == rows["length"].tolist()
        assert arrays["length_tokens"].tolist() == rows["tokens"].tolist()
        for name in ("mean", "low", "high"):
            np.testing.assert_allclose(arrays[f"length_{name}"][neuron], rows[name], rtol=2.5e-4)


@pytest.mark.parametrize(
    ("table", "kind", "prefix", "columns"),
    [
        ("token_types", "top", "types_top", {"mean": "mean", "tokens": "tokens"}),
        ("token_types", "bottom", "types_bottom", {"mean": "mean", "tokens": "tokens"}),
        ("logits", "promoted", "logits_top", {"value": "logit"}),
        ("logits", "suppressed", "logits_bottom", {"value": "logit"}),
    ],
)
def test_token_types_are_those_of_the_table(
    layer: tuple, tables: Tables, table: str, kind: str, prefix: str, columns: dict[str, str]
) -> None:
    _, arrays = layer
    rows = tables[table][tables[table]["kind"] == kind]
    for neuron in range(NEURONS):
        of = rows[rows["neuron"] == neuron].sort_values("rank")
        missing = 10 - len(of)
        assert missing == (6 if neuron == 2 and table == "token_types" else 0)
        assert arrays[prefix][neuron].tolist() == of["token_id"].tolist() + [NONE] * missing
        for ending, column in columns.items():
            found = arrays[f"{prefix}_{ending}"][neuron]
            np.testing.assert_allclose(found[: len(of)], of[column], rtol=0 if column == "tokens" else 2.5e-4)
            assert (found[len(of) :] == 0).all() or np.isnan(found[len(of) :]).all()


def test_rounded_values_keep_four_digits() -> None:
    sizes = 10.0 ** np.arange(-5, 5).repeat(1000)
    values = (np.random.default_rng(0).standard_normal(10_000) * sizes).astype(np.float32)
    close = rounded(values)
    assert close.dtype == np.float32 and np.abs(close.astype(float) / values - 1).max() <= 2.5e-4
    assert (close.view(np.uint32) & ((1 << (24 - BITS)) - 1)).max() == 0
    assert np.array_equal(rounded(np.float32([np.nan, np.inf, 0])), np.float32([np.nan, np.inf, 0]), equal_nan=True)


def test_statistics_and_columns_are_those_of_all_neurons(tables: Tables, matches: pd.DataFrame, tmp_path: Path) -> None:
    """Exactly, but for their precision."""
    of_layers = [neurons_table("some", number, LAYERS, tables, matches) for number in range(LAYERS)]
    names = columns_of(matched=True)
    assert names == [column.name for column in COLUMNS] and len(set(names)) == 31
    write_columns([str(tmp_path / f"{name}.js") for name in names], "some", of_layers)
    _, arrays = read_layer(tmp_path, tables, matches)
    together = pd.concat(of_layers, ignore_index=True)
    for number, column in enumerate(names):
        expected = together[column].astype("float64").to_numpy(na_value=np.nan).astype(np.float32)
        name, _, read = read_script(tmp_path / f"{column}.js")
        assert name == f"some/columns/{column}" and read["values"].dtype == np.float32
        np.testing.assert_array_equal(read["values"], expected)
        np.testing.assert_array_equal(arrays["statistics"][:, number], expected[2 * NEURONS :])
    assert np.isnan(read_script(tmp_path / "r.js")[2]["values"][3])


def test_matches_are_those_of_the_layer(tables: Tables, matches: pd.DataFrame, tmp_path: Path) -> None:
    facts, arrays = read_layer(tmp_path, tables, matches)
    assert facts["matched"] == "other"
    own = matches[matches["layer"] == 2]
    assert arrays["match_layer"].tolist() == own["other_layer"].fillna(-1).tolist()
    assert arrays["match_neuron"].tolist() == own["other_neuron"].tolist()
    np.testing.assert_array_equal(arrays["match_r"], own["r"].to_numpy(np.float32))
    assert (arrays["match_layer"][5], arrays["match_neuron"][5]) == (-1, -1) and np.isnan(arrays["match_r"][5])
    assert [arrays[f"match_{name}"].dtype.name for name in ("layer", "neuron", "r")] == ["int16", "int32", "float32"]


def test_what_a_model_does_not_have_is_left_out(tables: Tables, tmp_path: Path) -> None:
    facts, arrays = read_layer(tmp_path, {**tables, "logits": tables["logits"].iloc[:0]})
    assert "matched" not in facts and not [name for name in arrays if name.startswith(("match", "logits"))]
    assert arrays["statistics"].shape == (NEURONS, 31)
    assert set(columns_of(matched=True)) - set(columns_of(matched=False)) == {"match_layer", "match_neuron", "match_r"}
    at = [column.name for column in COLUMNS].index("match_r")
    assert np.isnan(arrays["statistics"][:, at]).all()


def test_files_are_the_same_again(tables: Tables, matches: pd.DataFrame, tmp_path: Path) -> None:
    for folder in "ab":
        write_layer_files(tmp_path / folder, "some", 0, LAYERS, tables, matches, LENGTH)
    assert (tmp_path / "a/00.js").read_bytes() == (tmp_path / "b/00.js").read_bytes()


def test_a_wide_layer_takes_several_files(
    tables: Tables, matches: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts, whole = read_layer(tmp_path, tables, matches)
    monkeypatch.setattr(layer_file, "NEURONS_PER_FILE", 10)
    write_layer_files(tmp_path / "parts", "some", 2, LAYERS, tables, matches, LENGTH)
    files = [read_script(path) for path in sorted((tmp_path / "parts").iterdir())]
    assert [name for name, _, _ in files] == [f"some/layer_02/{number:02d}" for number in range(3)]
    assert [len(arrays["match_r"]) for _, _, arrays in files] == [10, 10, 3]
    for _, facts_of_part, arrays in files:
        assert facts_of_part == facts and set(arrays) == set(whole)
    for name, array in whole.items():
        parts = [arrays[name] for _, _, arrays in files]
        if name in ("length", "length_tokens"):
            assert all(np.array_equal(part, array) for part in parts)
        else:
            np.testing.assert_array_equal(np.concatenate(parts), array)


@pytest.mark.slow
def test_no_file_of_a_wide_layer_is_above_15_mb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of random values, which compress worst, in a sample of ten million tokens with lengths up to 100."""
    neurons, lengths = 20_000, 100
    monkeypatch.setattr("layer_tables.LENGTHS", lengths)
    of_few = random_tables(np.random.default_rng(0), NEURONS_PER_FILE, 10_000_000, LENGTH, 50_000)
    # As many times over as there are files: those before the last are of other neurons with the same values.
    copies = -(-neurons // NEURONS_PER_FILE)
    tables = {}
    for kind, table in of_few.items():
        if "neuron" in table:
            parts = [table.assign(neuron=table["neuron"] + NEURONS_PER_FILE * copy) for copy in range(copies)]
            table = pd.concat(parts, ignore_index=True)
            table = table[table["neuron"] < neurons]
        tables[kind] = table
    write_layer_files(tmp_path, "wide", 0, 1, tables, None, LENGTH)
    sizes = [path.stat().st_size / 1e6 for path in sorted(tmp_path.iterdir())]
    assert len(sizes) == 5 and 5 < max(sizes) < 15
    assert sum(len(read_script(path)[2]["histogram_low"]) for path in tmp_path.iterdir()) == neurons
