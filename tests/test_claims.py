"""Claims: rules on given estimates, and the estimates of each study on data with a known answer."""

from math import inf, nan
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from layerscope.claims import UNKNOWN, Claim, Draws, Estimate, judge
from layerscope.path_length import claims as paths
from layerscope.path_length.lengths import QUANTITIES
from layerscope.path_length.shards import read_path_shards, write_path_shard
from layerscope.path_length.uncertainty import resample_paths
from layerscope.report.claims import shown
from layerscope.resampling import jackknife_error
from layerscope.token_length import claims as lengths
from layerscope.token_similarity import claims as similarity
from layerscope.token_similarity.jackknife import jackknife_layer
from layerscope.tokenize.token_shards import Tokens

KINDS = {"observed": 1, "sequences": 100, "types": 100, "tokens": 100, "chance": 100}


@pytest.mark.parametrize(
    ("estimate", "verdict"),
    [
        (Estimate(1, 0.5, 1.5), "supported"),
        (Estimate(1, -0.1, 2.1), "undetermined"),
        (Estimate(-1, -1.5, -0.5), "not supported"),
        (Estimate(-1, -2, 0), "not supported"),
        (Estimate(1, 0.5, 1.5, null_low=-2, null_high=2), "undetermined"),
        (Estimate(1, 0.5, 1.5, null_low=-0.2, null_high=0.2), "supported"),
        (Estimate(nan, nan, nan), "undetermined"),
        (Estimate(1, nan, nan), "undetermined"),
    ],
)
def test_the_rule_is_on_the_whole_interval_and_chance(estimate: Estimate, verdict: str) -> None:
    claim: Claim = Claim("positive", "It is positive.", "it", 0, inf, lambda data: data)
    assert claim.verdict(estimate) == verdict
    assert claim.rule == "effect > 0"


def test_a_rule_of_two_ends() -> None:
    claim: Claim = Claim("four", "It is four.", "it", 3.5, 4.5, lambda data: data)
    assert claim.rule == "3.5 < effect < 4.5"
    verdicts = [claim.verdict(Estimate(value, value - 0.2, value + 0.2)) for value in (3, 3.6, 4, 4.8)]
    assert verdicts == ["not supported", "undetermined", "supported", "not supported"]


def drawn(statistics: dict[str, np.ndarray], spread: float, seed: int = 0) -> Draws:
    """Given values of layers, with a standard error of about ``spread``; those of chance are about zero."""
    rng = np.random.default_rng(seed)
    # Of 100 values with a group left out, a standard deviation of s makes a standard error of about 10 s.
    around = {"observed": 0.0, "chance": spread} | dict.fromkeys(("sequences", "types", "tokens"), spread / 10)
    rows = [
        (statistic, layer, kind, draw, (0 if kind == "chance" else value) + around[kind] * rng.normal())
        for statistic, values in statistics.items()
        for layer, value in enumerate(values)
        for kind, count in KINDS.items()
        for draw in range(count)
    ]
    table = pd.DataFrame(rows, columns=["statistic", "layer", "kind", "draw", "value"])
    return Draws(table.assign(sequences=31, types_effective=80.0))


def test_an_estimate_has_the_two_way_interval_of_its_effect() -> None:
    draws = drawn({"x": np.array([1.0, 3.0])}, 0.1)
    found = draws.estimate(lambda x: x.mean(axis=0), "x")
    left_out = {kind: draws.of(kind, "x")[0].mean(axis=0) for kind in ("sequences", "types", "tokens")}
    errors = {kind: np.sqrt(99 * values.var()) for kind, values in left_out.items()}
    error = np.sqrt(max(errors["sequences"] ** 2 + errors["types"] ** 2 - errors["tokens"] ** 2,
                        errors["sequences"] ** 2, errors["types"] ** 2))  # fmt: skip
    assert found.effect == 2
    assert found.high - 2 == pytest.approx(scipy.stats.t.ppf(0.975, 30) * error)
    assert found.null_low < 0 < found.null_high < 0.2


def evidence(statistics: dict[str, np.ndarray], spread: float = 0.01) -> lengths.Evidence:
    modality = pd.DataFrame({"population": ["types"], "share": [0.04], "share_bh": [0.0], "share_holm": [0.0]})
    table = pd.DataFrame({"sequence": [0, 0, 1, 1], "length": [1, 4, 4, 16], "count": [3, 5, 6, 2]})
    return lengths.Evidence(drawn(statistics, spread), modality.assign(neurons=10), table)


def verdict(claims: list[Claim], name: str, data: object) -> str:
    return next(row["verdict"] for row in judge(claims, "s", "m", False, data) if row["claim"] == name)


