"""Summaries over neurons with clusters left out: against the plain jackknife, known variances, and coverage."""

import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from layerscope.stats.intervals import student_quantile
from layerscope.stats.jackknife import jackknife_error
from layerscope.studies.token_length.summaries_over_neurons import (
    STATISTICS,
    WEAK,
    error_variance,
    jackknife_median,
    jackknife_summaries,
    kernel_width,
    normal,
    summaries,
    table_of,
)

GROUPS = 40


def plain_summaries(r: np.ndarray) -> dict[str, float]:
    return {
        "mean": float(np.mean(r)),
        "median": float(np.median(r)),
        "std": float(np.std(r, ddof=1)),
        "fraction_positive": sum(x > 0 for x in r) / len(r),
        "fraction_weakly_negative": sum(-WEAK < x < 0 for x in r) / len(r),
    }


def independent_changes(rng: np.random.Generator, neurons: int, error: float) -> np.ndarray:
    """Of neurons whose standard error, by the jackknife, is ``error``."""
    changes = rng.normal(size=(neurons, GROUPS))
    return changes * error / jackknife_error(changes)[:, None]


def test_summaries_are_those_of_each_draw() -> None:
    r = np.random.default_rng(0).normal(-0.05, 0.15, (101, 3))
    found = summaries(r, 0.01)
    assert set(found) == set(STATISTICS)
    for draw in range(3):
        for name, value in plain_summaries(r[:, draw]).items():
            assert found[name][draw] == pytest.approx(value), name
        assert found["variance"][draw] == pytest.approx(np.var(r[:, draw], ddof=1) - 0.01)


def test_without_neurons_nothing_is_known(recwarn: pytest.WarningsRecorder) -> None:
    assert all(np.isnan(values).all() and len(values) == 3 for values in summaries(np.empty((0, 3)), np.nan).values())
    jackknife = jackknife_summaries(np.empty(0), np.empty((0, 5)), np.nan)
    assert set(jackknife) == set(STATISTICS) - {"std"}
    assert all(np.isnan(values).all() and len(values) == 5 for values in jackknife.values())
    assert np.isnan(error_variance(np.empty((0, 5))))
    assert not recwarn.list


def test_one_neuron_is_its_own_summary() -> None:
    changes = np.array([[0.01, -0.02, 0.03, 0.0]])
    found = jackknife_summaries(np.array([0.1]), changes, 0.0)
    np.testing.assert_allclose(found["mean"], 0.1 + changes[0])
    np.testing.assert_allclose(found["median"], 0.1 + changes[0])


def test_summaries_are_jackknifed_as_plainly_where_that_is_smooth() -> None:
    """Many neurons, whose r changes along a curve of r itself: then order hardly changes, and shares do smoothly."""
    rng = np.random.default_rng(1)
    r = np.sort(rng.normal(-0.04, 0.12, 40_000))
    shift, slope = 0.002 * rng.normal(size=(2, GROUPS))
    changes = shift + slope * np.sin(8 * r)[:, None]
    found = jackknife_summaries(r, changes, 0.0)
    plain = [plain_summaries(r + change) | {"variance": np.var(r + change, ddof=1)} for change in changes.T]
    for name, values in found.items():
        expected = np.array([of[name] for of in plain])
        tolerance = 0.06 if name.startswith("fraction") else 0.02
        assert np.corrcoef(values, expected)[0, 1] > 0.99, name
        assert jackknife_error(values) == pytest.approx(jackknife_error(expected), rel=tolerance), name


def test_the_plain_jackknife_of_a_median_is_far_too_wide() -> None:
    """Where neurons vary by themselves the median jumps; to first order it has the error of the classical formula."""
    rng = np.random.default_rng(2)
    r, changes = rng.normal(0, 0.1, 2001), independent_changes(rng, 2001, 0.02)
    median = jackknife_error(np.median(r[:, None] + changes, axis=0))
    # f s/√π is the variance of the number of neurons above the median, f of them to a unit.
    density = 2001 * scipy.stats.norm.pdf(0, scale=0.1)
    expected = np.sqrt(density * 0.02 / np.sqrt(np.pi)) / density
    assert jackknife_error(jackknife_median(r, changes)) == pytest.approx(expected, rel=0.2)
    assert median > 1.5 * expected


def test_the_width_of_the_kernel_gives_a_share_its_variance() -> None:
    """f s/√π, the variance of the number above a value, is f s²/(2√π h) for h = s/2."""
    error, neurons = 0.03, 20_000
    r = np.linspace(-0.5, 0.5, neurons)
    density = neurons / 1.0
    above = scipy.stats.norm.cdf
    variance, _ = scipy.integrate.quad(lambda x: density * above(x / error) * (1 - above(x / error)), -1, 1)
    assert variance == pytest.approx(density * error / np.sqrt(np.pi), rel=1e-6)
    by_kernel = error**2 * (normal(r, error / 2) ** 2).sum()
    assert by_kernel == pytest.approx(variance, rel=1e-3)
    assert error**2 * (normal(r, error) ** 2).sum() == pytest.approx(variance / 2, rel=1e-3)
    changes = independent_changes(np.random.default_rng(3), neurons, error)
    assert kernel_width(changes) == pytest.approx(error / 2)
    found = jackknife_summaries(r, changes, 0.0)
    # An error from 40 groups is itself known to a ninth.
    assert jackknife_error(neurons * found["fraction_positive"]) == pytest.approx(np.sqrt(variance), rel=0.25)


def test_no_change_is_no_error() -> None:
    r, changes = np.random.default_rng(4).normal(size=100), np.zeros((100, GROUPS))
    for name, values in jackknife_summaries(r, changes, 0.0).items():
        np.testing.assert_array_equal(values, summaries(r[:, None], 0.0)[name][0])


