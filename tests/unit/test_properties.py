"""r of neurons with any property of token types: against plain computations, and without and with a signal."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.stats
from direct import Direct, pearson, varied
from samples import RESAMPLES, TYPES, Sample
from texts import TYPES as TEXT_TYPES
from texts import Text, summary_of, text_of

from layerscope.io.errors import UserError
from layerscope.io.tables import read_csv, read_table, write_table
from layerscope.studies.token_length.jackknife_sums import jackknife_pearson, residual_sums
from layerscope.studies.token_length.measures import INTERVALS, MEASURES
from layerscope.studies.token_length.property_findings import property_findings
from layerscope.studies.token_length.resample_layer import LayerResamples, resample_neurons, widen_types
from layerscope.studies.token_length.resample_properties import check_properties_vary, check_table, tables_of_properties
from layerscope.studies.token_length.sign_flip_null import p_of_null
from layerscope.studies.token_length.stored_sample import StoredSample
from layerscope.studies.token_length.summarize_evidence import evidence_table
from layerscope.studies.token_length.summarize_properties import properties_table
from layerscope.studies.token_length.token_regressions import TokenRegressions
from layerscope.summarize.covariates import Covariates
from layerscope.summarize.neuron_sums import NeuronSums
from layerscope.summarize.reducer import SummaryReducer
from layerscope.summarize.summary_shards import LayerSummary
from layerscope.summarize.token_classes import token_classes
from layerscope.summarize.token_sums import TokenSums

CLOSE = 1e-9
OVER_TOKENS = ("r", "r_given_frequency", "r_given_all")
SHARDS = {"cuts": (3, 20, 21), "batches": (2, 5)}


@pytest.fixture(scope="module")
def text() -> Text:
    return text_of(1, 40, 64, longest=20)


@pytest.fixture(scope="module")
def values(text: Text) -> np.ndarray:
    return varied(text)


@pytest.fixture(scope="module")
def properties(text: Text) -> dict[str, np.ndarray]:
    """Of each type; of those that take no part, whatever."""
    rng = np.random.default_rng(5)
    lengths = text.types["characters"].to_numpy(np.float64)
    return {
        "bytes": lengths + rng.poisson(0.3, TEXT_TYPES),
        "log_frequency": np.log1p(text.types["corpus_count"].to_numpy()),
        "valence": rng.normal(size=TEXT_TYPES),
        "year": 1e6 + rng.integers(0, 30, TEXT_TYPES),  # a large mean costs no digits
    }


def summary_with(text: Text, values: np.ndarray, further: dict[str, np.ndarray], token_types: int) -> LayerSummary:
    """The summary of two shards, with further covariates."""
    import torch

    covariates = Covariates.of(text.types, {"characters": text.types["characters"].to_numpy(float)}, further)
    classes = token_classes(text.types, token_types)
    tokens, neurons = [], []
    for start, stop in ((0, 17), (17, text.sequences)):
        part, rows = text.part(start, stop), values[start * text.length : stop * text.length]
        reducer = SummaryReducer("", "", part.tokens, text.length, classes, covariates, values.shape[1])
        reducer.receive("", 0, torch.from_numpy(rows).unflatten(0, (-1, text.length)), slice(0, stop - start))
        sums, layers = reducer.finish()
        tokens.append(sums)
        neurons.append(layers[0])
    merged = TokenSums.merge(tokens)
    attributes = {"token_types": token_types, "covariates": " ".join(covariates.names)}
    return LayerSummary(attributes, merged, NeuronSums.merge(tokens, neurons, merged))


def resamples_of(
    text: Text, summary: LayerSummary, name: str, of_types: np.ndarray, frequency_covariate: str = "spline"
) -> LayerResamples:
    token_types = int(summary.attributes["token_types"])
    regressions = TokenRegressions(
        summary.tokens, summary.covariates, text.types, token_types, name, frequency_covariate, of_types
    )
    return LayerResamples(regressions, StoredSample.of(text.types, text.tokens, token_types, of_types), 20, 0)


@pytest.mark.parametrize("token_types", [TEXT_TYPES, 8])
def test_sums_over_classes_give_what_sums_over_clusters_give(text: Text, values: np.ndarray, token_types: int) -> None:
    """Where all types of a class have the same value, as classes have the same length."""
    summary = summary_of(text, values, token_types, **SHARDS)
    lengths = text.types["characters"].to_numpy(np.float64)
    rows = values[text.keep].T
    layers = {name: resamples_of(text, summary, name, lengths) for name in ("characters", "letters")}
    assert layers["characters"].regressions.is_covariate and not layers["letters"].regressions.is_covariate
    one, other = (layer.of_neurons(summary.neurons, rows) for layer in layers.values())
    assert one.keys() == other.keys() and len(one) == 4 * 4 + 1
    for measure, kind in one:
        if kind == "jackknife" and measure != "r_types":
            assert one[measure, kind].shape == (6, 100) and other[measure, kind].shape == (6, 0)
        else:
            np.testing.assert_allclose(
                other[measure, kind], one[measure, kind], rtol=0, atol=CLOSE, err_msg=f"{measure} {kind}"
            )
    for measure, regression in layers["characters"].regressions.measures.items():
        found = layers["letters"].regressions.measures[measure]
        np.testing.assert_allclose(found.null_weights, regression.null_weights, rtol=0, atol=CLOSE)


@pytest.mark.parametrize("frequency_covariate", ["line", "spline"])
@pytest.mark.parametrize("ahead", [False, True], ids=["over classes", "over clusters"])
@pytest.mark.parametrize("name", ["bytes", "log_frequency", "valence", "year"])
def test_r_with_a_property_equals_a_plain_computation(
    text: Text,
    values: np.ndarray,
    properties: dict[str, np.ndarray],
    name: str,
    ahead: bool,
    frequency_covariate: str,
) -> None:
    """Of the residuals of a fit by lstsq over tokens; over types of the means of types."""
    further = {other: of for other, of in properties.items() if ahead and other != "log_frequency"}
    summary = summary_with(text, values, further, TEXT_TYPES)
    layer = resamples_of(text, summary, name, properties[name], frequency_covariate)
    assert layer.regressions.is_covariate == (ahead or name == "log_frequency")
    direct = Direct(text, values)
    direct.lengths = properties[name][direct.ids]
    found = layer.of_neurons(summary.neurons, direct.x.T)
    for measure in OVER_TOKENS:
        y, x = direct.residuals(measure, frequency_covariate)
        observed = found[measure, "observed"][:, 0]
        if name == "log_frequency" and measure != "r":
            assert np.isnan(observed).all() and np.isnan(found[measure, "null"]).all()  # frequency leaves nothing of it
            continue
        assert observed[:5] == pytest.approx(pearson(x[:, :5], y), abs=CLOSE), measure
        assert np.isnan(observed[5])
        jackknife = found[measure, "jackknife"]
        assert jackknife.shape == (6, len(direct.clusters) if layer.regressions.is_covariate else 0)
        for cluster, of_rest in zip(direct.clusters, jackknife.T, strict=False):
            rest = direct.without(cluster)
            assert of_rest[:5] == pytest.approx(pearson(x[rest][:, :5], y[rest]), abs=CLOSE)
    kinds = np.unique(direct.ids)
    means = np.stack([direct.x[direct.ids == kind].mean(axis=0) for kind in kinds])[:, :5]
    expected = pearson(means, properties[name][kinds])
    assert found["r_types", "observed"][:5, 0] == pytest.approx(expected, abs=CLOSE)
    groups = layer.types_jackknife.groups.labels
    for group in (0, groups.max()):
        rest = groups != group
        expected = pearson(means[rest], properties[name][kinds][rest])
        assert found["r_types", "jackknife"][:5, group] == pytest.approx(expected, abs=CLOSE)


@pytest.mark.parametrize("name", ["bytes", "valence"])
def test_types_that_share_a_class_have_the_mean_of_their_values(
    text: Text, values: np.ndarray, properties: dict[str, np.ndarray], name: str
) -> None:
    """And over clusters of documents their own."""
    direct = Direct(text, values)
    classes = token_classes(text.types, 8)[direct.ids]
    own = properties[name][direct.ids]
    smoothed = np.array([own[classes == number].mean() for number in classes])
    assert not np.allclose(smoothed, own) and np.allclose(smoothed[classes < TEXT_TYPES], own[classes < TEXT_TYPES])
    for further, of_tokens in (({}, smoothed), ({name: properties[name]}, own)):
        summary = summary_with(text, values, further, 8)
        layer = resamples_of(text, summary, name, properties[name])
        direct.lengths = of_tokens
        for measure, regression in layer.regressions.measures.items():
            y, x = direct.residuals(measure, "spline")
            found = layer.of_neurons(summary.neurons, direct.x.T)[measure, "observed"]
            assert found[:5, 0] == pytest.approx(pearson(x[:, :5], y), abs=CLOSE)
            if further:
                left = residual_sums(summary.neurons, summary.tokens, regression)
                observed, _ = jackknife_pearson(left, summary.tokens.cluster_products, regression.weights)
                assert np.array_equal(found[:5, 0], observed[:5])


def test_documents_widen_r_over_types_with_a_property_as_they_would_with_a_length() -> None:
    """The variances are those of a vocabulary whose lengths the property is."""
    sample = Sample(3, topics=0.7)
    rows = sample.noise(4, of_document=1.5)
    of_types = 3 * sample.vocabulary["characters"].to_numpy() + sample.rng.integers(0, 9, TYPES)
    found = found_in(sample, of_types.astype(np.float64), rows, 10**6)["r_types", "variances"]
    sample.vocabulary["characters"] = of_types
    np.testing.assert_allclose(found, sample.resamples().of_neurons(*sample.read(rows))["r_types", "variances"])
    assert (found[:, 1] > 0.05 * found[:, 0]).all()


def test_further_covariates_change_no_other_sum(
    text: Text, values: np.ndarray, properties: dict[str, np.ndarray]
) -> None:
    further = {name: properties[name] for name in ("valence", "bytes")}
    alone, more = summary_with(text, values, {}, 8), summary_with(text, values, further, 8)
    assert more.covariates == [*alone.covariates[:-1], *further, "position"]
    shared = [more.covariates.index(name) for name in alone.covariates]
    powers = [-3, -2, -1]
    # A product of matrices may be rounded otherwise where one is wider.
    np.testing.assert_allclose(
        more.neurons.cluster_sums[:, [*shared, *powers]], alone.neurons.cluster_sums, rtol=1e-12, atol=1e-9
    )
    assert np.array_equal(more.tokens.cluster_products[:, shared][:, :, shared], alone.tokens.cluster_products)
    assert np.array_equal(more.neurons.class_sums, alone.neurons.class_sums)


def found_in(sample: Sample, of_types: np.ndarray, rows: np.ndarray, token_types: int) -> dict:
    """r with a property that is no covariate, widened by documents."""
    sample.token_types = token_types
    sums, rows = sample.read(rows)
    summary = sample.summary(np.zeros((1, len(sample.tokens))))
    regressions = TokenRegressions(
        summary.tokens, summary.covariates, sample.vocabulary, token_types, "valence", "spline", of_types
    )
    stored = StoredSample.of(sample.vocabulary, sample.tokens, token_types, of_types)
    found = LayerResamples(regressions, stored, RESAMPLES, 0).of_neurons(sums, rows)
    widen_types(found)
    return found


def p_of(found: dict, measure: str) -> np.ndarray:
    return p_of_null(found[measure, "observed"][:, 0], found[measure, "null_error"][:, 0])


SAMPLES, NEURONS = 80, 6
PROPERTIES: dict[str, Callable[[Sample], np.ndarray]] = {
    "independent of all": lambda sample: sample.rng.normal(size=TYPES),
    "follows length and frequency": lambda sample: (
        sample.vocabulary["characters"].to_numpy()
        + np.log1p(sample.vocabulary["corpus_count"].to_numpy()) ** 2
        + sample.rng.normal(size=TYPES)
    ),
}


@pytest.mark.parametrize("token_types", [10**6, 100], ids=["all types", "a hundred types"])
@pytest.mark.parametrize("kind", PROPERTIES)
def test_p_is_uniform_where_there_is_no_signal(kind: str, token_types: int) -> None:
    """From both sides, within what so many neurons tell, as for length."""
    p: dict[str, list[np.ndarray]] = {measure: [] for measure in MEASURES}
    for seed in range(SAMPLES):
        sample = Sample(300 + seed)
        found = found_in(sample, PROPERTIES[kind](sample), sample.noise(NEURONS), token_types)
        for measure, values in p.items():
            values.append(p_of(found, measure))
    low, high = scipy.stats.binom.ppf([0.002, 0.998], SAMPLES * NEURONS, 0.05) / (SAMPLES * NEURONS)
    for measure, values in p.items():
        of_all = np.concatenate(values)
        assert scipy.stats.kstest(of_all, "uniform").pvalue > 0.001, measure
        assert low <= np.mean(of_all < 0.05) <= high, measure


def test_a_signal_is_found_with_its_size_and_with_its_own_property_alone() -> None:
    sample = Sample(9)
    of_types, other = sample.rng.normal(size=(2, TYPES))
    rows = 0.5 * of_types[sample.types] + sample.noise(200)
    found, beside = (found_in(sample, values, rows, 10**6) for values in (of_types, other))
    variance = 0.25 * of_types[sample.types].var()
    expected = np.sqrt(variance / (variance + 0.6**2 + 0.3**2 + 1))
    for measure in OVER_TOKENS:
        assert np.mean(found[measure, "observed"]) == pytest.approx(expected, abs=0.05), measure
        assert np.mean(p_of(found, measure) < 0.05) > 0.9 and np.mean(p_of(beside, measure) < 0.05) < 0.2, measure
    assert np.mean(found["r_types", "observed"]) > 0.4 and np.mean(p_of(found, "r_types") < 0.05) > 0.9


@pytest.fixture(scope="module")
def tables(
    text: Text, values: np.ndarray, properties: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """properties.csv and evidence.csv of a model of two equal layers; ``valence`` was named ahead."""
    summary = summary_with(text, values, {"valence": properties["valence"]}, 30)
    lengths, rows = text.types["characters"].to_numpy(np.float64), values[text.keep].T
    layers = {
        name: resamples_of(text, summary, name, of)
        for name, of in {**properties, "characters": lengths}.items()
        if name != "year"
    }
    blocks = [(summary.neurons.block(0, 2), rows[:2]), (summary.neurons.block(2, 6), rows[2:])]
    folder = tmp_path_factory.mktemp("tables")
    found = tables_of_properties(layers, blocks)
    expected = resample_neurons(resamples_of(text, summary, "characters", lengths), blocks)
    for name, table in zip(("n", "r", "neurons", "resamples"), (*found, *expected), strict=True):
        write_table(folder / f"{name}.parquet", table)
    paths = {name: {"model": [str(folder / f"{name}.parquet")] * 2} for name in ("n", "r", "neurons", "resamples")}
    return properties_table(paths["n"], paths["r"]), evidence_table(paths["neurons"], paths["resamples"])


def test_length_among_the_properties_has_the_rows_of_the_evidence(tables: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    table, evidence = tables
    found = table[table["property"] == "characters"][evidence.columns].reset_index(drop=True)
    expected = evidence[evidence["measure"].isin(MEASURES)].reset_index(drop=True)
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


def test_the_table_says_what_its_intervals_rest_on(
    text: Text, values: np.ndarray, tables: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    table, _ = tables
    assert table["property"].unique().tolist() == ["bytes", "log_frequency", "valence", "characters"]
    found = table.groupby("property", sort=False)["intervals"].first().to_dict()
    assert found == {name: INTERVALS[name != "bytes"] for name in found}
    classes = token_classes(text.types, 30)[text.tokens.input_ids[text.keep]]
    assert table["tokens_own_class"].tolist() == pytest.approx([np.mean(classes < TEXT_TYPES)] * len(table))
    median = table[(table["statistic"] == "median") & (table["layer"] == 1)].set_index(["property", "measure"])
    columns = ["std_error", "low", "high", "clusters", "clustered_by"]
    for measure in OVER_TOKENS:
        assert median.loc[("bytes", measure), columns].isna().all()
        assert median.loc[("bytes", measure), ["null_low", "null_high", "p", "value"]].notna().all()
        assert median.loc[("valence", measure), columns].notna().all()
    assert median.loc[("bytes", "r_types"), columns].notna().all()
    assert median.loc[("bytes", "r_types"), "clustered_by"] == "types"
    assert median.loc[("log_frequency", "r"), columns].notna().all()
    variance = table[(table["statistic"] == "variance") & (table["property"] == "bytes")].set_index("measure")["value"]
    assert variance.isna().groupby("measure").all().to_dict() == {name: name != "r_types" for name in MEASURES}


def test_findings_say_how_many_neurons_pass_and_what_is_missing(tables: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    table, _ = tables
    raw = table[(table["measure"] == "r") & (table["statistic"] == "significant_bh")]
    shares = raw.groupby("property", sort=False)["value"].mean()
    first, without = property_findings(table)
    assert first == (
        "Neurons of model whose r over tokens is beyond the null at a false discovery rate of 5%: "
        f"{shares['bytes']:.0%} with bytes, {shares['log_frequency']:.0%} with log_frequency, "
        f"{shares['valence']:.0%} with valence and {shares['characters']:.0%} with characters."
    )
    assert without.startswith("r over tokens with bytes has no interval over documents, ")
    assert len(property_findings(table[table["property"] == "valence"])) == 1


def test_sums_with_another_table_are_refused(text: Text, values: np.ndarray, properties: dict[str, np.ndarray]) -> None:
    """A table that was edited, whose column the summaries have; not one of which they have none."""
    summary = summary_with(text, values, {"valence": properties["valence"]}, 8)
    summary.attributes["properties_digest"] = "one"
    for names, digest in ((["valence"], "one"), (["year"], "other"), (["bytes"], "other")):
        table = {"tokenizer": "mini", "path": "words.csv", "digest": digest}
        check_table({"names": names, "table": table}, summary, "shard_0000.h5")
    with pytest.raises(UserError) as error:
        check_table({"names": ["year", "valence"], "table": table}, summary, "shard_0000.h5")
    assert str(error.value).startswith("shard_0000.h5: it has sums with another table of properties than words.csv; ")


def test_a_property_of_one_value_is_refused(text: Text) -> None:
    values = np.full(TEXT_TYPES, 2.5)
    values[:3] = 7  # of types that take no part
    check_properties_vary({"lengths": text.types["characters"].to_numpy(np.float64)}, text.types)
    with pytest.raises(UserError) as error:
        check_properties_vary({"x": values}, text.types)
    said = "'x' is 2.5 for all tokens of the sample, so that nothing correlates with it; leave it out"
    assert str(error.value) == f"studies.token_length.properties: {said}"


def test_the_workflow_correlates_with_properties(finished: Path) -> None:
    """r in the tables is that of the stored activations, which are all of the tiny study's."""
    results = finished / "results"
    vocabulary = read_table(results / "tokens/mini/embedded/vocabulary.parquet")
    ids, activations = [], []
    for path in sorted((results / "activations/a/embedded").glob("shard_*.h5")):
        with h5py.File(path) as file:
            ids.append(file["tokens/input_ids"][:])
            activations.append(file["mlp_pre/layer_01"][:].astype(np.float64))
    input_ids, x = np.concatenate(ids), np.concatenate(activations)
    keep = ~(vocabulary["special"] | vocabulary["partial"]).to_numpy()[input_ids]
    found = read_table(results / "token_length/a/properties_01.parquet").set_index("property")
    of_types = {"bytes": vocabulary["bytes"].to_numpy(np.float64), "digit": np.arange(len(vocabulary)) % 10.0}
    for name, of_type in of_types.items():
        expected = pearson(x[keep], of_type[input_ids[keep]])
        np.testing.assert_allclose(found.loc[name, "r"], expected, rtol=0, atol=1e-6)
    intervals = read_csv(results / "token_length/properties.csv").groupby("property")["intervals"].first()
    assert intervals.to_dict() == {"bytes": INTERVALS[False], "digit": INTERVALS[True]}
