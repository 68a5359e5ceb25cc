"""The null of r: against r written out type by type, known variances, and neurons that do not follow length."""

import numpy as np
import pandas as pd
import pytest
import scipy.linalg
import scipy.stats
from least_squares import covariate_basis, residuals
from samples import DOCUMENTS, RESAMPLES, TOKENS, TYPES, Reading, Sample

from layerscope.stats.jackknife import jackknife_error
from layerscope.stats.splines import spline_basis
from layerscope.studies.token_length.resample_layer import widen_types
from layerscope.studies.token_length.sign_flip_null import LEAST_LEVERAGE, p_of_null

OVER_TOKENS = ("r", "r_given_frequency", "r_given_all")
MEASURES = (*OVER_TOKENS, "r_types")
Found = dict[tuple[str, str], np.ndarray]


@pytest.fixture(scope="module")
def sample() -> Sample:
    return Sample(1)


def p_of(found: Found, measure: str) -> np.ndarray:
    return p_of_null(found[measure, "observed"][:, 0], found[measure, "null_error"][:, 0])


def design(sample: Reading, measure: str, frequency_covariate: str = "spline") -> np.ndarray:
    """Orthonormal covariates of a measure, [tokens, rank]."""
    types, position = sample.tokens.input_ids, sample.tokens.position
    counts = sample.vocabulary["corpus_count"].to_numpy()
    log_frequency = np.log1p(counts)
    frequency = spline_basis(log_frequency, counts) if frequency_covariate == "spline" else log_frequency[:, None]
    every = np.column_stack([frequency[types], sample.vocabulary["leading_space"].to_numpy()[types], position])
    given = {"r": every[:, :0], "r_given_frequency": frequency[types], "r_given_all": every.astype(float)}
    return covariate_basis(given[measure])


def residual_lengths(sample: Reading, basis: np.ndarray) -> np.ndarray:
    """Residuals of the lengths given covariates, with norm 1: [tokens]."""
    left = residuals(sample.vocabulary["characters"].to_numpy(float)[None, sample.tokens.input_ids], basis)[0]
    return left / np.linalg.norm(left)


def test_the_null_is_r_with_the_signs_of_whole_types_flipped(sample: Sample) -> None:
    """Token by token, where no type has leverage; r over types everywhere."""
    resamples, rows = sample.resamples(), sample.noise(3)
    found = resamples.of_neurons(*sample.read(rows))
    assert set(np.unique(resamples.signs)) == {-1, 1} and resamples.signs.shape == (resamples.types, RESAMPLES)
    means = pd.DataFrame(rows.T).groupby(sample.types).mean().to_numpy().T
    lengths = pd.Series(sample.lengths).groupby(sample.types).first().to_numpy()
    for resample in (0, 3):
        signs = resamples.signs[:, resample]
        for i in range(3):
            z, y = scipy.stats.zscore(means[i]), scipy.stats.zscore(lengths)
            assert found["r_types", "null"][i, resample] == pytest.approx((signs * z * y).mean(), abs=1e-12)
            z, y = scipy.stats.zscore(rows[i]), scipy.stats.zscore(sample.lengths)
            of_tokens = dict(zip(np.unique(sample.types), signs, strict=True))
            turned, own = 0.0, z * y / TOKENS
            for kind in np.unique(sample.types):
                tokens = np.flatnonzero(sample.types == kind)
                # The mean takes of a type its share of the tokens; a common type's part is written larger for that.
                share = len(tokens) / TOKENS
                correction = (1 - share) ** -0.5 - 1 if share > LEAST_LEVERAGE else 0
                part = own[tokens].sum() + correction * z[tokens].mean() * y[tokens].sum() / TOKENS
                turned += of_tokens[kind] * part
            assert found["r", "null"][i, resample] == pytest.approx(turned, abs=1e-12)
    for measure in MEASURES:
        sums = found[measure, "null_error"][:, 0]
        # Random signs of the parts have the sum of their squares as the variance.
        error = found[measure, "null"].std(axis=1) / np.sqrt(2 * RESAMPLES)
        np.testing.assert_array_less(np.abs(found[measure, "null"].std(axis=1) - sums), 4 * error)


def test_signs_are_the_same_for_all_neurons_and_blocks(sample: Sample) -> None:
    resamples, rows = sample.resamples(), sample.noise(4)
    whole, part = resamples.of_neurons(*sample.read(rows)), sample.resamples().of_neurons(*sample.read(rows[2:]))
    for key, values in part.items():
        np.testing.assert_allclose(whole[key][2:], values, atol=1e-12)
    assert (sample.resamples(seed=1).signs != resamples.signs).any()


