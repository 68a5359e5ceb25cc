"""Statistics of many neurons at once equal scipy's, one neuron after the other."""

import numpy as np
import pytest
import scipy.stats

from layerscope.stats.correlation import moments, spearman, varies

TOKENS = 3000
RANDOM = np.random.default_rng(0)
LENGTHS = RANDOM.integers(1, 17, TOKENS)
CONSTANT = np.float32(0.1)  # no exact binary number: a mean over it is rounded
ROWS = np.stack(
    [
        RANDOM.normal(size=TOKENS),
        RANDOM.normal(size=TOKENS) + 0.3 * LENGTHS,
        1e4 + 1e-2 * RANDOM.normal(size=TOKENS),  # sums of squares of raw values would lose all digits
        -1e4 + 1e-2 * (RANDOM.normal(size=TOKENS) + LENGTHS),
        RANDOM.integers(-2, 3, TOKENS),  # ties
        RANDOM.exponential(size=TOKENS) ** 3,
        RANDOM.standard_t(2, TOKENS),
        np.where(np.arange(TOKENS) == 7, 5e3, 1e-3),  # a massive activation, all else tied
    ]
).astype(np.float32)


def test_correlation_equals_scipy_on_every_row():
    expected = [scipy.stats.spearmanr(row.astype(np.float64), LENGTHS).statistic for row in ROWS]
    np.testing.assert_allclose(spearman(ROWS, LENGTHS), expected, rtol=0, atol=1e-11)


def test_moments_equal_scipy_on_every_row():
    exact = ROWS.astype(np.float64)
    expected = {
        "mean": [np.mean(row) for row in exact],
        "std": [np.std(row, ddof=1) for row in exact],
        "skewness": [scipy.stats.skew(row) for row in exact],
        "kurtosis": [scipy.stats.kurtosis(row) for row in exact],
    }
    found = moments(ROWS)
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-9, atol=1e-11, err_msg=name)


def test_a_neuron_that_never_varies_has_no_correlation_and_no_shape():
    rows = np.full((2, TOKENS), CONSTANT)
    rows[1] = ROWS[0]
    r = spearman(rows, LENGTHS)
    assert np.isnan(r[0])
    assert np.isfinite(r[1])
    found = moments(rows)
    assert np.isnan([found["skewness"][0], found["kurtosis"][0]]).all()
    assert found["mean"][0] == pytest.approx(CONSTANT, rel=1e-12)
    assert found["std"][0] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("at", [0, 1, 7, 8, TOKENS - 1])
def test_one_other_value_is_enough_to_vary(at: int):
    rows = np.full((3, TOKENS), CONSTANT)
    rows[1, at] = np.nextafter(CONSTANT, 1)
    assert varies(rows).tolist() == [False, True, False]


def test_nothing_correlates_with_a_constant():
    assert np.isnan(spearman(ROWS, np.full(TOKENS, 0.1))).all()


@pytest.mark.parametrize(
    ("x", "y", "rho"),
    [
        ([1, 2, 3], [10, 20, 30], 1),
        ([1, 2, 3], [5, 3, 1], -1),
        ([-1, 0, 1], [1, -2, 1], 0),
        ([1, 2, 3, 4], [1, 3, 2, 4], 0.8),
        ([1, 2, 3, 100], [1, 2, 3, 4], 1),
    ],
)
def test_known_answers(x, y, rho):
    assert spearman(np.array([x]), np.array(y)) == pytest.approx([rho], abs=1e-15)


def test_without_signal_r_spreads_by_one_over_the_root_of_n():
    tokens = 400
    noise = np.random.default_rng(1).normal(size=(3000, tokens))
    lengths = np.random.default_rng(2).integers(1, 17, tokens)
    r = spearman(noise, lengths)
    assert r.mean() == pytest.approx(0, abs=0.005)
    assert r.std() == pytest.approx(1 / np.sqrt(tokens), rel=0.05)
