"""Statistics from summaries equal those that are computed of all activations directly, in float64.

Exact however few types have a class of their own: r, partial r, group means, moments, shift, and the jackknife of each
over documents. r over types is that of the types with a class of their own. The null gives types that share a class one
sign.
"""

import numpy as np
import pandas as pd
import pytest
import scipy.linalg
import scipy.stats
from direct import SHARDS, Direct, pearson, regressions_of, resamples_of, varied
from texts import TYPES, Text, summary_of, text_of

from layerscope.studies.token_length.correlate_layer import neurons_table
from layerscope.studies.token_length.group_effects import GroupEffects
from layerscope.studies.token_length.jackknife_sums import jackknife_pearson, residual_sums
from layerscope.studies.token_length.neuron_moments import kurtosis_without
from layerscope.studies.token_length.sign_flip_null import LEAST_LEVERAGE
from layerscope.summarize.token_classes import token_classes

CLOSE = 1e-9
CLASSES = pytest.mark.parametrize("token_types", [TYPES, 8, 1], ids=["all types", "eight types", "one type"])


@pytest.fixture(scope="module", params=["few documents", "many documents"])
def text(request: pytest.FixtureRequest) -> Text:
    """In few documents, each is a cluster; in many, some share one."""
    text = text_of(1, 40, 64, longest=300 if request.param == "few documents" else 20)
    assert (len(np.unique(text.tokens.document)) > 100) == (request.param == "many documents")
    return text


@pytest.fixture(scope="module")
def values(text: Text) -> np.ndarray:
    return varied(text)


@pytest.fixture(scope="module")
def direct(text: Text, values: np.ndarray) -> Direct:
    return Direct(text, values)


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


@pytest.mark.parametrize("token_types", [TYPES, 8])
@pytest.mark.parametrize("measure", ["r", "r_given_all"])
def test_null_weights_are_those_of_the_tokens(
    text: Text, values: np.ndarray, direct: Direct, measure: str, token_types: int
) -> None:
    """Of each class: the mean of (1 − H)^(−1/2) y, H its block of the hat matrix; of y where H is small.

    Means of y are scaled to have its norm.
    """
    summary = summary_of(text, values, token_types, **SHARDS)
    regressions = regressions_of(text, summary)
    y, x = direct.residuals(measure, "spline")
    y, x = y / np.linalg.norm(y), x / np.linalg.norm(x, axis=0)
    basis = scipy.linalg.orth(np.hstack(direct.given[measure, "spline"]), rcond=1e-10)
    of_tokens = token_classes(text.types, token_types)[direct.ids]
    means = np.array([y[of_tokens == number].mean() for number in summary.tokens.classes])
    scale = np.linalg.norm(means[np.searchsorted(summary.tokens.classes, of_tokens)]) ** -1
    weights, parts = [], []
    for number in summary.tokens.classes:
        mine = of_tokens == number
        hat = basis[mine] @ basis[mine].T
        of_class = y[mine]
        if np.trace(hat) > LEAST_LEVERAGE:
            shares, vectors = np.linalg.eigh(np.eye(mine.sum()) - hat)
            of_class = vectors @ (np.clip(shares, 1e-6, 1) ** -0.5 * (vectors.T @ of_class))
        weights.append(of_class.mean() + (scale - 1) * y[mine].mean())
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
