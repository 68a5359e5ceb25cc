"""What ``layerscope.open`` reads of a finished study is what its files hold, computed here by other means."""

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr, spearmanr, t

import layerscope
from layerscope.io.errors import UserError
from layerscope.read.run import Run


@pytest.fixture(scope="module")
def results(finished: Path) -> Path:
    return finished / "results"


@pytest.fixture(scope="module")
def run(results: Path) -> Run:
    return layerscope.open(results)


def test_what_the_study_holds(run: Run) -> None:
    assert run.studies == ["token_length", "token_similarity", "path_length"]
    assert (run.models, run.corpus) == (["a", "b"], "embedded")
    assert (run.layers("a"), run.sites("b")) == ([0, 1], ["mlp_pre"])
    assert "not finished" not in repr(run)


def test_every_table_is_read(run: Run) -> None:
    for name in run.tables():
        assert len(run.table(name)), name
    with pytest.raises(UserError, match=r"model: .* has no model 'c'; it has a, b"):
        run.neurons("c")


def test_activations_are_those_that_h5py_reads(run: Run, results: Path) -> None:
    paths = sorted((results / "activations/a/embedded").glob("*.h5"))
    parts = []
    for path in paths:
        with h5py.File(path) as file:
            parts.append(file["mlp_pre/layer_01"][:])
    expected = np.concatenate(parts)
    np.testing.assert_array_equal(run.activation_array("a", 1), expected)
    table = run.activations("a", site="mlp_pre", layer=1, neuron=7)
    np.testing.assert_array_equal(table["activation"], expected[:, 7])


def test_neurons_are_the_statistics_of_their_activations(run: Run) -> None:
    """r, by numpy and scipy, of the stored sample: in this study, all tokens."""
    tokens = run.activations("b", 0, []).merge(run.vocabulary("b"), on="token_id", suffixes=("", "_of_type"))
    kept = tokens["takes_part"].to_numpy()
    assert len(tokens) == len(run.tokens("b"))
    values, lengths = run.activation_array("b", 0)[kept], tokens["characters"][kept]
    neurons = run.neurons("b", 0)
    for neuron in (0, 5):
        row, of_neuron = neurons.loc[neuron], values[:, neuron].astype(float)
        assert row["r"] == pytest.approx(pearsonr(of_neuron, lengths).statistic, abs=1e-5)
        assert row["r_spearman"] == pytest.approx(spearmanr(of_neuron, lengths).statistic, abs=1e-6)
        assert row["mean"] == pytest.approx(of_neuron.mean(), rel=1e-5)
        assert row["maximum"] == of_neuron.max()


def test_neurons_are_joined_by_neuron(run: Run, results: Path) -> None:
    folder = results / "token_length/a"
    tables = {
        kind: pd.read_parquet(folder / f"{kind}_01.parquet") for kind in ("layer", "inference", "dip", "resamples")
    }
    neurons = run.neurons("a", 1)
    for kind, columns in {
        "layer": ["std", "mean_long"],
        "inference": ["r_types", "p"],
        "dip": ["icc", "dip_types"],
    }.items():
        pd.testing.assert_frame_equal(neurons[columns], tables[kind].sort_values("neuron")[columns])
    resamples = tables["resamples"]
    df = resamples.loc[resamples["measure"] == "r", "clusters_effective"].iloc[0] - 1
    half = t.ppf(0.975, df) * tables["inference"]["r_std_error"]
    np.testing.assert_allclose(neurons["r_high"] - neurons["r"], half)
    np.testing.assert_allclose(neurons["r"] - neurons["r_low"], half)


def test_matches_correlate_as_they_say(run: Run) -> None:
    match = run.matches("a").iloc[3]
    kept = run.tokens("a")["takes_part"].to_numpy()
    own, other = (
        run.activation_array(model, layer, neuron)[kept, 0]
        for model, layer, neuron in (
            ("a", match["layer"], match["neuron"]),
            ("b", match["other_layer"], match["other_neuron"]),
        )
    )
    assert match["r"] == pytest.approx(np.corrcoef(own, other)[0, 1], abs=1e-5)


@pytest.mark.parametrize("largest", [True, False])
def test_top_tokens_are_those_of_all_tokens(run: Run, largest: bool) -> None:
    """A mean by type of the stored activations, which in this study are those of all tokens."""
    stored = run.activations("b", 1, 6)
    of_types = stored[stored["takes_part"]].groupby("token_id")["activation"].agg(["mean", "size"])
    common = max(least for least in range(1, 6) if (of_types["size"] >= least).sum() >= 20)
    expected = of_types[of_types["size"] >= common].sort_values("mean", ascending=not largest).head(10)
    found = run.top_tokens("b", 1, 6, largest=largest).set_index("token_id")
    assert len(found) == 10
    np.testing.assert_allclose(found["mean"], expected["mean"], rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(found["tokens"], of_types["size"][found.index])
    np.testing.assert_allclose(found["mean"], of_types["mean"][found.index], rtol=1e-4, atol=1e-6)


def test_means_by_length_and_histograms_are_of_the_stored_tokens(run: Run) -> None:
    stored = run.activations("a", 0, 2).merge(run.vocabulary("a")[["token_id", "characters"]], on="token_id")
    stored = stored[stored["takes_part"]]
    by_length = run.by_length("a", 0, 2).set_index("length")
    expected = stored.groupby("characters")["activation"].agg(["mean", "size"])
    np.testing.assert_allclose(by_length["mean"], expected["mean"], rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(by_length["tokens"], expected["size"])
    histogram = run.histogram("a", 0, 2)
    counts, _ = np.histogram(stored["activation"], [*histogram["left"], histogram["right"].iloc[-1]])
    assert histogram[["short", "median", "long"]].sum(axis=None) == len(stored)
    assert np.abs(histogram[["short", "median", "long"]].sum(axis=1) - counts).sum() <= 2  # at edges in float32


def test_contexts_are_where_their_values_are(run: Run) -> None:
    activations = run.activations("a", 1, 4).set_index(["sequence", "position"])
    contexts = run.contexts("a", 1, 4)
    for row in contexts.itertuples():
        place = activations.loc[(row.sequence, row.position)]
        assert (row.token_id, row.text, row.document) == (place["token_id"], place["text"], place["document"])
        assert row.value == pytest.approx(place["activation"], rel=1e-5)
        window = activations["activation"].get(row.sequence).reindex(range(row.position - 15, row.position + 6))
        np.testing.assert_allclose(np.array(row.window, float), window, rtol=2e-3, atol=1e-6)
    taking_part = activations.loc[activations["takes_part"], "activation"]
    most = contexts.loc[contexts["kind"] == "most", "value"]
    np.testing.assert_allclose(most, taking_part.nlargest(len(most)), rtol=1e-5)
