"""Statistics from summaries equal those that are computed of all activations directly, in float64.

Exact however few types have a class of their own: r, partial r, group means, moments, shift, and the jackknife of each
over documents. r over types is that of the types with a class of their own. The null gives types that share a class one
sign.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.linalg
import scipy.stats
from scipy.interpolate import BSpline
from texts import TYPES, Text, activations, covariates_of, reduced, summary_of, text_of

from layerscope.studies.token_length.correlate_layer import neurons_table
from layerscope.studies.token_length.group_effects import GroupEffects
from layerscope.studies.token_length.jackknife_sums import jackknife_pearson, residual_sums
from layerscope.studies.token_length.neuron_moments import kurtosis_without, moments
from layerscope.studies.token_length.resample_layer import LayerResamples
from layerscope.studies.token_length.sign_flip_null import LEAST_LEVERAGE
from layerscope.studies.token_length.stored_sample import StoredSample
from layerscope.studies.token_length.token_regressions import TokenRegressions
from layerscope.summarize.summary_shards import LayerSummary, read_layer_summary, write_summary
from layerscope.summarize.token_classes import token_classes

CLOSE = 1e-9
CLASSES = pytest.mark.parametrize("token_types", [TYPES, 8, 1], ids=["all types", "eight types", "one type"])
SHARDS = {"cuts": (3, 20, 21), "batches": (2, 5)}


@pytest.fixture(scope="module", params=["few documents", "many documents"])
def text(request: pytest.FixtureRequest) -> Text:
    """In few documents, each is a cluster; in many, some share one."""
    text = text_of(1, 40, 64, longest=300 if request.param == "few documents" else 20)
    assert (len(np.unique(text.tokens.document)) > 100) == (request.param == "many documents")
    return text


@pytest.fixture(scope="module")
def values(text: Text) -> np.ndarray:
    """Activations of six neurons, [tokens, neurons]: two plain ones, and as their comments say."""
    values = activations(text, 6)
    values[:, 2] = 30 + activations(text, 1, seed=1)[:, 0]
    values[:, 3] = -3000 + 10 * activations(text, 1, seed=2)[:, 0]
    values[:, 4] = np.round(values[:, 4])  # ties
    values[:, 5] = 0.1  # never varies
    values[~text.keep] = 1e4  # what is left out is massive
    return values


class Direct:
    """Statistics of the activations of the tokens that take part."""

    def __init__(self, text: Text, values: np.ndarray) -> None:
        tokens, types = text.tokens, text.types
        self.x = values[text.keep].astype(np.float64)  # [tokens, neurons]
        self.ids, self.cluster = tokens.input_ids[text.keep], tokens.document[text.keep] % 100
        self.lengths = types["characters"].to_numpy()[self.ids].astype(np.float64)
        counted = types[~types["special"] & ~types["partial"]]
        self.median = np.median(np.repeat(counted["characters"], counted["corpus_count"]))
        frequency = np.log1p(types["corpus_count"].to_numpy())
        weights = np.where(types["special"] | types["partial"], 0, types["corpus_count"])
        interior = [np.quantile(np.repeat(frequency, weights), q, method="inverted_cdf") for q in (0.2, 0.4, 0.6, 0.8)]
        interior = [knot for knot in sorted(set(interior)) if frequency.min() < knot < frequency.max()]
        knots = [*[frequency.min()] * 4, *interior, *[frequency.max()] * 4]
        splines = BSpline.design_matrix(frequency, knots, 3).toarray()[self.ids]
        one, line = np.ones((len(self.ids), 1)), frequency[self.ids, None]
        space = types["leading_space"].to_numpy(np.float64)[self.ids, None]
        rest = [space, tokens.position[text.keep, None].astype(np.float64)]
        self.given = {
            ("r", "line"): [one],
            ("r_given_frequency", "line"): [one, line],
            ("r_given_all", "line"): [one, line, *rest],
            ("r_given_frequency", "spline"): [one, splines],
            ("r_given_all", "spline"): [one, splines, *rest],
        }
        self.given["r", "spline"] = self.given["r", "line"]

    def residuals(self, measure: str, frequency_covariate: str) -> tuple[np.ndarray, np.ndarray]:
        """Of lengths [tokens], and of neurons [tokens, neurons], given the covariates of a measure."""
        given = np.hstack(self.given[measure, frequency_covariate])
        given = np.hstack([np.ones((len(given), 1)), given[:, 1:] - given[:, 1:].mean(axis=0)])

        def left(of: np.ndarray) -> np.ndarray:
            centred = of - of.mean(axis=0)  # so that lstsq does not lose digits of a mean of 3,000
            return centred - given @ np.linalg.lstsq(given, centred, rcond=None)[0]

        return left(self.lengths), left(self.x)

    def without(self, cluster: int) -> np.ndarray:
        return self.cluster != cluster

    @property
    def clusters(self) -> list[int]:
        return sorted(set(self.cluster.tolist()))


def pearson(x: np.ndarray, y: np.ndarray) -> list[float]:
    """Of each column of x with y; NaN for one that never varies."""
    return [scipy.stats.pearsonr(column, y).statistic if np.ptp(column) > 1e-11 else np.nan for column in x.T]


@pytest.fixture(scope="module")
def direct(text: Text, values: np.ndarray) -> Direct:
    return Direct(text, values)


def regressions_of(text: Text, summary: LayerSummary, frequency_covariate: str = "spline") -> TokenRegressions:
    token_types = int(summary.attributes["token_types"])
    return TokenRegressions(
        summary.tokens, summary.covariates, text.types, token_types, "characters", frequency_covariate
    )


def resamples_of(text: Text, summary: LayerSummary, frequency_covariate: str = "spline") -> LayerResamples:
    stored = StoredSample.of(text.types, text.tokens, int(summary.attributes["token_types"]))
    return LayerResamples(regressions_of(text, summary, frequency_covariate), stored, 20, 0)


@CLASSES
def test_table_of_neurons(text: Text, values: np.ndarray, direct: Direct, token_types: int) -> None:
    table = neurons_table(summary_of(text, values, token_types, **SHARDS), text.types)
    x = direct.x
    sides = {"short": direct.lengths < direct.median, "median": direct.lengths == direct.median}
    sides["long"] = direct.lengths > direct.median
    assert all(side.any() for side in sides.values())
    expected = {
        "mean": x.mean(axis=0),
        "std": x.std(axis=0, ddof=1),
        "skewness": [*scipy.stats.skew(x[:, :5] - x[:, :5].mean(axis=0)), np.nan],
        "kurtosis": [*scipy.stats.kurtosis(x[:, :5] - x[:, :5].mean(axis=0)), np.nan],
        "minimum": x.min(axis=0),
        "maximum": x.max(axis=0),
        "r_pearson": pearson(x, direct.lengths),
        **{f"mean_{name}": x[side].mean(axis=0) for name, side in sides.items()},
    }
    expected["std"][5] = 0
    assert set(table) == {*expected, "neuron", "tokens"}
    for name, column in expected.items():
        np.testing.assert_allclose(table[name], column, rtol=CLOSE, atol=CLOSE, err_msg=name)
    assert (table["std"][5], table["minimum"][5], table["mean"][5]) == (0, 0.1, pytest.approx(0.1, rel=1e-15))
    assert table["tokens"].tolist() == [len(direct.ids)] * 6 and table["neuron"].tolist() == list(range(6))


@CLASSES
@pytest.mark.parametrize("frequency_covariate", ["line", "spline"])
@pytest.mark.parametrize("measure", ["r", "r_given_frequency", "r_given_all"])
def test_partial_correlations_and_their_jackknife(
    text: Text, values: np.ndarray, direct: Direct, measure: str, frequency_covariate: str, token_types: int
) -> None:
    """Of the residuals of a fit by lstsq; with a cluster left out, of those of the rest, and the fit is kept."""
    summary = summary_of(text, values, token_types, **SHARDS)
    regression = regressions_of(text, summary, frequency_covariate).measures[measure]
    left = residual_sums(summary.neurons, summary.tokens, regression)
    observed, jackknife = jackknife_pearson(left, summary.tokens.cluster_products, regression.weights)
    y, x = direct.residuals(measure, frequency_covariate)
    some = slice(0, 5)  # the sixth never varies
    assert observed[some] == pytest.approx(pearson(x[:, some], y), abs=CLOSE)
    assert summary.tokens.clusters.tolist() == direct.clusters and jackknife.shape == (6, len(direct.clusters))
    for cluster, found in zip(direct.clusters, jackknife.T, strict=True):
        rest = direct.without(cluster)
        assert found[some] == pytest.approx(pearson(x[rest][:, some], y[rest]), abs=CLOSE)
    resampled = resamples_of(text, summary, frequency_covariate).of_neurons(summary.neurons, direct.x.T)
    assert np.array_equal(resampled[measure, "observed"][some, 0], observed[some])
    assert np.array_equal(resampled[measure, "jackknife"][some], jackknife[some])
    assert np.isnan(resampled[measure, "observed"][5]) and np.isnan(resampled[measure, "jackknife"][5]).all()


@CLASSES
@pytest.mark.parametrize("measure", ["r", "r_given_frequency", "r_given_all"])
def test_null_weights_are_those_of_the_tokens(
    text: Text, values: np.ndarray, direct: Direct, measure: str, token_types: int
) -> None:
    """Of each class: the mean of (1 − H)^(−1/2) y, H its block of the hat matrix; of y where H is small."""
    summary = summary_of(text, values, token_types, **SHARDS)
    regressions = regressions_of(text, summary)
    y, x = direct.residuals(measure, "spline")
    y, x = y / np.linalg.norm(y), x / np.linalg.norm(x, axis=0)
    basis = scipy.linalg.orth(np.hstack(direct.given[measure, "spline"]), rcond=1e-10)
    of_tokens = token_classes(text.types, token_types)[direct.ids]
    weights, parts = [], []
    for number in summary.tokens.classes:
        mine = of_tokens == number
        hat = basis[mine] @ basis[mine].T
        of_class = y[mine]
        if np.trace(hat) > LEAST_LEVERAGE:
            shares, vectors = np.linalg.eigh(np.eye(mine.sum()) - hat)
            of_class = vectors @ (np.clip(shares, 1e-6, 1) ** -0.5 * (vectors.T @ of_class))
        weights.append(of_class.mean())
        parts.append(x[mine].sum(axis=0))
    found = regressions.measures[measure].null_weights
    assert found == pytest.approx(np.array(weights), abs=CLOSE)
    resampled = resamples_of(text, summary).of_neurons(summary.neurons, direct.x.T)
    error = np.linalg.norm(np.array(parts) * np.array(weights)[:, None], axis=0)
    assert resampled[measure, "null_error"][:5, 0] == pytest.approx(error[:5], abs=CLOSE)


@CLASSES
def test_r_over_types_is_that_of_types_with_a_class_of_their_own(
    text: Text, values: np.ndarray, direct: Direct, token_types: int
) -> None:
    summary = summary_of(text, values, token_types, **SHARDS)
    classes = token_classes(text.types, token_types)
    own = [kind for kind in np.unique(direct.ids) if classes[kind] == kind]
    assert len(own) == min(token_types, len(np.unique(direct.ids)))
    means = np.stack([direct.x[direct.ids == kind].mean(axis=0) for kind in own])
    lengths = text.types["characters"].to_numpy()[own].astype(np.float64)
    layer = resamples_of(text, summary)
    found = layer.of_neurons(summary.neurons, direct.x.T)
    assert layer.counts["types"] == layer.types == len(own)
    assert found["r_types", "observed"][:5, 0] == pytest.approx(pearson(means[:, :5], lengths), abs=CLOSE, nan_ok=True)
    groups = layer.types_jackknife.groups.labels
    for group in np.unique(groups) if len(own) > 1 else ():
        rest = groups != group
        expected = pearson(means[rest, :5], lengths[rest])
        assert found["r_types", "jackknife"][:5, group] == pytest.approx(expected, abs=CLOSE, nan_ok=True)
    assert np.isnan(found["r_types", "observed"][5])


@CLASSES
def test_moments_and_kurtosis_without_a_cluster(
    text: Text, values: np.ndarray, direct: Direct, token_types: int
) -> None:
    summary = summary_of(text, values, token_types, **SHARDS)
    found = kurtosis_without(summary.tokens, summary.neurons)
    assert found.shape == (6, len(direct.clusters)) and np.isnan(found[5]).all()
    for cluster, of_rest in zip(direct.clusters, found.T, strict=True):
        rest = direct.x[direct.without(cluster), :5]
        np.testing.assert_allclose(of_rest[:5], scipy.stats.kurtosis(rest - rest.mean(axis=0)), rtol=CLOSE, atol=CLOSE)


@CLASSES
def test_shift_of_long_tokens(text: Text, values: np.ndarray, direct: Direct, token_types: int) -> None:
    """In standard deviations of each neuron; with a cluster left out, mean and deviation are kept."""
    summary = summary_of(text, values, token_types, **SHARDS)
    layer = resamples_of(text, summary)
    effects = GroupEffects(layer)
    for start, stop in ((0, 2), (2, 6)):
        effects.add(summary.neurons.block(start, stop), direct.x[:, start:stop].T)
    drawn = pd.concat(effects.tables())
    found = {kind: of["value"].to_numpy() for kind, of in drawn[drawn["measure"] == "shift"].groupby("kind")}
    x = direct.x[:, :5]
    x = ((x - x.mean(axis=0)) / x.std(axis=0)).mean(axis=1)
    long, short = direct.lengths > direct.median, direct.lengths < direct.median
    assert found["observed"].tolist() == pytest.approx([x[long].mean() - x[short].mean()], abs=CLOSE)
    expected = [x[rest & long].mean() - x[rest & short].mean() for rest in map(direct.without, direct.clusters)]
    assert found["jackknife"].tolist() == pytest.approx(expected, abs=CLOSE)
    of_tokens = token_classes(text.types, token_types)[direct.ids]
    weights = long / long.sum() - short / short.sum()
    parts = np.array([(x * weights)[of_tokens == number].sum() for number in summary.tokens.classes])
    assert found["null"] == pytest.approx(parts @ layer.signs, abs=CLOSE)


def test_float32_shards_give_r_within_a_millionth(
    text: Text, values: np.ndarray, direct: Direct, tmp_path: Path
) -> None:
    """Of the same float32 activations, a loop in float64; written, read and merged."""
    single = values.astype(np.float32)
    direct = Direct(text, single)
    paths = []
    for number, (start, stop) in enumerate([(0, 3), (3, 20), (20, 21), (21, 40)]):
        part = text.part(start, stop)
        tokens, neurons = reduced(part, single[start * 64 : stop * 64], 8, batches=(2, 5))
        attributes = {"covariates": " ".join(covariates_of(text).names), "token_types": 8, "shard": number}
        paths.append(str(tmp_path / f"shard_{number}.h5"))
        write_summary(paths[-1], "mlp_pre", tokens, {3: neurons}, attributes)
    summary = read_layer_summary(paths, 3)
    assert neurons_table(summary, text.types)["r_pearson"][:5].to_numpy() == pytest.approx(
        pearson(direct.x[:, :5], direct.lengths), abs=1e-6
    )
    found = resamples_of(text, summary).of_neurons(summary.neurons, direct.x.T)
    for measure in ("r", "r_given_frequency", "r_given_all"):
        y, x = direct.residuals(measure, "spline")
        assert found[measure, "observed"][:5, 0] == pytest.approx(pearson(x[:, :5], y), abs=1e-6)
        for cluster, of_rest in zip(direct.clusters, found[measure, "jackknife"].T, strict=True):
            rest = direct.without(cluster)
            assert of_rest[:5] == pytest.approx(pearson(x[rest, :5], y[rest]), abs=1e-6)
    shape = moments(summary.tokens, summary.neurons)
    np.testing.assert_allclose(
        shape["kurtosis"][:5], scipy.stats.kurtosis(direct.x[:, :5] - direct.x[:, :5].mean(axis=0)), rtol=1e-5
    )


def test_neurons_that_covariates_explain_have_no_partial_correlation(text: Text) -> None:
    values = activations(text, 3)
    z = covariates_of(text)
    of_tokens = z.of_tokens(text.tokens, text.length)
    values[:, 1] = 7 + 3 * of_tokens[:, z.names.index("position")]
    values[:, 2] = of_tokens[:, z.names.index("frequency_spline_2")] - of_tokens[:, z.names.index("leading_space")]
    summary = summary_of(text, values, 8, **SHARDS)
    direct = Direct(text, values)
    found = resamples_of(text, summary).of_neurons(summary.neurons, direct.x.T)
    assert np.isfinite(found["r", "observed"]).all() and np.isfinite(found["r_given_frequency", "observed"]).all()
    assert np.isnan(found["r_given_all", "observed"])[:, 0].tolist() == [False, True, True]
    assert np.isnan(found["r_given_all", "jackknife"]).all(axis=1).tolist() == [False, True, True]


def test_a_property_that_covariates_explain_has_no_partial_correlation(text: Text) -> None:
    types = text.types.assign(characters=3 + text.types["leading_space"].astype(int))
    text = replace(text, types=types)
    values = activations(text, 2)
    summary = summary_of(text, values, 8, **SHARDS)
    found = resamples_of(text, summary).of_neurons(summary.neurons, values[text.keep].T)
    for kind in ("observed", "null", "null_error", "jackknife"):
        assert np.isfinite(found["r_given_frequency", kind]).all()
        assert np.isnan(found["r_given_all", kind]).all()


@pytest.mark.parametrize("base", [0.7, -30.1])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_neuron_that_varies_in_one_cluster_alone_is_nothing_without_it(text: Text, base: float, dtype: type) -> None:
    """It has no kurtosis, and no r beyond rounding, as its covariance is rounding too."""
    values = np.full((len(text.tokens), 1), base)
    cluster = text.tokens.document[text.keep][200] % 100
    mine = text.tokens.document % 100 == cluster
    values[mine] += activations(text, 1)[mine]
    summary = summary_of(text, values.astype(dtype), **SHARDS)
    at = summary.tokens.clusters.tolist().index(cluster)
    kurtosis = kurtosis_without(summary.tokens, summary.neurons)[0]
    assert np.flatnonzero(np.isnan(kurtosis)).tolist() == [at]
    regression = regressions_of(text, summary).measures["r"]
    left = residual_sums(summary.neurons, summary.tokens, regression)
    r = jackknife_pearson(left, summary.tokens.cluster_products, regression.weights)[1][0]
    assert np.isfinite(np.delete(r, at)).all() and abs(np.nan_to_num(r[at])) < 1e-3


def test_one_cluster_only() -> None:
    text = text_of(2, 6, 32, longest=2)
    text = replace(text, tokens=replace(text.tokens, document=np.zeros(192, np.int32)))
    values = activations(text, 3)
    summary, direct = summary_of(text, values, cuts=(2,)), Direct(text, values)
    found = resamples_of(text, summary).of_neurons(summary.neurons, direct.x.T)
    assert found["r", "observed"][:, 0] == pytest.approx(pearson(direct.x, direct.lengths), abs=CLOSE)
    assert found["r", "jackknife"].shape == (3, 1) and np.isnan(found["r", "jackknife"]).all()
    assert np.isnan(kurtosis_without(summary.tokens, summary.neurons)).all()