def test_without_leverage_the_weights_of_the_null_are_those_of_r() -> None:
    rng = np.random.default_rng(0)
    types = rng.permutation(np.repeat(np.arange(400), 3))
    reading = Reading(types, types % 50, rng.integers(1, 12, 400), np.full(400, 5.0), np.zeros(400), 40)
    lengths = reading.vocabulary["characters"].to_numpy()
    expected = (lengths - lengths.mean()) / np.linalg.norm((lengths - lengths.mean())[types])
    assert LEAST_LEVERAGE > 3 / 1200
    np.testing.assert_allclose(reading.regressions().measures["r"].null_weights, expected, atol=1e-12)


@pytest.mark.parametrize("measure", OVER_TOKENS)
def test_leverage_is_put_back_by_the_inverse_root_of_the_hat_matrix(sample: Sample, measure: str) -> None:
    """CR2 with the matrices written out: one of tokens by tokens for each type."""
    basis, null_weights = design(sample, measure), sample.regressions().measures[measure].null_weights
    weights, types = residual_lengths(sample, basis), np.unique(sample.types)
    leverage = np.array([(basis[sample.types == kind] ** 2).sum() for kind in types])
    means = np.array([weights[sample.types == kind].mean() for kind in types])
    # Only position varies within a type.
    scale = (means[np.searchsorted(types, sample.types)] ** 2).sum() ** -0.5
    assert scale == pytest.approx(1, abs=1e-3 if measure == "r_given_all" else 1e-12)
    for kind in np.argsort(-leverage)[[0, 5, 20, 100]]:
        of = np.flatnonzero(sample.types == types[kind])
        expected = weights[of]
        if leverage[kind] > LEAST_LEVERAGE:
            hat = basis[of] @ basis[of].T
            expected = scipy.linalg.fractional_matrix_power(np.eye(len(of)) - hat, -0.5).real @ weights[of]
        added = expected.mean() - means[kind]
        assert null_weights[kind] == pytest.approx(scale * means[kind] + added, abs=1e-10)


@pytest.fixture(scope="module")
def one_common_type() -> Reading:
    """A type that is more than a half of the tokens."""
    rng = np.random.default_rng(2)
    types = np.r_[np.zeros(350, dtype=int), rng.integers(1, 100, 250)]
    frequency = np.log1p(np.bincount(types, minlength=100))
    lengths = np.clip(np.round(5 - 0.8 * frequency + rng.normal(size=100)), 1, 12)
    return Reading(types, rng.integers(0, 40, 600), lengths, frequency, np.arange(100) % 2, 50)


@pytest.mark.parametrize(("measure", "plain"), [("r", 0.9), ("r_given_frequency", 0.99), ("r_given_all", 0.99)])
def test_one_type_of_most_tokens_does_not_make_the_null_too_narrow(
    one_common_type: Reading, measure: str, plain: float
) -> None:
    """Of independent tokens r has the variance 1 / (tokens - covariates), which squared parts sum up to on average.

    Given frequency a common type matters less: of its length little is left.
    """
    sample = one_common_type
    types, basis = sample.tokens.input_ids, design(sample, measure, "line")
    hat, weights = basis @ basis.T, residual_lengths(sample, basis)
    kinds = np.unique(types)

    def expected(of_parts: np.ndarray) -> float:
        """Variance of the parts of independent tokens, beside that of r."""
        total = 0.0
        for kind, weight in zip(kinds, of_parts, strict=True):
            of = np.flatnonzero(types == kind)
            total += weight**2 * (np.eye(len(of)) - hat[np.ix_(of, of)]).sum()
        return total

    null_weights = sample.regressions("line").measures[measure].null_weights
    assert 1 - LEAST_LEVERAGE <= expected(null_weights) <= 1 + 1e-9
    assert expected(np.array([weights[types == kind].mean() for kind in kinds])) < plain  # of residuals as they are
    rng, true = np.random.default_rng(3), 1 / (600 - basis.shape[1])
    found = sample.resamples("line", resamples=50).of_neurons(*sample.read(rng.normal(size=(3000, 600))))
    squares, r = found[measure, "null_error"][:, 0] ** 2, found[measure, "observed"][:, 0]
    assert squares.mean() == pytest.approx(true, abs=4 * squares.std() / 3000**0.5 + LEAST_LEVERAGE * true)
    assert r.var() == pytest.approx(true, rel=4 * np.sqrt(2 / 3000))


def test_p_is_that_of_a_normal_distribution() -> None:
    r, error = np.array([0.0, 0.1, -0.1, 0.4, np.nan]), np.full(5, 0.05)
    np.testing.assert_allclose(p_of_null(r, error), 2 * scipy.stats.norm.sf(np.abs(r) / error), rtol=1e-12)
    assert p_of_null(np.array([1.0]), np.array([0.03]))[0] > 0


