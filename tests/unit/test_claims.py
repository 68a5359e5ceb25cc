"""Claims: verdicts on given estimates, and the estimates of token length on data with a known answer."""

from dataclasses import replace
from itertools import pairwise
from math import inf, nan

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from samples import Sample

from layerscope.report.claims import claim_rows
from layerscope.stats.claims import FEWEST, QUESTIONS, UNKNOWN, Claim, Estimate, Resamples, evaluate
from layerscope.stats.intervals import null_band
from layerscope.stats.jackknife import jackknife_error
from layerscope.studies.token_length import claims as lengths
from layerscope.studies.token_length.claims import CLAIMS, CLAIMS_ON_PAIRS, Evidence
from layerscope.studies.token_length.resample_layer import resample_neurons
from layerscope.studies.token_length.sample_claims import SampleLengths

CLUSTERS, NULLS = 100, 200
POSITIVE: Claim = Claim("positive", "It is positive.", "It was positive.", "it", 0, inf, lambda data: data)


@pytest.mark.parametrize(
    ("estimate", "verdict", "reason"),
    [
        (Estimate(1, 0.5, 1.5), "supported", ""),
        (Estimate(1, -0.1, 2.1), "undetermined", "contains values on both sides"),
        (Estimate(1, 0, 2), "undetermined", "contains values on both sides"),
        (Estimate(-1, -1.5, -0.5), "not supported", ""),
        (Estimate(-1, -2, 0), "not supported", ""),
        (Estimate(1, 0.5, 1.5, null_low=-2, null_high=2), "undetermined", "within the null band"),
        (Estimate(1, 0.5, 1.5, null_low=-1, null_high=1), "undetermined", "within the null band"),
        (Estimate(1, 0.5, 1.5, null_low=-0.2, null_high=0.2), "supported", ""),
        (Estimate(-1, -1.5, -0.5, null_low=-2, null_high=2), "not supported", ""),
        (UNKNOWN, "undetermined", "not defined"),
        (Estimate(1, nan, nan), "undetermined", "not defined"),
        (Estimate(nan, 0.5, 1.5), "undetermined", "not defined"),
        (Estimate(1, 0.5, 1.5, clusters=30), "supported", ""),
        (Estimate(1, 0.5, 1.5, clusters=29), "undetermined", "29 documents, and an interval takes at least 30"),
        (Estimate(-1, -1.5, -0.5, clusters=29), "undetermined", "29 documents, and an interval takes at least 30"),
        (Estimate(1, nan, nan, clusters=1), "undetermined", "not defined"),
    ],
)
def test_a_verdict_is_on_the_whole_interval_the_null_and_the_clusters(
    estimate: Estimate, verdict: str, reason: str
) -> None:
    found = POSITIVE.verdict(estimate)
    assert found[0] == verdict
    assert reason in found[1] and bool(reason) == bool(found[1]) == (verdict == "undetermined")


def test_criteria_and_the_ends_of_their_ranges() -> None:
    between = replace(POSITIVE, above=3.5, below=4.5)
    assert between.criterion == "3.5 < effect < 4.5"
    assert POSITIVE.criterion == "effect > 0"
    assert replace(POSITIVE, above=-inf, below=-0.02).criterion == "effect < -0.02"
    at = [(3, 3.4), (3, 3.5), (3.4, 3.6), (3.5, 4), (3.6, 4.4), (4, 4.5), (4.4, 4.6), (4.5, 5), (4.6, 5)]
    verdicts = [between.verdict(Estimate((low + high) / 2, low, high))[0] for low, high in at]
    unsure = "undetermined"
    assert verdicts == ["not supported"] * 2 + [unsure] * 2 + ["supported"] + [unsure] * 2 + ["not supported"] * 2


