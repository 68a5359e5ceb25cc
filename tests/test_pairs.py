"""Two models side by side: matched neurons against numpy's correlations, and profiles on relative depth."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from layerscope.errors import UserError
from layerscope.extract.writer import ActivationShardWriter
from layerscope.tables import write_table
from layerscope.token_length import matching
from layerscope.token_length.matching import Rotation, match_layer
from layerscope.token_length.pairs import matches_table, profiles_table
from layerscope.tokenize.token_shards import Tokens

TOKENS = 700
RNG = np.random.default_rng(0)
IDS = np.r_[0, RNG.integers(1, 20, TOKENS - 1)].astype(np.int32)  # 0 is special
KEEP = IDS > 0
VOCABULARY = pd.DataFrame({"characters": np.arange(20) % 5 + 1, "special": np.arange(20) == 0, "partial": False})
MODEL = [RNG.normal(size=(TOKENS, 6)).astype(np.float32) + 3 for _ in range(2)]
OTHER = RNG.normal(size=(TOKENS, 9)).astype(np.float32) * 2 - 5
OTHER[:, 4] = 2 * MODEL[0][:, 1] + 0.1 * RNG.normal(size=TOKENS)  # a copy
OTHER[:, 7] = -MODEL[1][:, 2]  # the same turned around is not a match
MODEL[1][:, 5] = 0.25  # never varies


def write(folder: Path, layers: list[np.ndarray], ids: np.ndarray = IDS) -> tuple[list[str], list[str]]:
    """A model in two shards, and tables of its neurons."""
    folder.mkdir()
    shards, tables = [], []
    for i, part in enumerate((slice(0, 300), slice(300, TOKENS))):
        shards.append(str(folder / f"shard_{i:04d}.h5"))
        tokens = Tokens(*(ids[part] for _ in range(4)))
        with ActivationShardWriter(shards[-1], tokens, {}, "float32", "none") as writer:
            for layer, values in enumerate(layers):
                writer.append("mlp_pre", layer, values[part])
            writer.finish()
    for layer, values in enumerate(layers):
        exact = values[KEEP].astype(np.float64)
        table = pd.DataFrame({"neuron": np.arange(exact.shape[1]), "mean": exact.mean(0), "std": exact.std(0, ddof=1)})
        tables.append(str(folder / f"layer_{layer:02d}.parquet"))
        write_table(tables[-1], table)
    return shards, tables


@pytest.fixture(scope="module")
def matches(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    folder = tmp_path_factory.mktemp("pairs")
    (shards, tables), (other_shards, other_tables) = write(folder / "model", MODEL), write(folder / "other", [OTHER])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "TOKENS_AT_ONCE", 256)
        return match_layer(shards, tables, other_shards, other_tables[0], VOCABULARY, 0, seed=0)


def correlations(layer: int, others: np.ndarray) -> np.ndarray:
    """Of the layer's neurons with those of ``others``, by numpy."""
    varying = MODEL[layer][KEEP].astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.corrcoef(varying.T, others[KEEP].astype(np.float64).T)[:6, 6:]


def test_matches_are_the_largest_correlations(matches: pd.DataFrame) -> None:
    for layer in range(2):
        r, found = correlations(layer, OTHER), matches[matches["layer"] == layer]
        varies = ~np.isnan(r[:, 0])
        np.testing.assert_allclose(found["r"][varies], r[varies].max(axis=1), atol=1e-5)
        assert found["other_neuron"][varies].tolist() == r[varies].argmax(axis=1).tolist()
    assert matches.loc[1, "other_neuron"] == 4
    assert matches.loc[1, "r"] > 0.99
    assert matches.loc[6 + 2, "other_neuron"] != 7


def test_a_rotated_layer_is_the_layer_rotated(matches: pd.DataFrame) -> None:
    """Rotating correlations equals rotating the activations themselves."""
    rotated = Rotation(9, np.random.default_rng(0))(OTHER.astype(np.float64))
    for layer in range(2):
        r = correlations(layer, rotated)
        varies = ~np.isnan(r[:, 0])
        found = matches[matches["layer"] == layer]["r_rotated"]
        np.testing.assert_allclose(found[varies], r[varies].max(axis=1), atol=1e-5)