def frequency_only(sample: Sample, neurons: int) -> np.ndarray:
    """Neurons that follow a curve of log frequency, and nothing else that goes with length."""
    x = sample.covariates["log_frequency"].to_numpy()
    bends = sample.rng.normal(size=(neurons, 2))
    return sample.noise(neurons) + bends @ np.stack([1.5 * x, 3 * x**2])


SAMPLES, NEURONS = 80, 6


@pytest.fixture(scope="module")
def p_without_signal() -> dict[tuple[str, str], np.ndarray]:
    """Over samples, so that an accident of one set of types does not count a hundred times."""
    p: dict[tuple[str, str], list[np.ndarray]] = {}
    for seed in range(SAMPLES):
        sample = Sample(100 + seed)
        kinds = {
            "noise": sample.noise(NEURONS),
            "heavy tails": sample.noise(NEURONS, heavy=True),
            "frequency": frequency_only(sample, NEURONS),
        }
        found = sample.resamples().of_neurons(*sample.read(np.concatenate(list(kinds.values()))))
        widen_types(found)
        line = sample.resamples("line").of_neurons(*sample.read(kinds["frequency"]))
        for measure in MEASURES:
            for kind, values in zip(kinds, np.split(p_of(found, measure), len(kinds)), strict=True):
                p.setdefault((kind, measure), []).append(values)
            p.setdefault(("frequency, line", measure), []).append(p_of(line, measure))
    return {key: np.concatenate(values) for key, values in p.items()}


@pytest.mark.parametrize(
    ("kind", "measures"),
    [("noise", MEASURES), ("heavy tails", MEASURES), ("frequency", ("r_given_frequency", "r_given_all"))],
)
def test_p_is_uniform_where_there_is_nothing(
    p_without_signal: dict[tuple[str, str], np.ndarray], kind: str, measures: tuple[str, ...]
) -> None:
    """From both sides, within what so many neurons tell.

    Not in the middle where tails are heavy: of a sum that one part makes up p is that of one standard error, 0.32.
    """
    low, high = scipy.stats.binom.ppf([0.002, 0.998], SAMPLES * NEURONS, 0.05) / (SAMPLES * NEURONS)
    assert low > 0.02 and high < 0.09
    for measure in measures:
        p = p_without_signal[kind, measure]
        assert kind == "heavy tails" or scipy.stats.kstest(p, "uniform").pvalue > 0.001, measure
        assert low <= np.mean(p < 0.05) <= high, measure
        assert np.mean(p < 0.001) <= scipy.stats.binom.ppf(0.999, len(p), 0.001) / len(p), measure


def test_a_line_of_frequency_leaves_its_curve_in_r(p_without_signal: dict[tuple[str, str], np.ndarray]) -> None:
    assert np.mean(p_without_signal["frequency", "r"] < 0.05) > 0.5
    for measure in ("r_given_frequency", "r_given_all"):
        assert np.mean(p_without_signal["frequency, line", measure] < 0.05) > 0.2


@pytest.mark.parametrize(
    ("of_length", "of_frequency", "raw", "given"),
    [(0.4, 0, True, True), (0, -1.0, True, False), (0.4, -1.0, True, True), (0, 0, False, False)],
    ids=["length only", "frequency only", "both", "neither"],
)
def test_planted_effects_are_told_apart(
    sample: Sample, of_length: float, of_frequency: float, raw: bool, given: bool
) -> None:
    rows = sample.noise(40) + of_length * sample.lengths + of_frequency * sample.covariates["log_frequency"].to_numpy()
    found = sample.resamples().of_neurons(*sample.read(rows))
    for measure, effect in (("r", raw), ("r_given_frequency", given), ("r_given_all", given)):
        p = p_of(found, measure)
        assert np.mean(p < 0.05) > 0.9 if effect else np.mean(p < 0.05) < 0.2, measure


def follow_one_document(sample: Sample) -> np.ndarray:
    """One neuron for each document: on it is on, elsewhere off."""
    return (sample.documents == np.arange(DOCUMENTS)[:, None]) + 0.01 * sample.rng.normal(size=(DOCUMENTS, TOKENS))


@pytest.mark.parametrize("measure", OVER_TOKENS)
def test_r_that_hangs_on_one_document_may_be_zero_on_other_text(measure: str) -> None:
    """Where documents prefer long or short tokens; the error of independent tokens has it far from zero."""
    sample = Sample(1, topics=0.7)
    found = sample.resamples().of_neurons(*sample.read(follow_one_document(sample)))
    r, error = found[measure, "observed"][:, 0], jackknife_error(found[measure, "jackknife"])
    large = np.abs(r) > 3 / TOKENS**0.5
    assert large.sum() >= 5
    assert (np.abs(r) < scipy.stats.t.ppf(0.975, DOCUMENTS - 1) * error)[large].all()