def test_a_row_of_the_table_says_all_that_was_asked() -> None:
    claim = replace(POSITIVE, clustered_by="types", of_training=False)
    (row,) = evaluate([claim], "study", "one, other", True, Estimate(1, 0.5, 1.5, -0.1, 0.1, 12))
    assert row == {
        "claim": "positive", "statement": "It is positive.", "reference": "It was positive.", "about": "model",
        "study": "study", "models": "one, other", "untrained": True, "statistic": "it", "criterion": "effect > 0",
        "of_training": False, "clustered_by": "types", "effect": 1, "low": 0.5, "high": 1.5, "null_low": -0.1,
        "null_high": 0.1, "clusters": 12, "verdict": "undetermined",
        "reason": "12 types, and an interval takes at least 30",
    }  # fmt: skip


def drawn(
    statistics: dict[str, np.ndarray], spread: float, seed: int = 0, clusters: int = CLUSTERS, null: float = 1.0
) -> Resamples:
    """Given values of layers, each with a standard error of about ``spread``.

    Their null is about zero, ``null`` times as wide; of 0, there is none.
    """
    rng, values_of = np.random.default_rng(seed), {}
    for statistic, values in statistics.items():
        layers = len(values)
        values_of[statistic, "observed"] = values[:, None]
        around = spread / CLUSTERS**0.5 * rng.normal(size=(layers, CLUSTERS))
        values_of[statistic, "jackknife"] = values[:, None] + around
        if null and not statistic.startswith(("overlap", "kurtosis")):
            values_of[statistic, "null"] = null * spread * rng.normal(size=(layers, NULLS))
    counts = pd.DataFrame({"statistic": [*statistics], "clusters": clusters, "clusters_effective": 81.0})
    resamples = Resamples(counts.assign(layer=0, kind="observed", resample=0, value=0.0).iloc[:0])
    resamples.clusters, resamples.df = counts.set_index("statistic")["clusters"], pd.Series(80.0, index=[*statistics])
    resamples.values = values_of
    return resamples


def test_a_table_becomes_arrays_of_layers_and_resamples() -> None:
    rows = [
        (statistic, layer, kind, draw, sign * (10 * layer + draw))
        for statistic, sign in (("x", 1.0), ("y", -1.0))
        for kind, count in (("observed", 1), ("null", 4), ("jackknife", 3))
        for layer in (1, 0)
        for draw in reversed(range(count))
    ]
    table = pd.DataFrame(rows, columns=["statistic", "layer", "kind", "resample", "value"])
    resamples = Resamples(table.assign(clusters=7, clusters_effective=4.5))
    x, y = resamples.of("jackknife", "x", "y")
    assert x.tolist() == [[0, 1, 2], [10, 11, 12]] == (-y).tolist()
    assert resamples.of("null", "x")[0].tolist() == [[0, 1, 2, 3], [10, 11, 12, 13]]
    assert (resamples.fewest("x", "y"), resamples.df["y"]) == (7, 3.5)
    unknown = Resamples(
        table.assign(clusters=7, clusters_effective=4.5, value=table["value"].where(table["layer"] == 1))
    )
    assert np.isnan(unknown.of("null", "x")[0]).tolist() == [[True] * 4, [False] * 4]


def test_an_estimate_has_the_interval_of_its_effect_and_the_band_of_its_null() -> None:
    """The effect is taken of all layers with one group left out: what layers share does not average out."""
    resamples = drawn({"x": np.array([1.0, 3.0]), "y": np.array([1.0, 1.0])}, 0.1)
    found = resamples.estimate(lambda x, y: (x * y).mean(axis=0), "x", "y")
    x, y = resamples.of("jackknife", "x", "y")
    values = (x[0] * y[0] + x[1] * y[1]) / 2
    error = np.sqrt(99 / 100 * ((values - values.mean()) ** 2).sum())
    assert found.effect == 2
    assert found.high - 2 == 2 - found.low == pytest.approx(scipy.stats.t.ppf(0.975, 80) * error)
    null = np.prod(resamples.of("null", "x", "y"), axis=0).mean(axis=0)
    assert (found.null_low, found.null_high) == pytest.approx(null_band(null))
    assert found.clusters == CLUSTERS
    assert np.isnan(drawn({"x": np.ones(2)}, 0.1, null=0).estimate(lambda x: x[0], "x").null_low)


