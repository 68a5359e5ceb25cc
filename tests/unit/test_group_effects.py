"""Shift, overlap and kurtosis: known distributions, plain computations, and leaving out by hand."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from layerscope.stats.jackknife import Groups, Jackknife
from layerscope.studies.token_length.group_effects import GroupEffects
from layerscope.studies.token_length.summaries_over_neurons import jackknife_median

TOKENS, NEURONS, DOCUMENTS = 600, 7, 12
RNG = np.random.default_rng(0)
DOCUMENT = RNG.permutation(np.r_[np.arange(DOCUMENTS), RNG.integers(0, DOCUMENTS, TOKENS - DOCUMENTS)])
KINDS = RNG.integers(0, 50, TOKENS)
GROUP = np.array([0, 1, 2])[KINDS % 3]  # a type has one length
EDGES = np.r_[-np.inf, np.arange(-5.5, 6, 0.5), np.inf]  # bins of half a standard deviation
SIGNS = RNG.choice([-1.0, 1.0], (50, 30))


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    values = RNG.standard_t(5, (NEURONS, TOKENS)) - 0.3 * (GROUP == 2)
    for group, value in ((0, 40), (2, 35)):  # far beyond the last edge, in one bin
        values[0, np.flatnonzero(group == GROUP)[0]] = value
    return scipy.stats.zscore(values, axis=1)


def effects_of(*blocks: np.ndarray) -> GroupEffects:
    found = GroupEffects(GROUP, Groups(KINDS), Jackknife(DOCUMENT), SIGNS)
    for block in blocks:
        found.add(block)
    return found


def values_of(table: pd.DataFrame, measure: str, kind: str) -> np.ndarray:
    rows = table[(table["measure"] == measure) & (table["kind"] == kind)]
    assert rows["resample"].tolist() == list(range(len(rows)))
    return rows["value"].to_numpy()


@pytest.fixture(scope="module")
def table(rows: np.ndarray) -> pd.DataFrame:
    return pd.concat(effects_of(rows[:3], rows[3:3], rows[3:]).tables(), ignore_index=True)


def plain_overlap(row: np.ndarray, keep: np.ndarray) -> float:
    short, long = (np.histogram(row[keep & (group == GROUP)], EDGES)[0] for group in (0, 2))
    return sum(min(p, q) for p, q in zip(short / short.sum(), long / long.sum(), strict=True))


def test_shift_is_the_difference_of_plain_means(rows: np.ndarray, table: pd.DataFrame) -> None:
    expected = np.mean([row[GROUP == 2].mean() - row[GROUP == 0].mean() for row in rows])
    assert values_of(table, "shift", "observed") == pytest.approx([expected])
    for number, value in enumerate(values_of(table, "shift", "jackknife")):
        keep = number != DOCUMENT
        plain = [row[keep & (GROUP == 2)].mean() - row[keep & (GROUP == 0)].mean() for row in rows]
        assert value == pytest.approx(np.mean(plain))
    assert number == DOCUMENTS - 1


def test_the_null_of_the_shift_turns_the_sign_of_whole_types(rows: np.ndarray, table: pd.DataFrame) -> None:
    null = values_of(table, "shift", "null")
    assert len(null) == 30
    for draw in (0, 7):
        turned = rows * SIGNS[KINDS, draw]
        long, short = (turned[:, group == GROUP].sum(axis=1) / (group == GROUP).sum() for group in (2, 0))
        assert null[draw] == pytest.approx((long - short).mean())


def test_overlap_is_that_of_plain_histograms(rows: np.ndarray, table: pd.DataFrame) -> None:
    everything = np.ones(TOKENS, dtype=bool)
    expected = np.mean([plain_overlap(row, everything) for row in rows])
    assert values_of(table, "overlap", "observed") == pytest.approx([expected])
    for number, value in enumerate(values_of(table, "overlap", "jackknife")):
        keep = number != DOCUMENT
        assert value == pytest.approx(np.mean([plain_overlap(row, keep) for row in rows]))


@pytest.mark.parametrize("apart", [0.0, 1.0, 2.0, 4.0])
def test_overlap_of_two_normal_distributions(apart: float) -> None:
    """Exactly 2Φ(-d/2) where they cross at an edge of the bins; elsewhere bins of half a deviation may add to it."""
    n, rng = 40_000, np.random.default_rng(1)
    group = np.repeat([0, 2], n)
    found = GroupEffects(group, Groups(np.arange(2 * n) % 3), Jackknife(np.arange(2 * n) % 5), np.ones((3, 1)))
    for crossing in (0.0, 0.25):
        centers = np.repeat([crossing - apart / 2, crossing + apart / 2], n)
        (overlap, *_) = found.overlap(rng.normal(size=(1, 2 * n)) + centers)[0]
        shares = [np.diff(scipy.stats.norm.cdf(EDGES, crossing + sign * apart / 2)) for sign in (-1, 1)]
        of_bins, exact = np.minimum(*shares).sum(), 2 * scipy.stats.norm.cdf(-apart / 2)
        # A minimum of two counts is on average below that of their means by at most their error.
        assert overlap == pytest.approx(of_bins, abs=4 * np.sqrt(len(EDGES) / (4 * n)))
        assert of_bins == pytest.approx(exact, abs=1e-9) if crossing == 0 else exact <= of_bins < exact + 0.06


def test_overlap_needs_both_groups(rows: np.ndarray, recwarn: pytest.WarningsRecorder) -> None:
    only_short = GroupEffects(np.zeros(TOKENS), Groups(KINDS), Jackknife(DOCUMENT), SIGNS)
    only_short.add(rows)
    tables = pd.concat(only_short.tables())
    assert tables.loc[tables["measure"].isin(["shift", "overlap"]), "value"].isna().all()
    assert not recwarn.list


def test_kurtosis_is_scipys_with_and_without_each_document(rows: np.ndarray) -> None:
    found = effects_of(rows).kurtosis(rows)
    np.testing.assert_allclose(found[:, 0], scipy.stats.kurtosis(rows, axis=1))
    assert found.shape == (NEURONS, 1 + DOCUMENTS)
    for number in range(DOCUMENTS):
        rest = rows[:, number != DOCUMENT]
        np.testing.assert_allclose(found[:, 1 + number], scipy.stats.kurtosis(rest, axis=1))


def test_the_kurtosis_of_a_layer_is_the_median(rows: np.ndarray, table: pd.DataFrame) -> None:
    kurtosis = scipy.stats.kurtosis(rows, axis=1)
    assert values_of(table, "kurtosis", "observed") == pytest.approx([np.median(kurtosis)])
    changes = effects_of(rows).kurtosis(rows)[:, 1:] - kurtosis[:, None]
    np.testing.assert_allclose(values_of(table, "kurtosis", "jackknife"), jackknife_median(kurtosis, changes))


def test_no_neuron_that_varies_has_no_effects(recwarn: pytest.WarningsRecorder) -> None:
    tables = pd.concat(effects_of(np.empty((0, TOKENS))).tables())
    assert tables["value"].isna().all()
    assert len(tables) == 3 * (1 + DOCUMENTS) + 30
    assert not recwarn.list
