"""Shift, overlap and kurtosis: known distributions, plain computations, and leaving out by hand."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from samples import Reading

from layerscope.studies.token_length.group_effects import GroupEffects
from layerscope.studies.token_length.summaries_over_neurons import jackknife_median

TOKENS, NEURONS, DOCUMENTS, TYPES = 600, 7, 12, 51
RNG = np.random.default_rng(0)
DOCUMENT = RNG.permutation(np.r_[np.arange(DOCUMENTS), RNG.integers(0, DOCUMENTS, TOKENS - DOCUMENTS)])
KINDS = np.r_[np.arange(TYPES), RNG.integers(0, TYPES, TOKENS - TYPES)]
GROUP = KINDS % 3  # a type has one length
EDGES = np.r_[-np.inf, np.arange(-5.5, 6, 0.5), np.inf]  # bins of half a standard deviation
RESAMPLES = 30


def reading(group: np.ndarray, document: np.ndarray, types: np.ndarray) -> Reading:
    """Tokens of types whose lengths are in a group; there are as many short as long ones in the corpus."""
    length = np.zeros(types.max() + 1)
    length[types] = 1 + group
    short, long = ((length == at).sum() for at in (1, 3))
    counts = np.select([length == 1, length == 3], [long, short], 1)
    return Reading(types, document, length, np.log1p(counts), np.zeros(len(length)), len(types))


SAMPLE = reading(GROUP, DOCUMENT, KINDS)


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    values = RNG.standard_t(5, (NEURONS, TOKENS)) - 0.3 * (GROUP == 2)
    for group, value in ((0, 40), (2, 35)):  # far beyond the last edge, in one bin
        values[0, np.flatnonzero(group == GROUP)[0]] = value
    return scipy.stats.zscore(values, axis=1)


def effects_of(*blocks: np.ndarray, sample: Reading = SAMPLE) -> GroupEffects:
    found = GroupEffects(sample.resamples(resamples=RESAMPLES))
    for block in blocks:
        found.add(*sample.read(block))
    return found


def values_of(table: pd.DataFrame, measure: str, kind: str) -> np.ndarray:
    rows = table[(table["measure"] == measure) & (table["kind"] == kind)]
    assert rows["resample"].tolist() == list(range(len(rows)))
    return rows["value"].to_numpy()


@pytest.fixture(scope="module")
def table(rows: np.ndarray) -> pd.DataFrame:
    return pd.concat(effects_of(rows[:3], rows[3:]).tables(), ignore_index=True)


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
    null, signs = values_of(table, "shift", "null"), SAMPLE.resamples(resamples=RESAMPLES).signs
    assert len(null) == RESAMPLES
    for draw in (0, 7):
        turned = rows * signs[KINDS, draw]
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
    types = np.where(group == 0, 0, 1 + np.arange(2 * n) % 2)
    found = effects_of(sample=reading(group, np.arange(2 * n) % 5, types))
    for crossing in (0.0, 0.25):
        centers = np.repeat([crossing - apart / 2, crossing + apart / 2], n)
        (overlap, *_) = found.overlap(rng.normal(size=(1, 2 * n)) + centers)[0]
        shares = [np.diff(scipy.stats.norm.cdf(EDGES, crossing + sign * apart / 2)) for sign in (-1, 1)]
        of_bins, exact = np.minimum(*shares).sum(), 2 * scipy.stats.norm.cdf(-apart / 2)
        # A minimum of two counts is on average below that of their means by at most their error.
        assert overlap == pytest.approx(of_bins, abs=4 * np.sqrt(len(EDGES) / (4 * n)))
        assert of_bins == pytest.approx(exact, abs=1e-9) if crossing == 0 else exact <= of_bins < exact + 0.06


def test_overlap_needs_both_groups(rows: np.ndarray, recwarn: pytest.WarningsRecorder) -> None:
    sample = reading(GROUP, DOCUMENT, KINDS)
    sample.vocabulary["corpus_count"] = np.where(sample.vocabulary["characters"] == 3, 10.0, 1.0)
    no_long = pd.concat(effects_of(rows, sample=sample).tables())
    assert no_long.loc[no_long["measure"].isin(["shift", "overlap"]), "value"].isna().all()
    assert not recwarn.list


def test_kurtosis_is_scipys_with_and_without_each_document(rows: np.ndarray) -> None:
    found = effects_of(rows).kurtoses[0]
    np.testing.assert_allclose(found[:, 0], scipy.stats.kurtosis(rows, axis=1))
    assert found.shape == (NEURONS, 1 + DOCUMENTS)
    for number in range(DOCUMENTS):
        rest = rows[:, number != DOCUMENT]
        np.testing.assert_allclose(found[:, 1 + number], scipy.stats.kurtosis(rest, axis=1))


def test_the_kurtosis_of_a_layer_is_the_median(rows: np.ndarray, table: pd.DataFrame) -> None:
    kurtosis = scipy.stats.kurtosis(rows, axis=1)
    assert values_of(table, "kurtosis", "observed") == pytest.approx([np.median(kurtosis)])
    changes = effects_of(rows).kurtoses[0][:, 1:] - kurtosis[:, None]
    np.testing.assert_allclose(values_of(table, "kurtosis", "jackknife"), jackknife_median(kurtosis, changes))


def test_no_neuron_that_varies_has_no_effects(recwarn: pytest.WarningsRecorder) -> None:
    tables = pd.concat(effects_of(np.ones((2, TOKENS))).tables())
    assert tables["value"].isna().all()
    assert len(tables) == 3 * (1 + DOCUMENTS) + RESAMPLES
    assert not recwarn.list
