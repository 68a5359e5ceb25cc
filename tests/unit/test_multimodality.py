"""Modes of neurons: known answers, a plain computation, and unimodal data."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from diptest import dipstat, diptest
from diptest.consts import Consts

from layerscope.extract.writer import ActivationShardWriter
from layerscope.io.tables import write_table
from layerscope.stats.correlation import moments
from layerscope.stats.jackknife import Groups
from layerscope.stats.multiple_testing import at_least, passes
from layerscope.studies.token_length.dip_test import (
    MANY,
    SEPARATIONS,
    SHARES,
    SMALLEST_P,
    dip_power,
    dip_power_table,
    dip_tests,
)
from layerscope.studies.token_length.length_groups import POOLED, TokenLengths
from layerscope.studies.token_length.measures import TABLE_END
from layerscope.studies.token_length.summarize_multimodality import multimodality_table
from layerscope.studies.token_length.unimodality_test import (
    EDGES,
    TOP,
    Populations,
    bimodality_coefficient,
    dip_table,
    intraclass_correlation,
    simulate_unimodal,
    unimodality_tests,
    with_tails,
)
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
    table = dip_table(two_modes(rng, types, 20), populations)
    assert (table[[f"p_{name}" for name in ("tokens", "short_tokens", "types", "short_types")]] < 0.01).all(axis=None)
    assert (table["bimodality_tokens"] > 5 / 9).mean() > 0.5


def test_one_mode_is_not_taken_for_two_over_types(rng, types, populations) -> None:
    """Over tokens it may be: a frequent type is a heap of nearly equal values."""
    rows = simulate_unimodal(np.full(300, 0.95), populations.types, rng)
    table = dip_table(rows, populations)
    for population in ("types", "short_types"):
        assert (table[f"p_{population}"] <= 0.05).mean() <= 0.05
    assert (table["p_tokens"] <= 0.05).mean() > 0.2


def icc(rows: np.ndarray, types: Groups) -> np.ndarray:
    centred = rows - rows.mean(axis=1, keepdims=True)
    return intraclass_correlation((centred**2).sum(axis=1), types.means(centred), types)


def test_simulated_neurons_have_the_intraclass_correlation_asked_for(rng, populations) -> None:
    asked = np.repeat([0.0, 0.3, 0.9], 100)
    rows = simulate_unimodal(asked, populations.types, rng)
    found = icc(rows, populations.types).reshape(3, 100).mean(axis=1)
    np.testing.assert_allclose(found, [0, 0.3, 0.9], atol=0.03)
    assert rows.std() == pytest.approx(1, abs=0.05)


def test_share_between_types_is_that_of_the_analysis_of_variance() -> None:
    """Groups of equal size: (MSB - MSW) / (MSB + (k - 1) MSW), with the F of scipy."""
    rng = np.random.default_rng(1)
    values = rng.standard_normal((30, 5)) + 2 * rng.standard_normal((30, 1))
    f = scipy.stats.f_oneway(*values).statistic
    groups = Groups(np.repeat(np.arange(30), 5))
    assert icc(values.reshape(1, -1), groups)[0] == pytest.approx((f - 1) / (f + 4))


def test_bimodality_coefficient_of_known_distributions() -> None:
    n = 200_001
    at = np.linspace(0, 1, n + 2)[1:-1]
    rows = np.stack([at, scipy.stats.norm.ppf(at), np.sign(at - 0.5)])
    np.testing.assert_allclose(bimodality_coefficient(moments(rows), n), [5 / 9, 1 / 3, 1], atol=1e-3)


def test_bimodality_coefficient_uses_unbiased_moments() -> None:
    x = np.random.default_rng(2).exponential(size=9)
    n, skewness, kurtosis = 9, scipy.stats.skew(x, bias=False), scipy.stats.kurtosis(x, bias=False)
    expected = (skewness**2 + 1) / (kurtosis + 3 * (n - 1) ** 2 / ((n - 2) * (n - 3)))
    assert bimodality_coefficient(moments(x[None]), n)[0] == pytest.approx(expected)


def test_p_beyond_the_table_is_bounded_and_not_zero(rng) -> None:
    x = np.concatenate([rng.normal(size=(1, 500)), 9 + rng.normal(size=(1, 500))], axis=1)
    dip, p = dip_tests(x)
    assert dip[0] == pytest.approx(diptest(x[0])[0])
    assert 0 < p[0] == min(1e-5, 2 * np.exp(-2 * 1000 * dip[0] ** 2))
    normal = rng.normal(size=(5, 1000))
    assert dip_tests(normal)[1].tolist() == [diptest(row)[1] for row in normal]


def test_the_smallest_p_is_that_of_the_last_quantile_of_the_table() -> None:
    """Its further column holds the largest simulated dips, and says nothing of how rare they are."""
    assert 1 - Consts._ALPHA[-2] == pytest.approx(SMALLEST_P) and Consts._ALPHA[-1] == 1
    quantile, largest = Consts._CRIT_VALS[list(Consts._SAMPLE_SIZE).index(1000), -2:]
    apart = np.linspace(2, 4, 200)[:, None]
    rows = scipy.stats.norm.ppf((np.arange(500) + 0.5) / 500)
    rows = np.concatenate([np.broadcast_to(rows, (200, 500)), rows + apart], axis=1)
    dip, p = dip_tests(rows)
    between = (dip > quantile) & (dip < largest)
    assert between.sum() > 3
    assert (p[between] == SMALLEST_P).all()
    assert 0 < min(diptest(row)[1] for row in rows[between]) < SMALLEST_P / 2
    assert (p[dip < quantile * (1 - 1e-9)] > SMALLEST_P).all()


def test_p_is_unknown_beyond_the_largest_sample_of_the_table(rng) -> None:
    """At its end it is the package's; one value more, and the package warns that it is not exact."""
    assert Consts._SAMPLE_SIZE.max() == TABLE_END
    rows = np.concatenate([rng.normal(size=(3, TABLE_END - 1)), 3 + rng.normal(size=(3, 2))], axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # none is for the log of the job
        beyond_dip, beyond = dip_tests(rows)
        dip, p = dip_tests(rows[:, :-1])
    assert p.tolist() == [Consts.compute_pval_interpolation(TABLE_END, of_row) for of_row in dip]
    assert np.isnan(beyond).all()
    assert beyond_dip.tolist() == [dipstat(row) for row in rows]
    np.testing.assert_allclose(beyond_dip, dip, atol=1e-4)


@pytest.mark.parametrize("n", [MANY, MANY + 3, 4 * MANY - 1])
def test_of_many_values_only_dips_that_cannot_pass_are_those_of_a_part(rng, n: int) -> None:
    """These are within the bound of the dip of all values, and nothing that passes 5%, or its p, is touched."""
    apart = np.linspace(1.5, 4, 40)[:, None] * (rng.random((40, n)) < 0.2)
    rows = np.concatenate(
        [
            rng.standard_normal((40, n)),
            rng.uniform(size=(40, n)),  # of unimodal distributions that with the largest dips
            rng.standard_normal((40, n)) + apart,
            rng.standard_normal((40, n)).round(1),
            rng.integers(0, 3, (40, n)),
        ]
    ).astype(np.float32)
    dip, p = dip_tests(rows)
    all_dip, all_p = np.array([diptest(row.astype(np.float64)) for row in rows]).T
    passes = all_p <= 0.05
    assert 40 < passes.sum() < 160
    assert ((p <= 0.05) == passes).all()
    assert (dip[passes] == all_dip[passes]).all()
    assert (p[all_p > SMALLEST_P][passes[all_p > SMALLEST_P]] == all_p[(all_p > SMALLEST_P) & passes]).all()
    assert 0 < np.abs(dip - all_dip).max() <= 1 / (2 * (n // 4))
    assert (dip != all_dip)[:40].mean() > 0.9  # else nothing is saved


def test_of_fewer_values_all_dips_are_those_of_all_values(rng) -> None:
    rows = rng.standard_normal((20, MANY - 1))
    assert dip_tests(rows)[0].tolist() == [dipstat(row) for row in rows]


@pytest.fixture(scope="module")
def unknown_over_tokens(tmp_path_factory, rng, types, populations) -> pd.DataFrame:
    """multimodality.csv of neurons of which a half has two modes, in a sample too large for a p over tokens."""
    folder = tmp_path_factory.mktemp("unknown")
    rows = np.concatenate([two_modes(rng, types, 20), simulate_unimodal(np.full(20, 0.2), populations.types, rng)])
    rows[-1] = 0.1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("layerscope.studies.token_length.dip_test.TABLE_END", TYPES)
        write_table(folder / "n.parquet", dip_table(rows, populations))
        write_table(folder / "u.parquet", dip_table(rows[20:-1], populations))
    return multimodality_table({"m": [folder / "n.parquet"]}, {"m": [folder / "u.parquet"]})


def test_shares_of_an_unknown_p_are_unknown_and_not_zero(unknown_over_tokens) -> None:
    table = unknown_over_tokens.set_index("population")
    assert (table["neurons"] == 39).all()
    shares = [
        "share",
        "share_1e5",
        "share_bh",
        "share_by",
        "share_unimodal",
        "share_unimodal_low",
        "share_unimodal_high",
    ]
    assert table.loc[["tokens", "short_tokens"], shares].isna().all(axis=None)
    assert table.loc[["types", "short_types"], shares].notna().all(axis=None)
    assert table.loc["types", "share_bh"] == pytest.approx(20 / 39, abs=0.03)
    assert table.loc[["tokens", "short_tokens"], "share_at_least"].isna().all()
    dips = ["dip_median", "dip_q95", "dip_median_unimodal", "dip_q95_unimodal"]
    assert table[dips].notna().all(axis=None)  # the dips are known all the same
    assert (table["dip_q95"] > 2 * table["dip_q95_unimodal"]).all()
    assert (
        table.loc[["tokens", "short_tokens"], ["share_coefficient", "share_coefficient_unimodal"]]
        .notna()
        .all(axis=None)
    )


def test_a_neuron_that_never_varies_has_no_modes(rng, types, populations) -> None:
    rows = two_modes(rng, types, 2)
    rows[1] = 0.1
    table = dip_table(rows, populations)
    assert table.loc[1].isna().all()
    assert table.loc[0].notna().all()


def test_false_discovery_rate_of_known_p() -> None:
    p = np.array([0.041, 1e-9, np.nan, 0.02, 0.001, 0.9])
    # The largest k with p_(k) <= 0.05 k / 5 is 3; by Benjamini and Yekutieli, 5 times the sum of 1/i, it is 2.
    assert passes(p, "bh").tolist() == [False, True, False, True, True, False]
    assert passes(p, "by").tolist() == [False, True, False, False, True, False]
    assert not passes(np.full(2, np.nan), "bh").any()


def test_a_share_that_passes_bounds_the_share_of_alternatives() -> None:
    """Under the worst dependence: a part of the true nulls passes together, so rarely that each keeps its level."""
    assert at_least(0.3, 1e-5) == pytest.approx(0.3 - 2e-4)
    assert at_least(1e-4, 1e-5) == 0
    assert np.isnan(at_least(np.nan, 1e-5))
    rng, level, true, coverage = np.random.default_rng(3), 0.01, 0.1, {}
    for part in (0.05, 0.13, 0.23, 0.5, 1):
        together = rng.random(4000) < level / part
        bounds = [at_least(true + (1 - true) * part * passed, level) for passed in together]
        coverage[part] = np.mean(np.array(bounds) <= true)
    assert min(coverage.values()) >= 0.95
    assert coverage[0.23] == pytest.approx(1 - level / 0.23, abs=0.01)  # it is no wider than it must be


def mixtures(rng: np.random.Generator, neurons: int, values: int, share: float, separation: float) -> np.ndarray:
    """Unlike the package, each value draws its mode."""
    return np.stack([rng.normal(separation * rng.choice(2, values, p=[1 - share, share])) for _ in range(neurons)])


def test_power_is_that_of_a_plain_simulation(rng) -> None:
    values, resamples = 500, 200
    table = dip_power(values, resamples, rng).set_index(["share_of_smaller", "separation"])
    assert table.index.tolist() == [(share, apart) for share in SHARES for apart in SEPARATIONS]
    assert (SHARES, SEPARATIONS[0], SEPARATIONS[-1]) == ((0.5, 0.2, 0.05), 2, 8)
    for (share, separation), row in table.iterrows():
        if separation % 1 == 0:
            p = np.array([diptest(x)[1] for x in mixtures(rng, resamples, values, share, separation)])
            for column, level in (("power_1e5", 1e-5), ("power_05", 0.05)):
                expected = np.mean(p <= level)
                error = np.sqrt(2 * max(expected * (1 - expected), 1 / resamples) / resamples)
                assert abs(row[column] - expected) <= 4 * error, (share, separation, column)
    assert table.loc[(0.5, 8), ["power_1e5", "power_05"]].tolist() == [1, 1]
    assert table.loc[(0.05, 4), "power_05"] <= 0.01 and 0.1 < table.loc[(0.2, 5), "power_05"] < 1


def test_power_is_unknown_where_p_is(rng) -> None:
    for values in (3, TABLE_END + 1):
        assert dip_power(values, 100, rng)[["power_1e5", "power_05"]].isna().all(axis=None)


def test_power_is_taken_at_the_numbers_of_types_of_the_sample() -> None:
    vocabulary = pd.DataFrame({"characters": [13, 1, 1, 4, 4, 7, 9], "special": [True] + [False] * 6, "partial": False})
    vocabulary["corpus_count"] = 1
    ids = np.array([0, 1, 1, 1, 3, 4, 5, 5, 5, 3, 2])
    table = dip_power_table(vocabulary, ids, 3, 0)
    assert table.groupby("population", sort=False)["values"].first().to_dict() == {"types": 5, "short_types": 2}
    assert table["resamples"].eq(3).all() and len(table) == 2 * len(SHARES) * len(SEPARATIONS)
    pd.testing.assert_frame_equal(table, dip_power_table(vocabulary, ids, 3, 0))


@pytest.mark.parametrize("kind", ["heavy tails", "skewed", "bounded at one side", "flat"])
def test_one_mode_of_any_shape_passes_in_at_most_five_percent(rng, kind: str) -> None:
    draw = {
        "heavy tails": lambda: rng.standard_t(3, size=(400, 800)),
        "skewed": lambda: rng.lognormal(size=(400, 800)),
        "bounded at one side": lambda: rng.exponential(size=(400, 800)),
        "flat": lambda: rng.uniform(size=(400, 800)),  # no unimodal distribution has larger dips
    }
    passed = dip_tests(draw[kind]())[1] <= 0.05
    assert passed.mean() <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)
    assert kind != "flat" or passed.mean() > 0.01


def test_the_bound_of_a_planted_share_holds_and_is_near_what_can_be_seen(rng) -> None:
    """30% of neurons of which each is a mixture of two modes, 4 standard deviations apart; others of other shapes."""
    neurons, values, planted, bounds = 200, 400, 0.3, []
    shapes = (rng.standard_normal, lambda size: rng.standard_t(3, size), lambda size: rng.lognormal(size=size))
    seen = np.mean(dip_tests(mixtures(rng, 400, values, 0.5, 4))[1] <= SMALLEST_P)
    for _ in range(100):
        several = rng.random(neurons) < planted  # so that the share of the data set is 30% with an error
        p = np.ones(neurons)
        p[several] = dip_tests(mixtures(rng, several.sum(), values, 0.5, 4))[1]
        for kind, shape in enumerate(shapes):
            chosen = ~several & (np.arange(neurons) % 3 == kind)
            p[chosen] = dip_tests(shape((chosen.sum(), values)))[1]
        bounds.append((at_least(np.mean(p <= SMALLEST_P), SMALLEST_P), several.mean()))
    found, true = np.array(bounds).T
    assert np.mean(found <= true) >= 0.95
    assert 0.7 < seen <= 1
    assert found.mean() == pytest.approx(planted * seen, abs=4 * np.sqrt(0.3 * 0.7 / neurons / 100) + 3e-4)


def test_values_beyond_the_edges_are_counted_beside_the_bins() -> None:
    """np.nan: a neuron that never varies."""
    rng = np.random.default_rng(5)
    rows, group = 4 * rng.standard_t(3, size=(5, 3000)), rng.integers(0, 3, 3000)
    rows[4] = np.nan
    expected = [np.histogram(rows[:4, group == i], np.r_[-np.inf, EDGES, np.inf])[0] for i in range(3)]
    assert with_tails(rows, group).tolist() == np.array(expected).tolist()
    assert np.min(expected) > 0


def test_layer_and_table(tmp_path: Path, rng, types) -> None:
    """Planted neurons lead the gallery, the pooled histogram holds all values, and the shares are theirs."""
    rows = simulate_unimodal(np.full(30, 0.2), Groups(types), rng)
    planted = [3, 17]
    rows[planted] = two_modes(rng, types, 2) * 10 + 500
    rows[5] = 2.0
    rows[8, :20] += 40  # beyond six standard deviations
    vocabulary = pd.DataFrame({"characters": np.arange(TYPES) % 7 + 1})
    vocabulary = vocabulary.assign(special=False, partial=False, corpus_count=1)
    ids = types.astype(np.int32)
    with ActivationShardWriter(tmp_path / "s.h5", Tokens(ids, ids, ids, ids), {}, "float32", "none") as writer:
        writer.append("mlp_pre", 0, np.ascontiguousarray(rows.T, dtype=np.float32))
        writer.finish()
    neurons, unimodal, histograms = unimodality_tests([str(tmp_path / "s.h5")], vocabulary, 0, 120, 0)
    again = unimodality_tests([str(tmp_path / "s.h5")], vocabulary, 0, 120, 0)
    for one, other in zip((neurons, unimodal, histograms), again, strict=True):
        pd.testing.assert_frame_equal(one, other)
    top = [n for n in histograms["neuron"].unique() if n != POOLED]
    assert len(top) == TOP and set(planted) <= set(top)
    counts = histograms.groupby("neuron")[["short", "median", "long"]].sum().sum(axis=1)
    assert counts.loc[3] == TOKENS
    assert counts.loc[POOLED] == 29 * TOKENS
    pooled = histograms.loc[histograms["neuron"] == POOLED, ["left", "right", "short", "median", "long"]].to_numpy()
    assert (pooled[0, 0], pooled[-1, 0], pooled[-1, 1]) == (-np.inf, 6, np.inf)
    assert pooled[-1, 2:].sum() == 20
    assert len(unimodal) == 120
    np.testing.assert_allclose(unimodal["icc"].mean(), neurons["icc"].mean(), atol=0.1)

    write_table(tmp_path / "n.parquet", neurons)
    write_table(tmp_path / "u.parquet", unimodal)
    table = multimodality_table({"m": [tmp_path / "n.parquet"]}, {"m": [tmp_path / "u.parquet"]})
    row = table.set_index("population").loc["types"]
    assert row["neurons"] == 29
    assert row["share_1e5"] == row["share_by"] == pytest.approx(2 / 29)
    assert row["share_at_least"] == pytest.approx(2 / 29 - 2e-4)
    assert row["share_unimodal"] <= 0.05
    passed = (unimodal["p_short_tokens"] <= 0.05).sum()
    assert passed > 0
    expected = scipy.stats.beta.ppf([0.025, 0.975], [passed, passed + 1], [121 - passed, 120 - passed])
    interval = table.set_index("population").loc["short_tokens", ["share_unimodal_low", "share_unimodal_high"]]
    np.testing.assert_allclose(interval.astype(float), expected)
    assert row["dip_q95"] == neurons["dip_types"].quantile(0.95)
    assert row["dip_median_unimodal"] == unimodal["dip_types"].median()
