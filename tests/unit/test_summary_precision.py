"""Statistics from summaries in float32, and of neurons and texts of which there is no statistic."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from direct import SHARDS, Direct, pearson, regressions_of, resamples_of, varied
from texts import Text, activations, covariates_of, reduced, summary_of, text_of

from layerscope.studies.token_length.correlate_layer import neurons_table
from layerscope.studies.token_length.jackknife_sums import jackknife_pearson, residual_sums
from layerscope.studies.token_length.neuron_moments import kurtosis_without, moments
from layerscope.summarize.summary_shards import read_layer_summary, write_summary


@pytest.fixture(scope="module", params=["few documents", "many documents"])
def text(request: pytest.FixtureRequest) -> Text:
    """In few documents, each is a cluster; in many, some share one."""
    text = text_of(1, 40, 64, longest=300 if request.param == "few documents" else 20)
    assert (len(np.unique(text.tokens.document)) > 100) == (request.param == "many documents")
    return text


def test_float32_shards_give_r_within_a_millionth(text: Text, tmp_path: Path) -> None:
    """Of the same float32 activations, a loop in float64; written, read and merged."""
    single = varied(text).astype(np.float32)
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
    assert found["r", "observed"][:, 0] == pytest.approx(pearson(direct.x, direct.lengths), abs=1e-9)
    assert found["r", "jackknife"].shape == (3, 1) and np.isnan(found["r", "jackknife"]).all()
    assert np.isnan(kurtosis_without(summary.tokens, summary.neurons)).all()
