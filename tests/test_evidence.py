"""r given confounds, chance and intervals: known answers, independent computations, and data with no signal."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from layerscope.partial import control_basis, residuals
from layerscope.resampling import (
    MOST,
    Groups,
    LeftOut,
    LeftOutPearson,
    coarser,
    effective_number,
    jackknife_error,
    two_way_error,
)
from layerscope.tables import write_table
from layerscope.token_length.assess import LayerDraws, assess, dealt, p_of_chance
from layerscope.token_length.confounds import CONFOUNDS, confounds_of, confounds_table
from layerscope.token_length.evidence import discoveries, evidence_table, p_of_draws
from layerscope.token_length.groups import TokenLengths
from layerscope.token_length.summaries import STATISTICS
from layerscope.tokenize.frequency import frequency_table
from layerscope.tokenize.token_shards import Tokens
from layerscope.tokenize.tokenizer import load_tokenizer

TYPES, SEQUENCES, LENGTH = 400, 40, 100
TOKENS = SEQUENCES * LENGTH
DRAWS = 200


class Sample:
    """Tokens of types whose length falls with frequency, as in text."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        frequency = self.rng.normal(size=TYPES)
        length = np.round(np.clip(5 - 1.5 * frequency + 1.5 * self.rng.normal(size=TYPES), 1, 12))
        self.types = self.rng.choice(TYPES, TOKENS, p=scipy.special.softmax(frequency))
        self.lengths = length[self.types]
        self.sequences = np.repeat(np.arange(SEQUENCES), LENGTH)
        self.controls = pd.DataFrame(
            {
                "log_frequency": frequency[self.types],
                "leading_space": (self.types % 3 == 0).astype(float),
                "position": np.tile(np.arange(LENGTH), SEQUENCES).astype(float),
            }
        )

    @property
    def token_lengths(self) -> TokenLengths:
        return TokenLengths(np.ones(TOKENS, dtype=bool), self.lengths, float(np.median(self.lengths)))

    def draws(self) -> LayerDraws:
        return LayerDraws(self.token_lengths, self.types, self.sequences, self.controls, DRAWS, 0)

    def noise(self, neurons: int) -> np.ndarray:
        """Activations in which tokens of a type, and tokens of a sequence, are alike."""
        of_type = self.rng.normal(size=(neurons, TYPES))[:, self.types]
        of_sequence = self.rng.normal(size=(neurons, SEQUENCES))[:, self.sequences]
        return 0.6 * of_type + 0.3 * of_sequence + self.rng.normal(size=(neurons, TOKENS))


@pytest.fixture(scope="module")
def sample() -> Sample:
    return Sample(1)


def plain_partial(x: np.ndarray, y: np.ndarray, controls: np.ndarray) -> float:
    """Correlation of what ordinary least squares leaves of both."""
    design = np.column_stack([np.ones(len(x)), controls])
    left = [v - design @ np.linalg.lstsq(design, v, rcond=None)[0] for v in (x, y)]
    return float(scipy.stats.pearsonr(*left).statistic)


def test_every_measure_equals_a_plain_computation(sample: Sample) -> None:
    rows = sample.noise(5) + 20
    rows[0] += 0.3 * sample.lengths
    found = sample.draws().of_neurons(rows)
    frequency, every = sample.controls[["log_frequency"]].to_numpy(), sample.controls.to_numpy()
    for i, x in enumerate(rows):
        means = pd.DataFrame({"x": x, "y": sample.lengths}).groupby(sample.types).mean()
        expected = {
            "r": scipy.stats.pearsonr(x, sample.lengths).statistic,
            "r_given_frequency": plain_partial(x, sample.lengths, frequency),
            "r_given_all": plain_partial(x, sample.lengths, every),
            "r_types": scipy.stats.pearsonr(means["x"], means["y"]).statistic,
        }
        for measure, value in expected.items():
            assert found[measure, "observed"][i, 0] == pytest.approx(value, abs=1e-10), measure


def test_draws_of_chance_are_r_with_dealt_lengths(sample: Sample) -> None:
    """What the sums by type give equals the correlation with lengths written out token by token."""
    draws, rows = sample.draws(), sample.noise(2)
    found = draws.of_neurons(rows)
    inverse = np.unique(sample.types, return_inverse=True)[1]
    for measure in ("r", "r_given_all"):
        controls = sample.controls.to_numpy() if measure == "r_given_all" else np.empty((TOKENS, 0))
        written_out = draws.chance[measure][inverse, 3]
        for i in range(2):
            expected = plain_partial(rows[i], written_out, controls)
            assert found[measure, "chance"][i, 3] == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize(
    ("of_length", "of_frequency", "raw", "given"),
    [(0.4, 0, True, True), (0, -1.0, True, False), (0.4, -1.0, True, True), (0, 0, False, False)],
    ids=["length only", "frequency only", "both", "neither"],
)
def test_planted_effects_are_told_apart(
    sample: Sample, of_length: float, of_frequency: float, raw: bool, given: bool
) -> None:
    rows = sample.noise(40) + of_length * sample.lengths + of_frequency * sample.controls["log_frequency"].to_numpy()
    found = sample.draws().of_neurons(rows)
    for measure, effect in (("r", raw), ("r_given_frequency", given), ("r_given_all", given)):
        p = p_of_chance(found[measure, "observed"][:, 0], found[measure, "chance"])
        assert np.mean(p < 0.05) > 0.9 if effect else np.mean(p < 0.05) < 0.2, measure