LAYERS = {
    "shift_mean": np.full(5, -0.1),
    "r_fraction_weakly_negative": np.full(5, 0.7),
    "r_median": np.array([0.2, -0.1, -0.1, -0.1, -0.1]),
    "r_given_frequency_median": np.array([0.02, -0.01, -0.01, -0.01, -0.01]),
    "r_std": np.array([0.2, 0.3, 0.3, 0.3, 0.1]),
}


@pytest.mark.parametrize(
    ("name", "otherwise"),
    [
        ("long_tokens_shifted_down", {"shift_mean": np.full(5, 0.1)}),
        ("most_neurons_weakly_negative", {"r_fraction_weakly_negative": np.full(5, 0.4)}),
        ("first_layer_positive", {"r_median": np.array([-0.2, 0.1, 0.1, 0.1, 0.1])}),
        ("last_layers_shrink", {"r_std": np.array([0.2, 0.1, 0.1, 0.1, 0.3])}),
        ("frequency_explains", {"r_given_frequency_median": LAYERS["r_median"]}),
    ],
)
def test_claims_on_layers_follow_the_data(name: str, otherwise: dict[str, np.ndarray]) -> None:
    assert verdict(lengths.CLAIMS, name, evidence(LAYERS)) == "supported"
    assert verdict(lengths.CLAIMS, name, evidence(LAYERS | otherwise)) == "not supported"
    assert verdict(lengths.CLAIMS, name, evidence(LAYERS, spread=5.0)) == "undetermined"


def test_frequency_explains_nothing_where_there_is_nothing() -> None:
    assert verdict(lengths.CLAIMS, "frequency_explains", evidence(LAYERS | {"r_median": np.full(5, 1e-4)})) == (
        "undetermined"
    )


def test_claims_on_lengths() -> None:
    of = evidence(LAYERS)
    assert verdict(lengths.CLAIMS, "lengths_1_to_16", of) == "supported"
    assert verdict(lengths.CLAIMS, "median_length_4", of) == "supported"
    longer = of.lengths.assign(length=of.lengths["length"] + 1)
    other = lengths.Evidence(of.draws, of.modality, longer)
    assert verdict(lengths.CLAIMS, "lengths_1_to_16", other) == "undetermined"  # the shortest is not of one character
    assert verdict(lengths.CLAIMS, "median_length_4", other) == "not supported"
    uneven = of.lengths.assign(count=[9, 5, 1, 9])
    assert verdict(lengths.CLAIMS, "median_length_4", lengths.Evidence(of.draws, of.modality, uneven)) == "undetermined"


@pytest.mark.parametrize(
    ("shares", "expected"),
    [((0.4, 0.3, 0.2), "supported"), ((0.4, 0.3, 0.01), "undetermined"), ((0.04, 0.0, 0.0), "not supported")],
)
def test_claim_on_modes(shares: tuple[float, ...], expected: str) -> None:
    of = evidence(LAYERS)
    modality = of.modality.assign(**dict(zip(("share", "share_bh", "share_holm"), shares, strict=True)))
    of = lengths.Evidence(of.draws, modality, of.lengths)
    assert verdict(lengths.CLAIMS, "neurons_multimodal", of) == expected


def test_claim_on_modes_is_undetermined_where_p_is_unknown() -> None:
    of = evidence(LAYERS)
    unknown = of.modality.assign(share=nan, share_bh=nan, share_holm=nan)
    of = lengths.Evidence(of.draws, unknown, of.lengths)
    assert verdict(lengths.CLAIMS, "neurons_multimodal", of) == "undetermined"
    assert np.isnan(lengths.several_modes(of).null_high)
    no_neurons = of.modality.assign(neurons=0, share=nan)
    assert lengths.several_modes(lengths.Evidence(of.draws, no_neurons, of.lengths)) is UNKNOWN


def test_a_layer_without_neurons_that_vary_has_no_say_in_the_share_with_several_modes() -> None:
    of = evidence(LAYERS)
    rows = pd.concat([of.modality.assign(share=0.4, share_bh=0.3, share_holm=0.2), of.modality.assign(neurons=0)])
    rows.loc[rows["neurons"] == 0, ["share", "share_bh", "share_holm"]] = nan
    estimate = lengths.several_modes(lengths.Evidence(of.draws, rows, of.lengths))
    assert (estimate.effect, estimate.low, estimate.high) == (0.3, 0.2, 1.0)