def test_an_estimate_is_of_the_statistic_with_the_fewest_clusters() -> None:
    table = pd.DataFrame({"layer": 0, "resample": [0, 0, 1, 2] * 2, "kind": ["observed", *["jackknife"] * 3] * 2})
    table = table.assign(statistic=np.repeat(["x", "y"], 4), value=[1, 0.9, 1.0, 1.1] * 2)
    counts = {"clusters": np.repeat([50, 40], 4), "clusters_effective": np.repeat([8.0, 20.0], 4)}
    resamples = Resamples(table.assign(**counts))
    assert resamples.fewest("x", "y") == 40
    (x,) = resamples.of("jackknife", "x")
    assert resamples.half_width(x, "x", "y") == pytest.approx(scipy.stats.t.ppf(0.975, 7) * jackknife_error(x))
    assert np.isnan(Resamples(table.assign(clusters=1, clusters_effective=1.0)).half_width(x, "x"))


MULTIMODALITY = pd.DataFrame(
    {"population": ["types"], "share": [0.04], "share_1e5": [0.0], "share_bh": [0.0], "neurons": [10]}
)
BOTH = ("fraction_weakly_negative", "median", "variance")
LAYERS = {
    "shift_mean": np.full(5, -0.1),
    "overlap_mean": np.full(5, 0.9),
    "kurtosis_median": np.full(5, 1.0),
    "r_fraction_weakly_negative": np.full(5, 0.7),
    "r_median": np.array([0.2, -0.1, -0.1, -0.1, -0.02]),
    "r_given_frequency_median": np.array([0.02, -0.01, -0.01, -0.01, -0.01]),
    "r_variance": np.array([0.02, 0.03, 0.03, 0.03, 0.01]),
}
LAYERS |= {f"r_types_{name}": LAYERS[f"r_{name}"] for name in BOTH}
SPREAD = 2e-3


def evidence(
    statistics: dict[str, np.ndarray], spread: float = SPREAD, seed: int = 0, clusters: int = CLUSTERS
) -> Evidence:
    return Evidence(drawn(statistics, spread, seed, clusters), MULTIMODALITY)


def verdict(name: str, data: object, claims: list = CLAIMS) -> str:
    return next(row["verdict"] for row in evaluate(claims, "s", "m", False, data) if row["claim"] == name)


FOLLOWING = [
    ("long_tokens_shifted_down", {"shift_mean": np.full(5, 0.1)}),
    ("long_tokens_shifted_down", {"shift_mean": np.full(5, -0.01)}),
    ("groups_overlap", {"overlap_mean": np.full(5, 0.7)}),
    ("most_neurons_weakly_negative", {"r_fraction_weakly_negative": np.full(5, 0.5)}),
    ("first_layer_positive", {"r_median": np.array([0.03, 0.2, 0.2, 0.2, 0.2])}),
    ("last_layers_near_zero", {"r_median": np.array([0.2, -0.1, 0.1, -0.1, -0.1])}),
    ("last_layers_near_zero", {"r_median": np.array([0.2, 0.02, 0.02, 0.02, -0.1])}),
    ("last_layers_shrink", {"r_variance": np.array([0.02, 0.01, 0.01, 0.01, 0.03])}),
    ("frequency_explains", {"r_given_frequency_median": 0.7 * LAYERS["r_median"]}),
]
FOLLOWING += [
    (f"{claim}_types", {name.replace("r_", "r_types_"): values for name, values in otherwise.items()})
    for claim, otherwise in FOLLOWING
    if all(name in {f"r_{of}" for of in BOTH} for name in otherwise)
]


@pytest.mark.parametrize(("name", "otherwise"), FOLLOWING)
def test_claims_on_layers_follow_the_data(name: str, otherwise: dict[str, np.ndarray]) -> None:
    assert verdict(name, evidence(LAYERS)) == "supported"
    assert verdict(name, evidence(LAYERS | otherwise)) == "not supported"
    assert verdict(name, evidence(LAYERS, spread=5.0)) == "undetermined"
    assert verdict(name, evidence(LAYERS | otherwise, spread=5.0)) == "undetermined"
    assert verdict(name, evidence(LAYERS, clusters=FEWEST - 1)) == "undetermined"