def test_p_is_uniform_where_there_is_nothing() -> None:
    """Over samples, so that an accident of one set of types does not count a hundred times."""
    p = []
    for seed in range(60):
        sample = Sample(100 + seed)
        found = sample.draws().of_neurons(sample.noise(3))
        p += [p_of_chance(found[m, "observed"][:, 0], found[m, "chance"]) for m in ("r", "r_given_all", "r_types")]
    p = np.array(p).reshape(60, 3, 3)
    for measure in range(3):
        assert scipy.stats.kstest(p[:, measure].ravel(), "uniform").pvalue > 0.001
        assert np.mean(p[:, measure] < 0.05) < 0.1


def test_the_two_way_error_is_the_spread_over_samples() -> None:
    """Over samples of new types and sequences, the estimated standard error is the one that is seen."""
    seen, estimated = [], []
    for seed in range(80):
        sample = Sample(1000 + seed)
        found = sample.draws().of_neurons(sample.noise(6))
        seen.append(found["r", "observed"][:, 0])
        estimated.append(two_way_error(*(found["r", kind] for kind in ("sequences", "types", "tokens"))))
    assert np.mean(estimated) == pytest.approx(np.std(seen), rel=0.15)


def test_a_neuron_that_never_varies_has_no_r(sample: Sample) -> None:
    rows = sample.noise(2)
    rows[1] = 0.1
    for values in sample.draws().of_neurons(rows).values():
        assert np.isnan(values[1]).all()
        assert not np.isnan(values[0]).any()


def test_controls_that_explain_everything_leave_nothing() -> None:
    x = np.random.default_rng(0).normal(size=(1, 50))
    basis = control_basis(np.column_stack([x[0], 2 * x[0] + 1, np.full(50, 3.0)]))
    assert basis.shape == (50, 2)  # the constant, and what the first two controls share
    assert not residuals(3 * x + 7, basis).any()


def test_groups_and_dealt_values() -> None:
    groups = Groups(np.array([7, 3, 7, 7]))
    assert groups.sums(np.array([[1.0, 2, 3, 4], [0, 1, 0, 0]])).tolist() == [[2, 8], [1, 0]]
    assert groups.means(np.array([1.0, 2, 3, 5])).tolist() == [2, 3]
    rng = np.random.default_rng(0)
    assert (np.sort(dealt(np.array([3.0, 1, 2]), 5, rng), axis=0) == [[1], [2], [3]]).all()


def test_confounds_and_their_correlation_with_length() -> None:
    vocabulary = pd.DataFrame({"leading_space": [True, False, True]})
    frequency = pd.DataFrame({"count": [9, 0, 99]})
    ids = np.array([0, 2, 1, 0], dtype=np.int32)
    tokens = Tokens(ids, *(np.arange(4, dtype=np.int32),) * 3)
    confounds = confounds_of(vocabulary, frequency, tokens)
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
    whole = frequency_table(tokenizer, iter(texts), 10**6)
    expected = np.bincount([i for t in texts for i in [*tokenizer.encode([t])[0], tokenizer.end_of_text]])
    np.testing.assert_array_equal(whole["count"][: len(expected)], expected)
    assert frequency_table(tokenizer, iter(texts), 1)["count"].sum() < whole["count"].sum()


