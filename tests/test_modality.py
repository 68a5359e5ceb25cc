"""Modes of neurons: known answers, a plain computation, and data with one mode."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from diptest import dipstat, diptest
from diptest.consts import Consts

from layerscope.extract.writer import ActivationShardWriter
from layerscope.inference import passes
from layerscope.resampling import Groups
from layerscope.tables import write_table
from layerscope.token_length.findings import modality_findings
from layerscope.token_length.groups import POOLED, TokenLengths
from layerscope.token_length.modality import (
    TOP,
    Populations,
    bimodality_coefficient,
    dip_tests,
    modality_of_layer,
    modality_table,
    share_between,
    unimodal_rows,
)
from layerscope.token_length.multimodality import multimodality_table
from layerscope.token_length.summaries import TABLE_END
from layerscope.tokenize.token_shards import Tokens

TYPES, TOKENS = 600, 4000


@pytest.fixture(scope="module")
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def types(rng: np.random.Generator) -> np.ndarray:
    """Token types as frequent as words are: the first is a tenth of all tokens."""
    frequency = 1 / np.arange(1, TYPES + 1)
    return rng.choice(TYPES, TOKENS, p=frequency / frequency.sum())


@pytest.fixture(scope="module")
def populations(types: np.ndarray) -> Populations:
    lengths = types % 7 + 1
    return Populations.of(TokenLengths(np.ones(TOKENS, dtype=bool), lengths, float(np.median(lengths))), types)


def two_modes(rng: np.random.Generator, types: np.ndarray, neurons: int) -> np.ndarray:
    """Neurons that are high on a random one of each pair of types, which are about as frequent."""
    first = rng.random((neurons, TYPES // 2)) < 0.5
    high = np.stack([first, ~first], axis=-1).reshape(neurons, TYPES)
    return 4.0 * high[:, types] + rng.standard_normal((neurons, len(types)))


def test_two_modes_are_found_in_every_population(rng, types, populations) -> None:
    table = modality_table(two_modes(rng, types, 20), populations)
    assert (table[[f"p_{name}" for name in ("tokens", "short_tokens", "types", "short_types")]] < 0.01).all(axis=None)
    assert (table["bimodality_tokens"] > 5 / 9).mean() > 0.5


def test_one_mode_is_not_taken_for_two_over_types(rng, types, populations) -> None:
    """Over tokens it may be: a frequent type is a heap of nearly equal values."""
    rows = unimodal_rows(np.full(300, 0.95), populations.types, rng)
    table = modality_table(rows, populations)
    for population in ("types", "short_types"):
        assert (table[f"p_{population}"] <= 0.05).mean() <= 0.05
    assert (table["p_tokens"] <= 0.05).mean() > 0.2


def test_made_up_neurons_are_as_alike_as_asked(rng, populations) -> None:
    asked = np.repeat([0.0, 0.3, 0.9], 100)
    rows = unimodal_rows(asked, populations.types, rng)
    found = share_between(rows, populations.types.means(rows), populations.types).reshape(3, 100).mean(axis=1)
    np.testing.assert_allclose(found, [0, 0.3, 0.9], atol=0.03)
    assert rows.std() == pytest.approx(1, abs=0.05)


def test_share_between_types_is_that_of_the_analysis_of_variance() -> None:
    """Groups of equal size: (MSB - MSW) / (MSB + (k - 1) MSW), with the F of scipy."""
    rng = np.random.default_rng(1)
    values = rng.standard_normal((30, 5)) + 2 * rng.standard_normal((30, 1))
    f = scipy.stats.f_oneway(*values).statistic
    groups = Groups(np.repeat(np.arange(30), 5))
    rows = values.reshape(1, -1)
    assert share_between(rows, groups.means(rows), groups)[0] == pytest.approx((f - 1) / (f + 4))


def test_bimodality_coefficient_of_known_distributions() -> None:
    n = 200_001
    at = np.linspace(0, 1, n + 2)[1:-1]
    rows = np.stack([at, scipy.stats.norm.ppf(at), np.sign(at - 0.5)])
    np.testing.assert_allclose(bimodality_coefficient(rows), [5 / 9, 1 / 3, 1], atol=1e-3)


def test_bimodality_coefficient_uses_unbiased_moments() -> None:
    x = np.random.default_rng(2).exponential(size=9)
    n, skewness, kurtosis = 9, scipy.stats.skew(x, bias=False), scipy.stats.kurtosis(x, bias=False)
    expected = (skewness**2 + 1) / (kurtosis + 3 * (n - 1) ** 2 / ((n - 2) * (n - 3)))
    assert bimodality_coefficient(x[None])[0] == pytest.approx(expected)


def test_p_beyond_the_table_is_bounded_and_not_zero(rng) -> None:
    x = np.concatenate([rng.normal(size=(1, 500)), 9 + rng.normal(size=(1, 500))], axis=1)
    dip, p = dip_tests(x)
    assert dip[0] == pytest.approx(diptest(x[0])[0])
    assert 0 < p[0] == min(1e-5, 2 * np.exp(-2 * 1000 * dip[0] ** 2))
    normal = rng.normal(size=(5, 1000))
    assert dip_tests(normal)[1].tolist() == [diptest(row)[1] for row in normal]


def test_p_is_unknown_beyond_the_largest_sample_of_the_table(rng) -> None:
    """At its end it is the package's; one value more, and the package warns that it is not exact."""
    assert Consts._SAMPLE_SIZE.max() == TABLE_END
    rows = np.concatenate([rng.normal(size=(3, TABLE_END - 1)), 3 + rng.normal(size=(3, 2))], axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # none is for the log of the job
        beyond_dip, beyond = dip_tests(rows)
        dip, p = dip_tests(rows[:, :-1])
    assert p.tolist() == [diptest(row[:-1])[1] for row in rows]
    assert np.isnan(beyond).all()
    assert beyond_dip.tolist() == [dipstat(row) for row in rows]
    np.testing.assert_allclose(beyond_dip, dip, atol=1e-4)


@pytest.fixture(scope="module")
def unknown_over_tokens(tmp_path_factory, rng, types, populations) -> pd.DataFrame:
    """modality.csv of neurons of which a half has two modes, in a sample too large for a p over tokens."""
    folder = tmp_path_factory.mktemp("unknown")
    rows = np.concatenate([two_modes(rng, types, 20), unimodal_rows(np.full(20, 0.2), populations.types, rng)])
    rows[-1] = 0.1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("layerscope.token_length.modality.TABLE_END", TYPES)
        write_table(folder / "n.parquet", modality_table(rows, populations))
        write_table(folder / "u.parquet", modality_table(rows[20:-1], populations))
    return multimodality_table({"m": [folder / "n.parquet"]}, {"m": [folder / "u.parquet"]})


def test_shares_of_an_unknown_p_are_unknown_and_not_zero(unknown_over_tokens) -> None:
    table = unknown_over_tokens.set_index("population")
    assert (table["neurons"] == 39).all()
    shares = ["share", "share_bh", "share_by", "share_holm", "share_unimodal"]
    assert table.loc[["tokens", "short_tokens"], shares].isna().all(axis=None)
    assert table.loc[["types", "short_types"], shares].notna().all(axis=None)
    assert table.loc["types", "share_bh"] == pytest.approx(20 / 39, abs=0.03)
    assert (
        table.loc[["tokens", "short_tokens"], ["share_coefficient", "share_coefficient_unimodal"]]
        .notna()
        .all(axis=None)
    )


def test_findings_say_what_is_unknown(unknown_over_tokens) -> None:
    of_model, why = modality_findings(unknown_over_tokens)
    assert "over tokens, an unknown share of its neurons pass at p ≤ 5 %" in of_model
    assert "with a single mode give an unknown share; over types " in of_model
    assert why == "Of more than 72,000 values the dip test has no p: which neurons pass is unknown."
    assert "nan" not in of_model
    known = unknown_over_tokens.fillna(0.5)
    assert len(modality_findings(known)) == 1 and "unknown" not in modality_findings(known)[0]


def test_a_neuron_that_never_varies_has_no_modes(rng, types, populations) -> None:
    rows = two_modes(rng, types, 2)
    rows[1] = 0.1
    table = modality_table(rows, populations)
    assert table.loc[1].isna().all()
    assert table.loc[0].notna().all()


def test_holm_bounds_the_number_of_neurons_with_several_modes() -> None:
    p = np.array([0.04, 1e-9, np.nan, 0.02, 0.001, 0.9])
    # 1e-9 <= 0.05/5, 0.001 <= 0.05/4, 0.02 > 0.05/3: there it stops, though 0.04 would stand against 0.05/1 too.
    assert passes(p, "holm").tolist() == [False, True, False, False, True, False]
    assert passes(np.full(3, 0.01), "holm").all()
    assert not passes(np.full(2, np.nan), "bh").any()
    rng = np.random.default_rng(3)
    wrong = [passes(rng.random(50), "holm").any() for _ in range(400)]
    assert np.mean(wrong) < 0.09


def test_layer_and_table(tmp_path: Path, rng, types) -> None:
    """Planted neurons lead the gallery, the pooled histogram holds all values, and the shares are theirs."""
    rows = unimodal_rows(np.full(30, 0.2), Groups(types), rng)
    planted = [3, 17]
    rows[planted] = two_modes(rng, types, 2) * 10 + 500
    rows[5] = 2.0
    vocabulary = pd.DataFrame({"characters": np.arange(TYPES) % 7 + 1}).assign(special=False, partial=False)
    ids = types.astype(np.int32)
    with ActivationShardWriter(tmp_path / "s.h5", Tokens(ids, ids, ids, ids), {}, "float32", "none") as writer:
        writer.append("mlp_pre", 0, np.ascontiguousarray(rows.T, dtype=np.float32))
        writer.finish()
    neurons, unimodal, histograms = modality_of_layer([str(tmp_path / "s.h5")], vocabulary, 0, 120, 0)
    again = modality_of_layer([str(tmp_path / "s.h5")], vocabulary, 0, 120, 0)
    for one, other in zip((neurons, unimodal, histograms), again, strict=True):
        pd.testing.assert_frame_equal(one, other)
    top = [n for n in histograms["neuron"].unique() if n != POOLED]
    assert len(top) == TOP and set(planted) <= set(top)
    counts = histograms.groupby("neuron")[["short", "median", "long"]].sum().sum(axis=1)
    assert counts.loc[3] == TOKENS
    assert 0.999 < counts.loc[POOLED] / (29 * TOKENS) <= 1
    assert len(unimodal) == 120
    np.testing.assert_allclose(unimodal["alike"].mean(), neurons["alike"].mean(), atol=0.1)

    write_table(tmp_path / "n.parquet", neurons)
    write_table(tmp_path / "u.parquet", unimodal)
    table = multimodality_table({"m": [tmp_path / "n.parquet"]}, {"m": [tmp_path / "u.parquet"]})
    row = table.set_index("population").loc["types"]
    assert row["neurons"] == 29
    assert row["share_holm"] == row["share_by"] == pytest.approx(2 / 29)
    assert row["share_unimodal"] <= 0.05