def test_every_claim_on_a_model_is_tested_here() -> None:
    assert {claim.name for claim in CLAIMS} == {name for name, _ in FOLLOWING} | {"neurons_multimodal"}


def test_claims_on_r_are_asked_of_documents_and_of_types() -> None:
    claims = {claim.name: claim for claim in CLAIMS}
    over_types = [name for name in claims if name.endswith("_types")]
    assert len(over_types) == 4
    for name in over_types:
        of_types, of_documents = claims[name], claims[name.removesuffix("_types")]
        assert (of_documents.clustered_by, of_types.clustered_by) == ("documents", "types")
        assert of_types.statement == f"{of_documents.statement[:-1]}, and would for new token types."
        assert of_types.criterion == of_documents.criterion
        assert of_types.reference == of_documents.reference
        # Each is of its own r.
        assert of_types.estimate(evidence(LAYERS)) != of_documents.estimate(evidence(LAYERS))
        only = {key: values for key, values in LAYERS.items() if key.startswith("r_types_")}
        assert of_types.estimate(evidence(only)).effect == of_documents.estimate(evidence(LAYERS)).effect


def test_claims_say_what_they_are_of() -> None:
    for claim in [*CLAIMS, *CLAIMS_ON_PAIRS]:
        assert claim.clustered_by in QUESTIONS and claim.about == "model"
        assert claim.statement.endswith(".") and claim.reference.endswith(".")
    # Without training groups overlap too.
    assert [claim.name for claim in CLAIMS if not claim.of_training] == ["groups_overlap"]


def test_the_middle_half_and_the_last_layer() -> None:
    values = np.arange(10.0)[:, None] ** 2
    assert lengths.middle_half(values)[:, 0].tolist() == [9, 16, 25, 36]
    assert lengths.last_minus_middle(values) == [81 - 21.5]
    assert np.isnan(lengths.last_minus_middle(values[:2])).all()


@pytest.mark.parametrize(
    "name", [claim.name for claim in CLAIMS if claim.name not in ("groups_overlap", "neurons_multimodal")]
)
def test_an_effect_within_its_null_is_not_supported(name: str) -> None:
    """Where the null reaches as far as the effect, however sure that is."""
    of = Evidence(drawn(LAYERS, SPREAD, null=50 / SPREAD), MULTIMODALITY)
    (row,) = [row for row in evaluate(CLAIMS, "s", "m", False, of) if row["claim"] == name]
    unknown = name == "frequency_explains"  # of nothing, no share is explained
    reason = "the effect or its interval is not defined" if unknown else "the effect is within the null band"
    assert (row["verdict"], row["reason"]) == ("undetermined", reason)


def test_frequency_explains_a_slope_and_nothing_where_there_is_nothing() -> None:
    raw, given = LAYERS["r_median"], LAYERS["r_given_frequency_median"]
    found = lengths.left_given_frequency(evidence(LAYERS))
    slope, *_ = np.linalg.lstsq(raw[:, None], given, rcond=None)[0]
    assert found.effect == pytest.approx(slope)
    assert np.isnan([found.null_low, found.null_high]).all()
    nothing = evidence(LAYERS | {"r_median": np.full(5, 1e-4)})
    assert lengths.left_given_frequency(nothing) is UNKNOWN
    assert verdict("frequency_explains", nothing) == "undetermined"


def of_shares(share: float, share_1e5: float, seed: int = 0) -> Evidence:
    return Evidence(drawn(LAYERS, SPREAD, seed), MULTIMODALITY.assign(share=share, share_1e5=share_1e5))