def test_models_differ_where_one_layer_does() -> None:
    alike = (drawn({"r_median": np.zeros(4)}, 0.01), drawn({"r_median": np.zeros(7)}, 0.01, seed=1))
    assert verdict(lengths.CLAIMS_ON_PAIRS, "models_differ_beyond_size", alike) == "undetermined"
    apart = (alike[0], drawn({"r_median": np.array([0, 0, 0, 0, 0, 0, 0.3])}, 0.01, seed=1))
    assert verdict(lengths.CLAIMS_ON_PAIRS, "models_differ_beyond_size", apart) == "supported"
    effect = lengths.largest_difference(apart)
    assert effect.effect == pytest.approx(0.3)
    last = {k: [draws.of(k, "r_median")[0][-1] for draws in apart] for k in ("sequences", "types", "tokens")}
    s, t, n = (np.sqrt(99 * (other - one).var()) for one, other in last.values())
    error = np.sqrt(max(s**2 + t**2 - n**2, s**2, t**2))
    assert effect.high - 0.3 == pytest.approx(scipy.stats.t.ppf(1 - 0.025 / 4, 30) * error)


def test_tables_of_a_layer_become_draws() -> None:
    rows = []
    for measure in ("r", "r_given_frequency", "r_given_all", "shift"):
        for kind, count in KINDS.items():
            values = {s: np.arange(count) + 0.5 for s in ("mean", "median", "std", "fraction_positive")}
            rows.append(pd.DataFrame({"measure": measure, "kind": kind, "draw": np.arange(count), **values}))
    table = pd.concat(rows).assign(fraction_weakly_negative=0.25, sequences=9, types_effective=50.0)
    of = lengths.Evidence.of([table, table.assign(median=table["median"] + 100)], pd.DataFrame(), pd.DataFrame())
    (median,) = of.draws.of("chance", "r_median")
    assert median.shape == (2, 100)
    assert median[:, 3].tolist() == [3.5, 103.5]
    assert of.draws.freedom["r_median"] == 8
    assert of.draws.of("types", "shift_mean")[0].shape == (2, 100)


# Token similarity


def vectors(sentences: int, width: int, shared: float, mean: float, seed: int) -> dict[str, np.ndarray]:
    """Dimensions with a mean of either sign, that share ``shared`` of their variance over sentences."""
    rng = np.random.default_rng(seed)
    common = np.sqrt(shared) * rng.normal(size=(sentences, 1))

    def dimensions() -> np.ndarray:
        own = np.sqrt(1 - shared) * rng.normal(size=(sentences, width))
        return mean * rng.choice([-1, 1], width) + common + own

    return {site: dimensions() for site in "qkv"}


def test_jackknife_equals_leaving_out_by_hand() -> None:
    of = vectors(12, 20, 0.3, 1.0, 0)
    table = jackknife_layer(of, 0).set_index("left_out")
    stacked = np.concatenate([of[site] for site in "qkv"], axis=1)[np.arange(12) != 5]
    unit = stacked / np.linalg.norm(stacked, axis=0)
    cosines = np.abs(unit.T @ unit)
    parts = np.split(np.arange(60), 3)
    blocks = [cosines[np.ix_(p, p)][np.triu_indices(20, 1)].mean() for p in parts]
    blocks += [cosines[np.ix_(parts[i], parts[j])].mean() for i, j in ((0, 1), (0, 2), (1, 2))]
    assert table.loc[5, "similarity"] == pytest.approx(np.mean(blocks))
    r = np.abs(np.corrcoef(np.concatenate([of[site] for site in "qkv"], axis=1).T))
    blocks = [r[np.ix_(p, p)][np.triu_indices(20, 1)].mean() for p in parts]
    blocks += [r[np.ix_(parts[i], parts[j])].mean() for i, j in ((0, 1), (0, 2), (1, 2))]
    assert table.loc[-1, "centred"] == pytest.approx(np.mean(blocks))


def similarity_of(*layers: dict[str, np.ndarray]) -> pd.DataFrame:
    return pd.concat([jackknife_layer(of, 0).assign(layer=layer) for layer, of in enumerate(layers)])


def test_similarity_that_falls_with_its_means_alone() -> None:
    """Means of the first layer are large beside spreads, in the last there are none; nothing is shared in either."""
    table = similarity_of(vectors(54, 60, 0, 3, 0), vectors(54, 60, 0, 1, 1), vectors(54, 60, 0, 0, 2))
    assert verdict(similarity.CLAIMS, "similarity_falls", table) == "supported"
    assert verdict(similarity.CLAIMS, "similarity_falls_to_zero", table) == "supported"
    assert verdict(similarity.CLAIMS, "fall_beyond_mean_over_spread", table) != "supported"


def test_similarity_that_falls_because_less_is_shared() -> None:
    table = similarity_of(vectors(54, 60, 0.95, 0, 0), vectors(54, 60, 0.6, 0, 1))
    for name in ("similarity_falls", "fall_beyond_mean_over_spread"):
        assert verdict(similarity.CLAIMS, name, table) == "supported"
    assert verdict(similarity.CLAIMS, "similarity_falls_to_zero", table) == "not supported"


