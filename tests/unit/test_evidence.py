"""r of a layer's neurons and its table of evidence: every measure, interval and band against a plain computation."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from least_squares import covariate_basis, residuals
from samples import DOCUMENTS, LENGTH, RESAMPLES, TOKENS, TYPES, Reading, Sample
from scipy.interpolate import BSpline

from layerscope.io.tables import write_table
from layerscope.stats.intervals import ALPHA, null_band, null_p, student_quantile
from layerscope.stats.jackknife import jackknife_error
from layerscope.stats.multiple_testing import at_least, passes, share
from layerscope.stats.splines import spline_basis
from layerscope.studies.token_length.confounds import CONFOUNDS, confounds_of, confounds_table
from layerscope.studies.token_length.measures import MEASURES
from layerscope.studies.token_length.resample_layer import resample_neurons
from layerscope.studies.token_length.summaries_over_neurons import STATISTICS
from layerscope.studies.token_length.summarize_evidence import discoveries, evidence_table
from layerscope.tokenize.encoding import token_runs
from layerscope.tokenize.frequency import frequency_table
from layerscope.tokenize.token_shards import Tokens
from layerscope.tokenize.tokenizer import load_tokenizer


@pytest.fixture(scope="module")
def sample() -> Sample:
    return Sample(1)


def plain_partial(x: np.ndarray, y: np.ndarray, covariates: np.ndarray) -> float:
    """Correlation of what ordinary least squares leaves of both."""
    design = np.column_stack([np.ones(len(x)), covariates])
    left = [v - design @ np.linalg.lstsq(design, v, rcond=None)[0] for v in (x, y)]
    return float(scipy.stats.pearsonr(*left).statistic)


def plain_spline(x: np.ndarray, vocabulary: pd.DataFrame) -> np.ndarray:
    """Cubic splines with knots at the quintiles over the tokens of the corpus, by truncated powers."""
    of_types = np.log1p(vocabulary["corpus_count"].to_numpy())
    order = np.argsort(of_types)
    so_far = np.cumsum(vocabulary["corpus_count"].to_numpy()[order])
    knots = np.array([of_types[order][np.argmax(so_far >= q * so_far[-1])] for q in (0.2, 0.4, 0.6, 0.8)])
    z, knots = (x - x.mean()) / x.std(), (knots - x.mean()) / x.std()
    return np.column_stack([z, z**2, z**3, *(np.clip(z - knot, 0, None) ** 3 for knot in knots)])


@pytest.mark.parametrize("control", ["spline", "line"])
def test_every_measure_equals_a_plain_computation(sample: Sample, control: str) -> None:
    rows = sample.noise(5) + 20
    rows[0] += 0.3 * sample.lengths
    rows[1] += sample.covariates["log_frequency"].to_numpy() ** 2
    found = sample.resamples(control).of_neurons(*sample.read(rows))
    log_frequency = sample.covariates["log_frequency"].to_numpy() + 9
    frequency = plain_spline(log_frequency, sample.vocabulary) if control == "spline" else log_frequency[:, None]
    every = np.column_stack([frequency, sample.covariates[["leading_space", "position"]]])
    for i, x in enumerate(rows):
        means = pd.DataFrame({"x": x, "y": sample.lengths}).groupby(sample.types).mean()
        expected = {
            "r": scipy.stats.pearsonr(x, sample.lengths).statistic,
            "r_given_frequency": plain_partial(x, sample.lengths, frequency),
            "r_given_all": plain_partial(x, sample.lengths, every),
            "r_types": scipy.stats.pearsonr(means["x"], means["y"]).statistic,
        }
        assert set(expected) == set(MEASURES)
        for measure, value in expected.items():
            assert found[measure, "observed"][i, 0] == pytest.approx(value, abs=1e-10), measure


def test_splines_of_frequency_hold_every_cubic_and_bend_at_the_quintiles() -> None:
    x = np.random.default_rng(0).exponential(size=500)
    basis = spline_basis(x)
    assert basis.shape == (500, 8)
    np.testing.assert_allclose(basis.sum(axis=1), 1)  # with the constant, a spline of seven more degrees of freedom
    inside = np.quantile(x, [0.2, 0.4, 0.6, 0.8])
    knots = np.r_[[x.min()] * 4, inside, [x.max()] * 4]
    by_scipy = np.column_stack([BSpline(knots, np.eye(8)[i], 3)(x) for i in range(8)])
    np.testing.assert_allclose(basis, by_scipy, atol=1e-12)
    bent = np.column_stack([2 - x + 3 * x**2 - x**3, np.clip(x - inside[1], 0, None) ** 3])
    assert not residuals(bent.T, covariate_basis(basis)).any()
    elsewhere = np.clip(x - 0.5 * (inside[1] + inside[2]), 0, None) ** 3
    assert residuals(elsewhere[None], covariate_basis(basis)).any()


def test_of_few_values_or_of_one_frequent_value_a_curve_is_what_they_allow() -> None:
    few = np.repeat(np.arange(7.0), 9)
    np.testing.assert_array_equal(spline_basis(few), few[:, None])
    # More than three fifths of the tokens are of one type: the quintiles in it are one knot, or the end.
    lumped = np.r_[np.full(700, 5.0), np.linspace(0, 4, 190), np.linspace(6, 7, 110)]
    assert spline_basis(lumped).shape[1] == 5
    assert spline_basis(np.r_[np.full(900, 9.0), np.linspace(0, 4, 100)]).shape[1] == 4


@pytest.mark.parametrize("measure", MEASURES)
def test_the_jackknife_is_r_on_the_rest_with_the_fit_of_the_covariates_kept(sample: Sample, measure: str) -> None:
    rows = sample.noise(2) - 0.1 * sample.lengths
    resamples = sample.resamples()
    found = resamples.of_neurons(*sample.read(rows))[measure, "jackknife"]
    if measure == "r_types":
        frame = pd.DataFrame({"y": sample.lengths, "a": rows[0], "b": rows[1]}).groupby(sample.types).mean()
        x, y, labels = frame[["a", "b"]].to_numpy().T, frame["y"].to_numpy(), resamples.types_jackknife.groups.labels
        assert np.bincount(labels).max() == 2  # more than 200 types, left out by one or two
    else:
        # The covariates are fit to all tokens.
        frequency = plain_spline(sample.covariates["log_frequency"].to_numpy() + 9, sample.vocabulary)
        every = np.column_stack([frequency, sample.covariates[["leading_space", "position"]]])
        given = {"r": frequency[:, :0], "r_given_frequency": frequency, "r_given_all": every}[measure]
        basis = covariate_basis(given)
        x, y, labels = residuals(rows, basis), residuals(sample.lengths[None], basis)[0], sample.documents
    for group in (0, 3, found.shape[1] - 1):
        rest = labels != group
        for i in range(2):
            expected = scipy.stats.pearsonr(x[i, rest], y[rest]).statistic
            assert found[i, group] == pytest.approx(expected, abs=1e-10)
    assert found.shape == (2, 200 if measure == "r_types" else DOCUMENTS)


def test_a_neuron_that_never_varies_has_no_r(sample: Sample) -> None:
    rows = sample.noise(2)
    rows[1] = 0.1
    for values in sample.resamples().of_neurons(*sample.read(rows)).values():
        assert np.isnan(values[1]).all()
        assert not np.isnan(values[0]).any()


def test_covariates_that_explain_everything_leave_nothing() -> None:
    x = np.random.default_rng(0).normal(size=(1, 50))
    basis = covariate_basis(np.column_stack([x[0], 2 * x[0] + 1, np.full(50, 3.0)]))
    assert basis.shape == (50, 2)  # the constant, and what the first two covariates share
    assert not residuals(3 * x + 7, basis).any()


def test_confounds_and_their_correlation_with_length() -> None:
    vocabulary = pd.DataFrame({"leading_space": [True, False, True], "corpus_count": [9, 0, 99]})
    ids = np.array([0, 2, 1, 0], dtype=np.int32)
    tokens = Tokens(ids, *(np.arange(4, dtype=np.int32),) * 3)
    confounds = confounds_of(vocabulary, tokens)
    np.testing.assert_allclose(confounds["log_frequency"], np.log([10, 100, 1, 10]))
    assert confounds["leading_space"].tolist() == [1, 1, 0, 1]
    assert confounds["position"].tolist() == [0, 1, 2, 3]
    lengths = np.array([4, 2, 6, 4])
    table = confounds_table(lengths, ids, confounds.assign(position=1.0)).set_index("confound")
    assert list(table.index) == list(CONFOUNDS)
    assert table.loc["log_frequency", "pearson"] == pytest.approx(-1)
    assert table.loc["log_frequency", "pearson_types"] == pytest.approx(-1)
    assert np.isnan(table.loc["position", "pearson"])
    assert (table["types"] == 3).all()


def test_counting_stops_at_the_limit_and_at_the_end(mini_tokenizer: dict) -> None:
    tokenizer = load_tokenizer(mini_tokenizer)
    texts = ["one two", "three four", "five"]
    whole = frequency_table(tokenizer, token_runs(tokenizer, texts), 10**6)
    expected = np.bincount([i for t in texts for i in [*tokenizer.encode([t])[0], tokenizer.end_of_text]])
    np.testing.assert_array_equal(whole["corpus_count"][: len(expected)], expected)
    part = frequency_table(tokenizer, token_runs(tokenizer, texts), 1)
    assert part["corpus_count"].sum() < whole["corpus_count"].sum()


@pytest.fixture(scope="module")
def resampled(sample: Sample) -> tuple[np.ndarray, pd.DataFrame, pd.DataFrame]:
    """Neurons, one of which never varies, taken in two blocks."""
    rows = sample.noise(30) - 0.05 * sample.lengths
    rows[12] = 1.0
    return rows, *resample_neurons(sample.resamples(), [sample.read(rows[:13]), sample.read(rows[13:])])


def test_the_table_of_neurons_has_r_its_errors_and_p(
    sample: Sample, resampled: tuple[np.ndarray, pd.DataFrame, pd.DataFrame]
) -> None:
    rows, neurons, _ = resampled
    assert neurons["neuron"].tolist() == list(range(30))
    assert np.flatnonzero(neurons["r"].isna()).tolist() == [12]
    assert np.flatnonzero(neurons["p_given_all"].isna()).tolist() == [12]
    r = [scipy.stats.pearsonr(row, sample.lengths).statistic for row in np.delete(rows, 12, axis=0)]
    np.testing.assert_allclose(neurons["r"].dropna(), r, atol=1e-12)
    for neuron in (0, 29):
        rest = [
            scipy.stats.pearsonr(rows[neuron, sample.documents != at], sample.lengths[sample.documents != at]).statistic
            for at in range(DOCUMENTS)
        ]
        error = np.sqrt((DOCUMENTS - 1) / DOCUMENTS * np.square(rest - np.mean(rest)).sum())
        assert neurons["r_std_error"][neuron] == pytest.approx(error)
    assert (neurons[["tokens", "documents"]] == [TOKENS, DOCUMENTS]).all(axis=None)
    assert (neurons["types"] == len(np.unique(sample.types))).all()
    assert (neurons["p"] < 0.05).mean() > 0.2


def test_the_table_of_resamples_has_every_summary_of_every_kind(
    sample: Sample, resampled: tuple[np.ndarray, pd.DataFrame, pd.DataFrame]
) -> None:
    _, neurons, drawn = resampled
    counts = drawn.groupby(["measure", "statistic", "kind"]).size().to_dict()
    expected: dict[tuple[str, str, str], int] = {}
    for measure in MEASURES:
        jackknife = 200 if measure == "r_types" else DOCUMENTS
        for statistic in STATISTICS:
            expected |= {(measure, statistic, "observed"): 1, (measure, statistic, "null"): RESAMPLES}
            expected |= {(measure, statistic, "jackknife"): jackknife} if statistic != "std" else {}
    for measure, statistic in (("shift", "mean"), ("overlap", "mean"), ("kurtosis", "median")):
        expected |= {(measure, statistic, "observed"): 1, (measure, statistic, "jackknife"): DOCUMENTS}
    assert counts == expected | {("shift", "mean", "null"): RESAMPLES}
    observed = drawn[drawn["kind"] == "observed"].set_index(["measure", "statistic"])["value"]
    assert observed["r", "median"] == pytest.approx(neurons["r"].median())
    assert observed["r_types", "mean"] == pytest.approx(neurons["r_types"].mean())
    sizes = np.bincount(sample.documents)
    for measure, rows in drawn.groupby("measure"):
        types = len(np.unique(sample.types))
        number = types if measure == "r_types" else DOCUMENTS
        assert set(rows["clusters"]) == {number}
        # Types count once each, and are left out in 200 groups of one or two.
        groups = np.bincount(np.arange(types) % 200)
        effective = types**2 / (groups**2).sum() if measure == "r_types" else TOKENS**2 / (sizes**2).sum()
        np.testing.assert_allclose(rows["clusters_effective"], effective)


def test_resampling_block_by_block_equals_resampling_at_once(
    sample: Sample, resampled: tuple[np.ndarray, pd.DataFrame, pd.DataFrame]
) -> None:
    rows, neurons, drawn = resampled
    at_once = resample_neurons(sample.resamples(), [sample.read(rows)])
    for found, expected in zip(at_once, (neurons, drawn), strict=True):
        pd.testing.assert_frame_equal(found, expected, rtol=1e-9, atol=1e-11)


def test_the_error_of_neurons_is_taken_out_of_the_variance_and_out_of_its_null(
    sample: Sample, resampled: tuple[np.ndarray, pd.DataFrame, pd.DataFrame]
) -> None:
    _, neurons, drawn = resampled
    of_r = drawn[drawn["measure"] == "r"].groupby(["kind", "statistic"])["value"]
    observed, null = (
        {name: of_r.get_group((kind, name)) for name in ("std", "variance")} for kind in ("observed", "null")
    )
    errors = observed["std"].item() ** 2 - observed["variance"].item()
    assert 0 < errors < neurons["r_std_error"].pow(2).mean() * 1.01
    np.testing.assert_allclose(null["std"].to_numpy() ** 2 - null["variance"].to_numpy(), errors)


def test_r_over_types_is_as_sure_as_documents_leave_it() -> None:
    """Where documents prefer long or short tokens and neurons follow documents, r over types is far less sure."""
    sample = Sample(3, topics=0.7)
    rows = sample.noise(40, of_document=1.5)
    neurons, _ = resample_neurons(sample.resamples(), [sample.read(rows)])
    resamples = sample.resamples()
    found = resamples.of_neurons(*sample.read(rows))
    plain = jackknife_error(found["r_types", "jackknife"])
    of_types, beyond = found["r_types", "variances"].sum(axis=0)
    np.testing.assert_allclose(neurons["r_types_std_error"], np.sqrt(1 + beyond / of_types) * plain)
    assert np.sqrt(1 + beyond / of_types) > 1.3


def test_a_layer_of_neurons_that_never_vary_has_no_evidence(sample: Sample, recwarn: pytest.WarningsRecorder) -> None:
    neurons, drawn = resample_neurons(sample.resamples(), [sample.read(np.ones((3, TOKENS)))])
    assert drawn["value"].isna().all()
    assert neurons[[*MEASURES, "p", "p_given_all"]].isna().all(axis=None)
    assert not recwarn.list


def evidence_of(folder: Path, drawn: pd.DataFrame, neurons: pd.DataFrame, layers: int = 2) -> pd.DataFrame:
    write_table(folder / "resamples.parquet", drawn)
    write_table(folder / "neurons.parquet", neurons)
    paths = ({"model": [str(folder / name)] * layers} for name in ("neurons.parquet", "resamples.parquet"))
    return evidence_table(*paths)


def test_evidence_holds_each_layer_with_its_interval_and_its_null(
    tmp_path: Path, resampled: tuple[np.ndarray, pd.DataFrame, pd.DataFrame]
) -> None:
    _, _, drawn = resampled
    table = evidence_of(tmp_path, drawn, pd.DataFrame({"p": [1e-9, 0.8, np.nan], "p_given_all": [0.9, 0.8, np.nan]}))
    assert len(table) == 2 * (4 * len(STATISTICS) + 3 + 4)
    rows = table.set_index(["layer", "measure", "statistic"])
    for measure, clustered_by in (("r", "documents"), ("r_types", "types"), ("shift", "documents")):
        statistic = "mean" if measure == "shift" else "median"
        row = rows.loc[(1, measure, statistic)]
        of = drawn[(drawn["measure"] == measure) & (drawn["statistic"] == statistic)]
        kinds = {kind: values.to_numpy() for kind, values in of.groupby("kind")["value"]}
        assert row["value"] == kinds["observed"]
        error = np.sqrt(
            (len(kinds["jackknife"]) - 1) * np.square(kinds["jackknife"] - kinds["jackknife"].mean()).mean()
        )
        assert row["std_error"] == pytest.approx(error)
        half_width = scipy.stats.t.ppf(0.975, of["clusters_effective"].iloc[0] - 1) * error
        assert (row["value"] - row["low"], row["high"] - row["value"]) == pytest.approx((half_width, half_width))
        assert (row["clustered_by"], row["clusters"]) == (clustered_by, of["clusters"].iloc[0])
        assert (row["null_low"], row["null_high"]) == pytest.approx(null_band(kinds["null"]))
        assert row["p"] == null_p(kinds["observed"][0], kinds["null"])
        assert row["relative_depth"] == 1
    unknown = rows.loc[(0, "r", "std")]
    assert np.isnan(unknown[["std_error", "low", "high", "clusters"]].astype(float)).all()
    assert np.isfinite(unknown[["null_low", "null_high", "p"]].astype(float)).all()
    assert rows.loc[[(0, "overlap", "mean"), (0, "kurtosis", "median")], "p"].isna().all()
    passing = table[table["statistic"] == "significant_bh"].set_index(["layer", "measure"])["value"]
    assert passing.to_dict() == {(0, "r"): 0.5, (0, "r_given_all"): 0, (1, "r"): 0.5, (1, "r_given_all"): 0}


def test_the_null_band_and_p_are_students_t_about_the_resamples() -> None:
    resamples = np.random.default_rng(0).normal(0.3, 2, 50)
    low, high = null_band(resamples)
    expected = scipy.stats.t.interval(0.95, 49, resamples.mean(), resamples.std(ddof=1))
    assert (low, high) == pytest.approx(expected)
    assert null_band(resamples, 0.01) == pytest.approx(
        scipy.stats.t.interval(0.99, 49, resamples.mean(), resamples.std(ddof=1))
    )
    # At the ends of the band p is 5%.
    assert null_p(low, resamples) == pytest.approx(ALPHA) == null_p(high, resamples)
    assert null_p(resamples.mean(), resamples) == 1
    one_sided = scipy.stats.t.sf((9 - resamples.mean()) / resamples.std(ddof=1), 49)
    assert null_p(9.0, resamples) == pytest.approx(2 * one_sided)
    assert np.isnan(null_p(1.0, np.zeros(50)))
    assert student_quantile(7) == pytest.approx(2.3646, abs=1e-4)
    assert np.isnan(student_quantile(0)) and np.isnan(student_quantile(-0.5))


def test_new_resamples_of_the_null_are_beyond_the_band_in_5_percent() -> None:
    """Also where one of a few parts makes up much of it, whose random signs have short tails."""
    rng = np.random.default_rng(1)
    for parts in (np.ones(100), np.r_[3, np.ones(20)]):
        sums = rng.choice([-1, 1], (4000, len(parts))) @ parts
        low, high = null_band(sums[:200])
        beyond = np.mean((sums[200:] < low) | (sums[200:] > high))
        assert 0.02 < beyond < 0.08


def test_discoveries_are_over_all_layers_at_once() -> None:
    p = np.r_[np.full(10, 1e-4), np.full(5, 0.006), np.linspace(0.01, 1, 85)]
    tables = [pd.DataFrame({"p": part, "p_given_all": part}) for part in np.split(p, [5, 30])]
    tables[1].loc[3, "p"] = np.nan  # tests nothing, and is in no share
    found = {method: [] for method in ("bh", "by")}
    for layer in discoveries(tables):
        for row in layer:
            if row["measure"] == "r":
                found[row["statistic"].removeprefix("significant_")].append(row["value"])
    tested = np.delete(p, 8)
    for method, shares in found.items():
        passing = scipy.stats.false_discovery_control(tested, method=method) <= 0.05
        assert shares == [part.mean() for part in np.split(passing, [5, 29])]
    assert found["by"] != found["bh"]


def test_discoveries_among_true_nulls_are_none_in_95_percent() -> None:
    """All neurons without a signal: any passes in at most 5% of models."""
    rng, found = np.random.default_rng(2), []
    for _ in range(300):
        found.append(passes(rng.uniform(size=200), "bh").any())
    low, high = scipy.stats.binom.ppf([0.002, 0.998], 300, 0.05) / 300
    assert low <= np.mean(found) <= high
    assert not passes(np.full(3, np.nan), "by").any()


def test_shares_and_their_lower_bound() -> None:
    assert np.isnan(share(np.array([]))) and share(np.array([True, False])) == 0.5
    assert at_least(0.3, 1e-5) == pytest.approx(0.3 - 2e-4)
    assert at_least(1e-5, 1e-5) == 0


def test_shift_is_the_average_difference_of_long_and_short_tokens(sample: Sample) -> None:
    rows = sample.noise(6) - 0.2 * sample.lengths
    rows[5] = 1.0
    _, drawn = resample_neurons(sample.resamples(), [sample.read(rows[:2]), sample.read(rows[2:])])
    shift = {kind: of["value"].to_numpy() for kind, of in drawn[drawn["measure"] == "shift"].groupby("kind")}
    group = sample.group
    z = (rows[:5] - rows[:5].mean(axis=1, keepdims=True)) / rows[:5].std(axis=1, keepdims=True)
    expected = (z[:, group == 2].mean(axis=1) - z[:, group == 0].mean(axis=1)).mean()
    assert shift["observed"] == pytest.approx([expected])
    assert expected < null_band(shift["null"])[0]
    assert 0 < jackknife_error(shift["jackknife"]) < -expected


def test_where_confounds_explain_length_there_is_no_partial_r(sample: Sample, recwarn: pytest.WarningsRecorder) -> None:
    length = sample.vocabulary["characters"].to_numpy()
    explained = Reading(sample.types, sample.documents, length, 13.0 - length, np.arange(TYPES) % 3 == 0, LENGTH)
    rows = sample.noise(2)
    for control in ("line", "spline"):
        found = explained.resamples(control).of_neurons(*explained.read(rows))
        assert np.isfinite(found["r", "observed"]).all()
        for kind in ("observed", "null", "jackknife", "null_error"):
            assert np.isnan(found["r_given_frequency", kind]).all()
    assert not recwarn