def test_the_median_is_that_of_the_neurons_about_it() -> None:
    """Neurons far from the median may change as they like; an even number has its median between two of them."""
    r = np.array([-9.0, -5, -0.001, 0.001, 5, 9])
    changes = np.zeros((6, 4))
    changes[[0, 1, 4, 5]] = [[-1, 1, 0, 0]]
    changes[[2, 3]] = [[0.1, 0.2, -0.3, 0]]
    changes *= 1e-3
    np.testing.assert_allclose(jackknife_median(r, changes), changes[2], atol=1e-12)
    apart = np.array([-9.0, -5, -1, 1, 5, 9])  # none is near: the nearest ones count
    np.testing.assert_allclose(jackknife_median(apart, changes), changes[2], rtol=1e-3, atol=1e-8)


def test_the_error_of_neurons_is_taken_out_of_their_variance() -> None:
    """The mean squared error of the neurons, without what they share."""
    rng = np.random.default_rng(5)
    own, shared = independent_changes(rng, 500, 0.02), 0.5 * rng.normal(size=GROUPS)
    assert error_variance(own) == pytest.approx(0.02**2, rel=0.02)
    assert error_variance(own + shared) == pytest.approx(error_variance(own))
    by_hand = sum((GROUPS - 1) / GROUPS * ((row - row.mean()) ** 2).sum() for row in own - own.mean(axis=0)) / 499
    assert error_variance(own) == pytest.approx(by_hand)


def test_the_jackknife_of_the_variance_is_that_of_the_unbiased_estimate() -> None:
    """Of means over groups: the mean covariance of two different groups, and that of the others without each group."""
    rng = np.random.default_rng(7)
    values = 0.3 * rng.normal(size=(300, GROUPS))
    r = values.mean(axis=1)
    changes = (r[:, None] - values) / (GROUPS - 1)
    error = error_variance(changes)

    def plain(of: np.ndarray) -> float:
        covariance = np.cov(of.T)
        return float((covariance.sum() - np.trace(covariance)) / (len(covariance) * (len(covariance) - 1)))

    assert summaries(r[:, None], error)["variance"][0] == pytest.approx(plain(values), abs=1e-12)
    found = jackknife_summaries(r, changes, error)["variance"]
    expected = np.array([plain(np.delete(values, group, axis=1)) for group in range(GROUPS)])
    assert np.corrcoef(found, expected)[0, 1] > 0.999
    assert jackknife_error(found) == pytest.approx(jackknife_error(expected), rel=2 / GROUPS)


NEURONS, SETS = 200, 250


class Layer:
    """Neurons whose r is a mean over documents, which is left out exactly: its errors are partly shared."""

    def __init__(self, spread: float) -> None:
        rng = np.random.default_rng(6)
        self.true = rng.normal(0.03, spread, NEURONS)
        self.true += 0.03 - self.true.mean()
        found: list[dict[str, tuple[float, float]]] = []
        for _ in range(SETS):
            shared = 0.05 * rng.normal(size=GROUPS) * rng.normal(1, 0.3, (NEURONS, 1))
            values = self.true[:, None] + shared + 0.25 * rng.normal(size=(NEURONS, GROUPS))
            r = values.mean(axis=1)
            changes = (r[:, None] - values) / (GROUPS - 1)
            error = error_variance(changes)
            observed, jackknife = summaries(r[:, None], error), jackknife_summaries(r, changes, error)
            found.append({name: (observed[name][0], jackknife_error(jackknife[name])) for name in jackknife})
        self.values = {name: np.array([of[name][0] for of in found]) for name in found[0]}
        self.errors = {name: np.array([of[name][1] for of in found]) for name in found[0]}

    def coverage(self, name: str, truth: float) -> float:
        return float(np.mean(np.abs(self.values[name] - truth) <= student_quantile(GROUPS - 1) * self.errors[name]))


@pytest.fixture(scope="module")
def layer() -> Layer:
    return Layer(0.06)


@pytest.mark.parametrize("name", ["mean", "median", "variance", "fraction_positive", "fraction_weakly_negative"])
def test_intervals_hold_what_is_expected_in_95_percent_of_samples(layer: Layer, name: str) -> None:
    """From both sides, as are the errors. Errors of neurons move shares, so it is their expectation that is held."""
    truth = {"mean": 0.03, "variance": layer.true.var(ddof=1)}.get(name, layer.values[name].mean())
    low, high = scipy.stats.binom.ppf([0.002, 0.998], SETS, 0.95) / SETS
    assert low <= layer.coverage(name, truth) <= high
    assert np.mean(layer.errors[name] ** 2) ** 0.5 == pytest.approx(layer.values[name].std(), rel=3 / (2 * SETS) ** 0.5)


def test_variance_is_that_of_the_neurons_and_not_of_their_errors(layer: Layer) -> None:
    """Unbiased; where all neurons are the same it is zero on average, and its interval holds zero."""
    for of in (layer, Layer(0.0)):
        values, truth = of.values["variance"], of.true.var(ddof=1)
        assert abs(values.mean() - truth) < 3 * values.std() / SETS**0.5
        assert 3 * values.std() / SETS**0.5 < 0.05 * 0.25**2 / GROUPS + 0.05 * truth  # a bias would show
        assert of.coverage("variance", truth) > 0.9


def test_table_of_draws() -> None:
    table = table_of({"mean": np.array([1.0, 2]), "median": np.array([3.0, 4])}, "r", "null")
    assert table[["statistic", "resample", "value"]].to_numpy().tolist() == [
        ["mean", 0, 1.0], ["mean", 1, 2.0], ["median", 0, 3.0], ["median", 1, 4.0]
    ]  # fmt: skip
    assert set(table["measure"]) == {"r"} and set(table["kind"]) == {"null"}