def test_independent_directions_have_the_expected_cosine() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 20000, 54))
    cosines = np.abs((x * y).sum(1)) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1)
    assert similarity.independent(54) == pytest.approx(cosines.mean(), rel=0.02)


# Path length


@pytest.fixture
def path_shards(tmp_path: Path) -> list[str]:
    """Eight layers; MLP follows, attention does not; the last two go furthest; first tokens are far out."""
    rng = np.random.default_rng(0)
    sequences, length, layers = 20, 40, 8
    tokens = sequences * length
    position = np.tile(np.arange(length, dtype=np.int32), sequences)
    ids = rng.integers(0, 100, tokens).astype(np.int32)
    resid = np.array([1, 1, 1, 1, 1, 1, 3, 4])[:, None] + 0.2 * rng.normal(size=(layers, tokens))
    values = {name: rng.normal(size=(layers, tokens)) for name in QUANTITIES}
    values["path_resid"] = resid
    values["path_mlp"] = resid + 0.1 * rng.normal(size=(layers, tokens))
    values["path_mlp"][:, position == 0] -= 30
    values["path_resid"][:, position == 0] += 30
    values["cosine_attn_mlp"] = 0.02 + 0.1 * rng.normal(size=(layers, tokens))
    paths_of_shards = []
    for shard in range(2):
        part = slice(shard * tokens // 2, (shard + 1) * tokens // 2)
        sequence = np.repeat(np.arange(sequences, dtype=np.int32), length)[part]
        of = Tokens(ids[part], sequence, position[part], sequence)
        kept = {name: array[:, part].astype(np.float32) for name, array in values.items()}
        paths_of_shards.append(str(tmp_path / f"shard_{shard:04d}.h5"))
        write_path_shard(paths_of_shards[-1], kept, of, {})
    return paths_of_shards


def test_claims_on_paths_follow_the_data(path_shards: list[str]) -> None:
    table = resample_paths(path_shards)
    claims = paths.claims_table({"m": table}, []).set_index("claim")
    assert (claims["verdict"] == "supported").all()
    assert claims.loc["last_layers_largest_step", "effect"] == pytest.approx(4, abs=0.1)
    observed = table[table["kind"] == "observed"].set_index(["statistic", "layer"])["value"]
    assert observed["r_mlp"].min() > 0.8
    assert observed["r_mlp_all"].max() < -0.8
    # A mean of independent values: the classical standard error, whatever is left out.
    for kind, of in table[(table["statistic"] == "cosine") & (table["layer"] == 3)].groupby("kind")["value"]:
        if kind != "observed":
            assert jackknife_error(of.to_numpy()) == pytest.approx(0.1 / np.sqrt(20 * 39), rel=0.4), kind


def test_what_is_left_out_is_the_same_with_first_tokens_and_without(path_shards: list[str]) -> None:
    """Of the first sequence: r written out for the rest of the sample."""
    table = resample_paths(path_shards)
    values, tokens = read_path_shards(path_shards)
    rows = table[(table["kind"] == "sequences") & (table["layer"] == 2)].set_index(["statistic", "draw"])["value"]
    for statistic, keep in (("r_mlp", tokens.position > 0), ("r_mlp_all", tokens.position >= 0)):
        rest = keep & (tokens.sequence != 7)
        expected = scipy.stats.pearsonr(values["path_mlp"][2, rest], values["path_resid"][2, rest]).statistic
        assert rows[statistic, 7] == pytest.approx(expected, abs=1e-6)


def test_claims_on_paths_of_noise_are_not_supported() -> None:
    rng = np.random.default_rng(1)
    names = ("length_resid", "r_attn", "r_mlp", "r_mlp_all", "cosine")
    values = {name: np.full(8, 0.3) + 0.001 * rng.normal(size=8) for name in names}
    found = judge(paths.CLAIMS, "path_length", "m", True, drawn(values, 0.05))
    assert "supported" not in [row["verdict"] for row in found]


def test_the_report_says_what_random_weights_show_too() -> None:
    claim: Claim = Claim("positive", "It is positive.", "it", 0, inf, lambda data: data)
    table = pd.DataFrame(
        judge([claim], "s", "trained", False, Estimate(1, 0.5, 1.5, -0.1, 0.1))
        + judge([claim], "s", "control", True, Estimate(0.4, 0.1, 0.7))
    )
    (claim_rows,) = shown(table)
    assert [row.note for row in claim_rows.verdicts] == ["random weights show it too", "random weights"]
    assert claim_rows.verdicts[0].effect == "1.000 [0.500, 1.500]"
    assert claim_rows.verdicts[0].chance == "-0.100 to 0.100"
    assert claim_rows.verdicts[1].chance == ""