@pytest.mark.parametrize(
    ("share_1e5", "expected"),
    [
        (0.3, "supported"),
        (0.0503, "supported"),
        (0.0501, "undetermined"),
        (0.01, "undetermined"),
        (0.0, "undetermined"),
    ],
)
def test_claim_on_multimodality_can_be_supported_and_never_refuted(share_1e5: float, expected: str) -> None:
    """Modes may be too close to be seen, so no share speaks against them."""
    found = lengths.multimodal_share(of_shares(0.3, share_1e5))
    assert (found.effect, found.low) == (share_1e5, pytest.approx(max(0, share_1e5 - 2e-4)))
    assert (found.high, found.null_low, found.null_high) == (1, 0, pytest.approx(2e-4))
    assert verdict("neurons_multimodal", of_shares(0.3, share_1e5)) == expected


def test_claim_on_multimodality_is_undetermined_where_p_is_unknown() -> None:
    of = evidence(LAYERS)
    assert verdict("neurons_multimodal", of_shares(nan, nan)) == "undetermined"
    assert lengths.multimodal_share(of_shares(nan, nan)) is UNKNOWN
    assert lengths.multimodal_share(Evidence(of.resamples, MULTIMODALITY.assign(neurons=0, share_1e5=nan))) is UNKNOWN
    few = Evidence(drawn(LAYERS, SPREAD, clusters=20), MULTIMODALITY.assign(share_1e5=0.9))
    assert verdict("neurons_multimodal", few) == "undetermined"


def test_a_layer_without_neurons_that_vary_has_no_say_in_the_share_of_multimodal_ones() -> None:
    rows = pd.concat([MULTIMODALITY.assign(share_1e5=0.3), MULTIMODALITY.assign(neurons=0, share_1e5=nan)])
    rows = pd.concat([rows, MULTIMODALITY.assign(neurons=30, share_1e5=0.1)])
    estimate = lengths.multimodal_share(Evidence(evidence(LAYERS).resamples, rows))
    assert estimate.effect == pytest.approx((10 * 0.3 + 30 * 0.1) / 40)


def pair_of(
    one: dict[str, np.ndarray], other: dict[str, np.ndarray], spread: float = SPREAD, seed: int = 0
) -> tuple[Evidence, Evidence]:
    return evidence(LAYERS | one, spread, 2 * seed), evidence(LAYERS | other, spread, 2 * seed + 1)


ALIKE = {"r_median": np.zeros(4)}, {"r_median": np.zeros(7)}
APART = ALIKE[0], {"r_median": np.array([0, 0, 0, 0, 0, 0, 0.3])}


def test_models_differ_where_one_layer_does() -> None:
    assert verdict("models_differ", pair_of(*ALIKE), CLAIMS_ON_PAIRS) == "not supported"
    assert verdict("models_differ", pair_of(*APART), CLAIMS_ON_PAIRS) == "supported"
    assert verdict("models_differ", pair_of(*APART, spread=5.0), CLAIMS_ON_PAIRS) == "undetermined"
    pair = pair_of(*APART)
    found = lengths.largest_difference(pair)
    assert found.effect == pytest.approx(0.3)
    one, other = (of.resamples.of("jackknife", "r_median")[0][-1] for of in pair)
    error = jackknife_error(other - one)
    assert found.high - 0.3 == 0.3 - found.low == pytest.approx(scipy.stats.t.ppf(1 - 0.025 / 4, 80) * error)
    null = np.subtract(*(of.resamples.of("null", "r_median")[0][-1] for of in pair))
    assert found.null_high == pytest.approx(scipy.stats.t.ppf(1 - 0.025 / 4, NULLS - 1) * null.std(ddof=1), rel=0.2)
    assert (found.null_low, found.clusters) == (0, CLUSTERS)


