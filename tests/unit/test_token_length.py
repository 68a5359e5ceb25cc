"""Activation shards to tables of neurons and layers, held against one neuron at a time with scipy."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from stored_layers import (
    CONSTANT,
    INPUT_IDS,
    KEPT,
    LAYERS,
    LENGTHS,
    MEMBERS,
    NEURONS,
    OFFSET,
    PARTIAL,
    PLANTED,
    RANDOM,
    SPECIAL,
    TIED,
    TOKENS,
    VOCABULARY,
    write_shards,
)

from layerscope.extract import activation_shards
from layerscope.io.errors import UserError
from layerscope.io.files import write_json
from layerscope.io.tables import write_table
from layerscope.studies.token_length.correlate_layer import correlate_layer
from layerscope.studies.token_length.length_groups import TokenLengths, median_length, token_lengths
from layerscope.studies.token_length.summarize_layers import layer_row, layers_table

BINS = 256


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> tuple[list[str], list[str], list[str]]:
    return write_shards(tmp_path_factory.mktemp("shards"), 2)


@pytest.fixture(scope="module")
def measured(shards) -> tuple[pd.DataFrame, ...]:
    return correlate_layer(*shards, VOCABULARY, 1, BINS)


def test_every_column_equals_an_independent_computation_on_every_neuron(measured):
    neurons, _ = measured
    assert neurons["neuron"].tolist() == list(range(NEURONS))
    assert (neurons["tokens"] == len(KEPT)).all()
    for row in neurons.itertuples():
        x = LAYERS[1][KEPT, row.neuron].astype(np.float64)
        expected = {
            "mean": x.mean(),
            "std": x.std(ddof=1),
            "minimum": x.min(),
            "maximum": x.max(),
            **{f"mean_{group}": x[member].mean() for group, member in MEMBERS.items()},
        }
        if row.neuron != CONSTANT:
            expected |= {
                "skewness": scipy.stats.skew(x),
                "kurtosis": scipy.stats.kurtosis(x),
                "r_pearson": scipy.stats.pearsonr(x, LENGTHS).statistic,
                "r_spearman": scipy.stats.spearmanr(x, LENGTHS).statistic,
            }
        for name, value in expected.items():
            assert getattr(row, name) == pytest.approx(value, rel=1e-9, abs=1e-10), (row.neuron, name)


def test_a_planted_correlation_is_found_and_no_other(measured):
    neurons, _ = measured
    planted = 0.8 * LENGTHS.std() / np.hypot(0.8 * LENGTHS.std(), 1)
    assert neurons["r_pearson"][PLANTED] == pytest.approx(planted, abs=0.02)
    without = neurons.drop([PLANTED, CONSTANT, TIED])
    assert without["r_pearson"].abs().max() < 4 / np.sqrt(len(KEPT))


def test_a_constant_neuron_has_no_r_and_is_counted(measured):
    neurons, _ = measured
    assert np.flatnonzero(neurons["r_pearson"].isna()).tolist() == [CONSTANT]
    assert np.flatnonzero(neurons["r_spearman"].isna()).tolist() == [CONSTANT]
    assert layer_row("model", 1, 2, neurons)["neurons_constant"] == 1


def test_histogram_counts_are_numpys_and_lose_no_activation(measured):
    _, histogram = measured
    edges = np.append(histogram["left"], histogram["right"].iloc[-1])
    # One range for all layers, so that their histograms can be compared.
    assert edges[[0, -1]].tolist() == [min(map(np.min, LAYERS)), max(map(np.max, LAYERS))]
    for group, member in MEMBERS.items():
        np.testing.assert_array_equal(histogram[group], np.histogram(LAYERS[1][KEPT][member], edges)[0])
    assert histogram[["short", "median", "long"]].to_numpy().sum() == NEURONS * len(KEPT)


def assert_equal_tables(found: tuple[pd.DataFrame, ...], expected: tuple[pd.DataFrame, ...]) -> None:
    # Matrix products of other shapes may round the last digit differently.
    pd.testing.assert_frame_equal(found[0], expected[0], rtol=1e-11, atol=1e-12)
    for table, other in zip(found[1:], expected[1:], strict=True):
        pd.testing.assert_frame_equal(table, other)


def test_how_the_sample_is_cut_into_shards_changes_nothing(measured, tmp_path):
    assert_equal_tables(correlate_layer(*write_shards(tmp_path, 1), VOCABULARY, 1, BINS), measured)


@pytest.mark.parametrize("neurons", [0, 1, 5])
def test_how_many_neurons_are_held_at_once_changes_nothing(measured, shards, monkeypatch, neurons):
    monkeypatch.setattr(activation_shards, "BLOCK_BYTES", 8 * TOKENS * neurons)
    assert_equal_tables(correlate_layer(*shards, VOCABULARY, 1, BINS), measured)


def test_what_is_not_stored_counts_in_all_but_ranks_and_histograms(measured, tmp_path):
    neurons, histogram = correlate_layer(*write_shards(tmp_path, 3, stored=0.5), VOCABULARY, 1, BINS)
    ranked = ["r_spearman", "tokens_stored"]
    pd.testing.assert_frame_equal(neurons.drop(columns=ranked), measured[0].drop(columns=ranked), rtol=1e-9, atol=1e-10)
    kept = [i for i in KEPT if i < 600]
    assert (neurons["tokens_stored"] == len(kept)).all() and (neurons["tokens"] == len(KEPT)).all()
    assert histogram[["short", "median", "long"]].to_numpy().sum() == NEURONS * len(kept)
    lengths = VOCABULARY["characters"].to_numpy()[INPUT_IDS[kept]]
    for neuron in (PLANTED, TIED):
        expected = scipy.stats.spearmanr(LAYERS[1][kept, neuron], lengths).statistic
        assert neurons["r_spearman"][neuron] == pytest.approx(expected, abs=1e-12)


def test_activations_stored_in_half_precision_are_measured_too(measured, tmp_path):
    # Rounding moves the largest activation up; it must still lie within the histogram.
    neurons, histogram = correlate_layer(*write_shards(tmp_path, 2, "float16"), VOCABULARY, 1, BINS)
    others = [i for i in range(NEURONS) if i != OFFSET]  # varies in digits that float16 does not have
    np.testing.assert_allclose(neurons["r_spearman"][others], measured[0]["r_spearman"][others], atol=1e-3)
    assert histogram[["short", "median", "long"]].to_numpy().sum() == NEURONS * len(KEPT)


def test_a_manifest_of_other_activations_is_noticed(shards, tmp_path):
    summaries, paths, _ = shards
    narrow = {"datasets": {"mlp_pre/layer_01": {"minimum": -1.0, "maximum": 1.0}}}
    write_json(tmp_path / "manifest.json", narrow)
    with pytest.raises(UserError, match=r"shard_0000.h5: activations lie outside the range") as error:
        correlate_layer(summaries, paths, [str(tmp_path / "manifest.json")], VOCABULARY, 1, BINS)
    assert "\n" not in str(error.value)


def test_groups_are_shorter_equal_and_longer_than_the_median():
    lengths = token_lengths(VOCABULARY, INPUT_IDS)
    np.testing.assert_array_equal(np.flatnonzero(lengths.keep), KEPT)
    np.testing.assert_array_equal(lengths.lengths, LENGTHS)
    assert lengths.median == sorted(LENGTHS)[len(KEPT) // 2]
    for i, (group, member) in enumerate(MEMBERS.items()):
        np.testing.assert_array_equal(lengths.group == i, member)
        assert lengths.counts[group] == member.sum()


def test_a_median_between_two_lengths_leaves_the_middle_group_empty():
    lengths = TokenLengths(np.ones(4, dtype=bool), np.array([1, 1, 2, 2]), 1.5)
    assert lengths.counts == {"short": 2, "median": 0, "long": 2}


def test_an_empty_group_has_no_mean_and_no_counts(tmp_path):
    ids, values = np.tile(np.array([2, 3], dtype=np.int32), 50), LAYERS[0][:100]
    vocabulary = VOCABULARY.assign(corpus_count=np.bincount(ids, minlength=len(VOCABULARY)))
    neurons, histogram = correlate_layer(*write_shards(tmp_path, 1, ids=ids, layers=[values]), vocabulary, 0, BINS)
    np.testing.assert_allclose(neurons["mean_short"], values[::2].mean(axis=0, dtype=float))
    assert neurons["mean_median"].isna().all()
    assert histogram["median"].sum() == 0


def test_the_median_is_that_of_the_counted_tokens_that_take_part():
    types = VOCABULARY.assign(corpus_count=0)
    with pytest.raises(UserError, match="token_length: no token was counted in the corpus; raise"):
        median_length(types.assign(corpus_count=np.arange(42) <= PARTIAL))
    counts = RANDOM.integers(0, 9, 42)
    kept = np.arange(42) > PARTIAL
    for last in (0, 1):  # an even number of tokens, and an odd one
        counts[41] = (counts[:41][kept[:41]].sum() + last) % 2 + 2
        lengths = np.repeat(types["characters"].to_numpy()[kept], counts[kept])
        assert len(lengths) % 2 == last
        assert median_length(types.assign(corpus_count=counts)) == np.median(lengths)
    two = types.assign(corpus_count=[0, 0, 5, 5, *[0] * 38])
    assert median_length(two) == 1.5


@pytest.mark.parametrize("ids", [[], [SPECIAL] * 9, [2] * 9, [2, 3]])
def test_a_sample_without_different_lengths_is_refused_in_one_line(ids):
    with pytest.raises(UserError, match="are not of different lengths") as error:
        token_lengths(VOCABULARY, np.array(ids, dtype=np.int32))
    assert "\n" not in str(error.value)


def test_layers_table_summarises_the_neurons_of_each_layer(measured, tmp_path):
    tables = {}
    for model, layers in {"small": 3, "big": 1}.items():
        for layer in range(layers):
            path = tmp_path / f"{model}_{layer}.parquet"
            write_table(path, measured[0].assign(r_pearson=measured[0]["r_pearson"] ** (layer + 1)))
            tables.setdefault(model, []).append(str(path))
    table = layers_table(tables)
    assert table["model"].tolist() == ["small"] * 3 + ["big"]
    assert table["layer"].tolist() == [0, 1, 2, 0]
    assert table["relative_depth"].tolist() == [0, 0.5, 1, 0]
    assert (table["neurons"] == NEURONS).all()
    assert (table["neurons_constant"] == 1).all()
    assert (table["tokens"] == len(KEPT)).all()
    for row in table.itertuples():
        r = measured[0]["r_pearson"].drop(CONSTANT).to_numpy() ** (row.layer + 1)
        assert row.r_mean == pytest.approx(r.mean())
        assert row.r_std == pytest.approx(r.std(ddof=1))
        assert [row.r_q05, row.r_median, row.r_q95] == pytest.approx(np.quantile(r, [0.05, 0.5, 0.95]))
        assert row.fraction_positive == pytest.approx((r > 0).mean())


def test_a_layer_without_any_varying_neuron_has_no_summary(measured):
    dead = measured[0].assign(r_pearson=np.nan, r_spearman=np.nan)
    row = layer_row("model", 0, 1, dead)
    assert row["neurons_constant"] == NEURONS
    assert np.isnan([row[name] for name in ("r_mean", "r_median", "r_std", "fraction_positive")]).all()