def test_evidence_holds_each_layer_with_interval_and_chance(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    kinds = {"observed": 1, "chance": 100, "sequences": 20, "types": 50, "tokens": 100}
    drawn = pd.concat(
        pd.DataFrame(rng.normal(scale=0.1, size=(n, 5)), columns=STATISTICS).assign(
            measure=measure, kind=kind, tokens=1000, types=50, types_effective=17.5, sequences=20
        )
        for measure in ("r", "r_given_frequency", "r_given_all", "r_types", "shift")
        for kind, n in kinds.items()
    )
    write_table(tmp_path / "draws.parquet", drawn)
    write_table(
        tmp_path / "neurons.parquet", pd.DataFrame({"p": [1e-9, 0.8, np.nan], "p_given_all": [0.9, 0.8, np.nan]})
    )
    paths = {"model": [str(tmp_path / "neurons.parquet")] * 2}
    table = evidence_table(paths, {"model": [str(tmp_path / "draws.parquet")] * 2})
    assert len(table) == 2 * (4 * 5 + 1 + 4)
    row = table.set_index(["layer", "measure", "statistic"]).loc[(1, "r", "median")]
    of = drawn[drawn["measure"] == "r"].set_index("kind")["median"]
    error = two_way_error(*(of[kind].to_numpy() for kind in ("sequences", "types", "tokens")))
    assert row["value"] == of["observed"]
    assert row["high"] - row["value"] == pytest.approx(scipy.stats.t.ppf(0.975, 16.5) * error)
    assert row["chance_high"] == pytest.approx(np.quantile(of["chance"], 0.975))
    assert row["p"] == p_of_draws(of["observed"], of["chance"].to_numpy())
    passing = table[table["statistic"] == "significant_bh"].set_index(["layer", "measure"])["value"]
    assert passing.to_dict() == {(0, "r"): 0.5, (0, "r_given_all"): 0, (1, "r"): 0.5, (1, "r_given_all"): 0}


def test_p_of_draws_counts_the_value_itself() -> None:
    chance = np.linspace(-1, 1, 99) + 3
    assert p_of_draws(9.0, chance) == 0.01
    assert p_of_draws(3.01, chance) == 0.99  # all but the one in the middle


def test_discoveries_are_over_all_layers_at_once() -> None:
    p = np.r_[np.full(10, 1e-4), np.linspace(0.01, 1, 90)]
    tables = [pd.DataFrame({"p": part, "p_given_all": part}) for part in np.split(p, [5, 30])]
    found = [row["value"] for layer in discoveries(tables) for row in layer if row["measure"] == "r"]
    for at, method in enumerate(("bh", "by")):
        passes = scipy.stats.false_discovery_control(p, method=method) <= 0.05
        assert found[at::2] == [part.mean() for part in np.split(passes, [5, 30])]


def test_leaving_out_a_group_is_the_rest_of_the_sample(sample: Sample) -> None:
    rows = sample.noise(2)
    unit_rows, y = ((v - v.mean()) / TOKENS**0.5 for v in (rows, sample.lengths))
    keep = np.ones(TOKENS, dtype=bool)
    found = LeftOutPearson(LeftOut(sample.sequences), y, keep).of(unit_rows)
    assert found.shape == (2, SEQUENCES)
    means = LeftOut(sample.sequences).means(rows, keep)
    for left_out in (0, 17, SEQUENCES - 1):
        rest = sample.sequences != left_out
        for i in range(2):
            expected = scipy.stats.pearsonr(rows[i, rest], sample.lengths[rest]).statistic
            assert found[i, left_out] == pytest.approx(expected)
            assert means[i, left_out] == pytest.approx(rows[i, rest].mean())


def test_many_types_are_left_out_some_together(sample: Sample) -> None:
    groups = coarser(sample.types)
    of_type = {kind: set(groups[sample.types == kind]) for kind in np.unique(sample.types)}
    assert all(len(found) == 1 for found in of_type.values())  # a type is never divided
    assert len(np.unique(groups)) == MOST < len(of_type)
    members = [np.unique(sample.types[groups == group]) for group in range(MOST)]
    assert [len(kinds) for kinds in members[: MOST // 2]] == [1] * (MOST // 2)
    counts = np.bincount(sample.types)
    alone, together = np.concatenate(members[: MOST // 2]), np.concatenate(members[MOST // 2 :])
    assert counts[alone].min() >= counts[together].max()
    assert coarser(np.array([5, 3, 5])).tolist() == [1, 0, 1]


def test_the_jackknife_gives_the_error_of_a_mean() -> None:
    x = np.random.default_rng(0).normal(size=50)
    assert jackknife_error(LeftOut(np.arange(50)).means(x, np.ones(50, dtype=bool))) == pytest.approx(
        x.std(ddof=1) / 50**0.5
    )


def test_effective_number_of_groups() -> None:
    assert effective_number(np.repeat(np.arange(7), 5)) == pytest.approx(7)
    assert effective_number(np.r_[np.zeros(90), np.arange(1, 11)]) == pytest.approx(100**2 / (90**2 + 10))


def test_shift_is_the_average_difference_of_long_and_short_tokens(sample: Sample) -> None:
    rows = sample.noise(6) - 0.2 * sample.lengths
    rows[5] = 1.0
    _, drawn = assess(sample.draws(), [rows[:2], rows[2:]])
    shift = drawn[drawn["measure"] == "shift"].groupby("kind")["mean"]
    left_out = [shift.get_group(kind).to_numpy() for kind in ("sequences", "types", "tokens")]
    group = sample.token_lengths.group
    z = (rows[:5] - rows[:5].mean(axis=1, keepdims=True)) / rows[:5].std(axis=1, keepdims=True)
    expected = (z[:, group == 2].mean(axis=1) - z[:, group == 0].mean(axis=1)).mean()
    assert shift.first()["observed"] == pytest.approx(expected)
    assert expected < shift.min()["chance"]
    assert 0 < two_way_error(*left_out) < -expected


def test_where_confounds_explain_length_there_is_no_partial_r(sample: Sample, recwarn: pytest.WarningsRecorder) -> None:
    controls = sample.controls.assign(log_frequency=-sample.lengths)
    draws = LayerDraws(sample.token_lengths, sample.types, sample.sequences, controls, DRAWS, 0)
    found = draws.of_neurons(sample.noise(2))
    assert np.isfinite(found["r", "observed"]).all()
    assert np.isnan(found["r_given_frequency", "observed"]).all()
    assert not recwarn