def test_models_are_compared_at_the_same_depth_with_the_same_documents_left_out() -> None:
    """What two models share does not set them apart: with the same errors theirs cancel."""
    straight = {"r_median": np.linspace(0, 0.3, 4)}, {"r_median": np.linspace(0, 0.3, 7)}
    assert lengths.largest_difference(pair_of(*straight)).effect == pytest.approx(0, abs=1e-12)
    one, other = pair_of({"r_median": np.zeros(4)}, {"r_median": np.full(4, 0.1)}, spread=0.1)
    alone = lengths.largest_difference((one, other))
    (shared,), (own,) = (of.resamples.of("jackknife", "r_median") for of in (one, other))
    own[:] = 0.1 + shared + 1e-3 * (own - 0.1)
    together = lengths.largest_difference((one, other))
    assert together.high - together.low < 0.01 * (alone.high - alone.low)


def test_models_without_a_difference_are_rarely_taken_to_differ() -> None:
    """Of a null of differences at as many depths, the largest is beyond its band in about 5% of samples."""
    rng, sets, beyond = np.random.default_rng(0), 120, 0
    for seed in range(sets):
        one = evidence({"r_median": 0.1 * rng.normal(size=6)}, 0.1 / 2**0.5, 2 * seed)
        other = evidence({"r_median": np.zeros(6)}, 0.1 / 2**0.5, 2 * seed + 1)
        found = lengths.largest_difference((one, other))
        beyond += found.low > 0 and found.effect > found.null_high
    assert beyond <= scipy.stats.binom.ppf(0.998, sets, 0.05)
    assert beyond > 0


def test_heavier_tails_of_the_larger_model() -> None:
    heavier = {"kurtosis_median": np.full(5, 2.0)}
    for one, other, expected in (({}, heavier, "supported"), (heavier, {}, "not supported"), ({}, {}, "undetermined")):
        assert verdict("larger_heavier_tails", pair_of(one, other), CLAIMS_ON_PAIRS) == expected
    assert verdict("larger_heavier_tails", pair_of({}, heavier, spread=50.0), CLAIMS_ON_PAIRS) == "undetermined"
    pair = pair_of({}, heavier)
    found = lengths.difference_of_kurtosis(pair)
    jackknife = np.subtract(*(of.resamples.of("jackknife", "kurtosis_median")[0].mean(axis=0) for of in reversed(pair)))
    assert found.effect == 1
    assert found.high - 1 == pytest.approx(scipy.stats.t.ppf(0.975, 80) * jackknife_error(jackknife))


@pytest.mark.parametrize(
    ("smaller", "larger", "expected"),
    [
        ((0.05, 0.0), (0.6, 0.4), "supported"),
        ((0.39, 0.0), (0.6, 0.4), "supported"),
        ((0.41, 0.0), (0.6, 0.4), "undetermined"),  # so many of the smaller model may have some
        ((0.9, 0.8), (0.0, 0.0), "undetermined"),
        ((nan, nan), (0.6, 0.4), "undetermined"),
        ((0.05, 0.0), (nan, nan), "undetermined"),
    ],
)
def test_more_multimodal_neurons_of_the_larger_model_are_supported_or_open(
    smaller: tuple[float, float], larger: tuple[float, float], expected: str
) -> None:
    pair = of_shares(*smaller), of_shares(*larger, seed=1)
    assert verdict("larger_more_multimodal", pair, CLAIMS_ON_PAIRS) == expected
    found = lengths.difference_of_multimodal_shares(pair)
    if not np.isnan(found.low):
        assert found.effect == pytest.approx(larger[1] - smaller[1])
        assert found.low == pytest.approx(max(0, larger[1] - 2e-4) - smaller[0])
        assert found.high == 1


def resampled(seed: int, layers: int = 4, neurons: int = 40, shift: float = 0.0) -> Evidence:
    """Neurons without a signal, or that fall with length, that read simulated text, the same tokens in all layers."""
    sample = Sample(seed)
    resamples, tables = [], []
    for _ in range(layers):
        layer = sample.resamples()
        resamples.append(resample_neurons(layer, [sample.read(sample.noise(neurons) - shift * sample.lengths)])[1])
        tables.append(MULTIMODALITY)
    return Evidence.of(resamples, pd.concat(tables))


@pytest.fixture(scope="module")
def noise() -> list[Evidence]:
    return [resampled(seed) for seed in range(3)]