def test_neurons_that_follow_one_document_do_not_follow_length(sample: Sample) -> None:
    found = sample.resamples().of_neurons(*sample.read(follow_one_document(sample)))
    for measure in OVER_TOKENS:
        p = p_of(found, measure)
        assert p.min() > 0.001 and scipy.stats.kstest(p, "uniform").pvalue > 0.001


def test_what_documents_add_to_r_over_types_is_that_of_two_way_clusters() -> None:
    """Written out by loops: of documents and of types in them, from the part that each token has in r."""
    sample = Sample(3, topics=0.7)
    rows = sample.noise(4, of_document=1.5)
    resamples = sample.resamples()
    found = resamples.of_neurons(*sample.read(rows))
    kinds, labels, sizes = np.unique(sample.types, return_inverse=True, return_counts=True)
    y = np.array([sample.lengths[sample.types == kind][0] for kind in kinds])
    weights = (y - y.mean()) / np.linalg.norm(y - y.mean())
    of_types, beyond = np.zeros(4), np.zeros(4)
    for i, row in enumerate(rows):
        means = np.array([row[sample.types == kind].mean() for kind in kinds])
        parts = (row - means.mean()) * weights[labels] / sizes[labels] / np.linalg.norm(means - means.mean())
        r = parts.sum()
        assert r == pytest.approx(found["r_types", "observed"][i, 0])
        of_types[i] = sum(parts[sample.types == kind].sum() ** 2 for kind in kinds)
        for document in range(DOCUMENTS):
            inside = sample.documents == document
            centred = parts[inside].sum() - r * inside.mean()
            beyond[i] += centred**2 * DOCUMENTS / (DOCUMENTS - 1)
            beyond[i] -= sum(parts[inside & (sample.types == kind)].sum() ** 2 for kind in kinds)
    np.testing.assert_allclose(found["r_types", "variances"], np.column_stack([of_types, beyond]), rtol=1e-9)
    before = {key: values.copy() for key, values in found.items()}
    widen_types(found)
    factor = np.sqrt((of_types + beyond).sum() / of_types.sum())
    assert factor > 1.3
    for kind in ("null", "null_error"):
        np.testing.assert_allclose(found["r_types", kind], factor * before["r_types", kind])
    observed = before["r_types", "observed"]
    np.testing.assert_allclose(
        found["r_types", "jackknife"] - observed, factor * (before["r_types", "jackknife"] - observed)
    )
    for key in before:
        if key[0] != "r_types" or key[1] in ("observed", "variances"):
            np.testing.assert_array_equal(found[key], before[key])


def factor_and_level(topics: float, of_document: float) -> tuple[float, np.ndarray, np.ndarray]:
    """The mean factor by which documents widen r over types, and p of neurons without a signal, with it and without."""
    factors, p = [], []
    for seed in range(40):
        sample = Sample(500 + seed, topics)
        found = sample.resamples().of_neurons(*sample.read(sample.noise(20, of_document)))
        before, p_before = found["r_types", "null_error"].copy(), p_of(found, "r_types")
        widen_types(found)
        factors.append((found["r_types", "null_error"] / before).mean())
        p.append([p_of(found, "r_types"), p_before])
    widened, plain = np.concatenate(p, axis=1)
    return float(np.mean(factors)), widened, plain


@pytest.mark.slow
def test_documents_widen_r_over_types_where_they_matter_and_nowhere_else() -> None:
    factor, _, _ = factor_and_level(topics=0.7, of_document=0.0)
    assert 1 <= factor < 1.05
    factor, widened, plain = factor_and_level(topics=0.7, of_document=1.5)
    assert factor > 1.3
    low, high = scipy.stats.binom.ppf([0.002, 0.998], len(plain), 0.05) / len(plain)
    assert low <= np.mean(widened < 0.05) <= high
    assert np.mean(plain < 0.05) > 0.2


def test_widening_never_narrows_and_passes_over_neurons_that_never_vary() -> None:
    r = {("r_types", kind): np.ones((2, 1)) for kind in ("null", "null_error", "observed")}
    r["r_types", "jackknife"] = np.array([[0.9, 1.1], [np.nan, np.nan]])
    for variances, factor in (([[4.0, -3], [np.nan, np.nan]], 1), ([[4.0, 5], [np.nan, np.nan]], 1.5)):
        changed = {key: values.copy() for key, values in r.items()} | {("r_types", "variances"): np.array(variances)}
        widen_types(changed)
        assert changed["r_types", "null"][0, 0] == changed["r_types", "null_error"][0, 0] == factor
        assert changed["r_types", "jackknife"][0].tolist() == pytest.approx([1 - 0.1 * factor, 1 + 0.1 * factor])


def test_types_of_the_sample_are_all_in_some_left_out_group(sample: Sample) -> None:
    resamples = sample.resamples()
    assert resamples.types == len(np.unique(sample.types)) <= TYPES
    assert resamples.types_jackknife.clusters == min(200, resamples.types)