def test_a_neuron_that_never_varies_has_no_match(matches: pd.DataFrame) -> None:
    constant = matches.iloc[11]
    assert np.isnan(constant["r"]) and np.isnan(constant["r_rotated"])
    assert constant["other_neuron"] == -1
    assert matches["r"].notna().sum() == 11


def test_a_rotation_is_orthogonal_and_mixes_all_neurons() -> None:
    matrix = Rotation(64, np.random.default_rng(1))(np.eye(64))
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(64), atol=1e-6)
    assert np.abs(matrix).max() < 0.7


def test_models_that_read_other_tokens_are_not_compared(tmp_path: Path) -> None:
    (shards, tables), (other_shards, other_tables) = (
        write(tmp_path / "model", MODEL[:1]),
        write(tmp_path / "other", [OTHER], IDS[::-1].copy()),
    )
    with pytest.raises(UserError, match="hold different tokens; only models with one tokenizer"):
        match_layer(shards, tables, other_shards, other_tables[0], VOCABULARY, 0, seed=0)


def test_matches_table_takes_the_best_of_all_layers(tmp_path: Path) -> None:
    first = pd.DataFrame(
        {"layer": [0, 0, 1, 1], "neuron": [0, 1, 0, 1], "other_layer": 0, "other_neuron": 0}
        | {"r": [0.9, 0.2, 0.3, np.nan], "r_rotated": [0.4, 0.3, 0.1, np.nan]}
    )
    second = first.assign(other_layer=1, r=[0.1, 0.5, 0.6, np.nan], r_rotated=[0.5, 0.1, 0.2, np.nan])
    paths = [tmp_path / "0.parquet", tmp_path / "1.parquet"]
    for table, path in zip((first, second), paths, strict=True):
        write_table(path, table)
    table = matches_table({("a", "b"): list(map(str, paths))}).set_index(["layer", "other_layer"])
    assert table["share"].to_dict() == {(0, 0): 0.5, (0, 1): 0.5, (1, 0): 0, (1, 1): 1}
    assert table.loc[(0, 0), "neurons"] == 2 and table.loc[(1, 0), "neurons"] == 1
    assert table.loc[(0, 0), "excess"] == pytest.approx(((0.9 - 0.5) + (0.5 - 0.3)) / 2)
    assert table.loc[(0, 1), "r_median"] == pytest.approx(0.7)
    assert table.loc[(0, 1), "rotated_q95"] == pytest.approx(np.quantile([0.5, 0.3], 0.95))


def test_profiles_are_compared_at_the_depths_of_the_shallower_model() -> None:
    quantiles = ("r_q05", "r_q25", "r_median", "r_q75", "r_q95")
    short = pd.DataFrame({"model": "a", "relative_depth": [0, 0.5, 1], **{q: [0.0, 1, 2] for q in quantiles}})
    long = pd.DataFrame(
        {"model": "b", "relative_depth": np.linspace(0, 1, 6), **{q: np.arange(6.0) for q in quantiles}}
    )
    evidence = pd.concat(
        table.assign(measure="r", statistic="median", chance_low=-table["r_median"] / 10, chance_high=0.1)
        for table in (short, long)
    )
    table = profiles_table(pd.concat([long, short]), evidence, [["a", "b"]])
    assert len(table) == 3 * 5
    of = table[table["quantile"] == 0.25]
    assert of["chance_low"].isna().all()
    assert of["relative_depth"].tolist() == [0, 0.5, 1]
    assert of["other_r"].tolist() == pytest.approx([0, 2.5, 5])
    assert of["difference"].tolist() == pytest.approx([0, 1.5, 3])
    median = table[table["quantile"] == 0.5]
    assert median["other_chance_low"].tolist() == pytest.approx([0, -0.25, -0.5])
    assert median["chance_high"].tolist() == [0.1, 0.1, 0.1]