def test_claims_are_not_supported_by_noise(noise: list[Evidence]) -> None:
    for of in noise:
        rows = {row["claim"]: row for row in evaluate(CLAIMS, "token_length", "m", True, of)}
        assert "supported" not in {row["verdict"] for row in rows.values() if row["of_training"]}
        assert rows["groups_overlap"]["verdict"] == "supported"
        assert rows["long_tokens_shifted_down"]["verdict"] == "not supported"
    for one, other in pairwise(noise):
        assert "supported" not in {row["verdict"] for row in evaluate(CLAIMS_ON_PAIRS, "s", "m", True, (one, other))}


def test_claims_are_supported_by_neurons_that_fall_with_length() -> None:
    of = resampled(0, layers=1, shift=0.05)
    for name in ("long_tokens_shifted_down", "most_neurons_weakly_negative", "groups_overlap"):
        assert verdict(name, of) == "supported", name
    assert verdict("first_layer_positive", of) == "not supported"


def test_tables_of_layers_become_resamples(noise: list[Evidence]) -> None:
    resamples = noise[0].resamples
    for statistic in ("shift_mean", "overlap_mean", "kurtosis_median", "r_types_variance", "r_given_all_std"):
        assert resamples.of("observed", statistic)[0].shape == (4, 1)
    assert [values.shape for values in resamples.of("null", "r_median", "shift_mean")] == [(4, 200)] * 2
    assert resamples.of("jackknife", "r_types_median")[0].shape == (4, 200)
    assert resamples.of("jackknife", "r_median", "kurtosis_median", "overlap_mean")[2].shape == (4, 50)
    assert resamples.fewest("r_median") == 50 < resamples.fewest("r_types_median")


def test_the_table_of_claims_names_models_pairs_and_tokenizers(noise: list[Evidence]) -> None:
    table = pd.DataFrame({"document": np.repeat(np.arange(40), 2), "length": [3, 4] * 40, "count": 5})
    found = lengths.claims_table(
        {"small": noise[0], "large": noise[1], "large-random": noise[2]},
        [["small", "large"], ["large", "large-random"]],
        ["large-random"],
        {"mini": SampleLengths(table)},
    )
    assert set(found["models"]) == {
        "small", "large", "large-random", "small, large", "large, large-random", "tokenizer mini"
    }  # fmt: skip
    assert set(found.loc[found["untrained"], "models"]) == {"large-random", "large, large-random"}
    assert set(found.loc[found["about"] == "sample", "models"]) == {"tokenizer mini"}
    assert set(found["study"]) == {"token_length"}
    assert not found.duplicated(["claim", "models"]).any()
    assert len(found) == 3 * len(CLAIMS) + 2 * len(CLAIMS_ON_PAIRS) + 3


def test_the_report_says_what_random_weights_show_too() -> None:
    table = pd.DataFrame(
        evaluate([POSITIVE], "s", "trained", False, Estimate(1, 0.5, 1.5, -0.1, 0.1))
        + evaluate([POSITIVE], "s", "random", True, Estimate(0.4, 0.1, 0.7))
        + evaluate([POSITIVE], "s", "few", False, Estimate(0.4, 0.1, 0.7, clusters=7))
    )
    (rows,) = claim_rows(table)
    assert (rows.criterion, rows.reference) == ("effect > 0", "It was positive.")
    assert rows.question == "this vocabulary on this kind of text"
    few = "7 documents, and an interval takes at least 30; random weights show it too"
    assert [row.note for row in rows.verdicts] == ["random weights show it too", "random weights", few]
    assert rows.verdicts[0].effect == "1.000 [0.500, 1.500]"
    assert [row.null for row in rows.verdicts] == ["−0.100 to 0.100", "", ""]
    types = pd.DataFrame(evaluate([replace(POSITIVE, clustered_by="types")], "s", "m", False, UNKNOWN))
    (rows,) = claim_rows(types)
    assert (rows.question, rows.verdicts[0].effect) == ("new token types", "not defined")
