"""Intervals and claims of path lengths: against a plain jackknife, and on data with a known answer."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from layerscope.stats.claims import Estimate, Resamples, evaluate
from layerscope.stats.intervals import ALPHA, student_quantile
from layerscope.stats.jackknife import jackknife_error
from layerscope.studies.path_length.claims import CLAIMS, absolute, claims_table, late_over_early, share_followed
from layerscope.studies.path_length.jackknife import jackknife_paths
from layerscope.studies.path_length.lengths import QUANTITIES
from layerscope.studies.path_length.path_shards import write_path_shard
from layerscope.tokenize.token_shards import Tokens

Values = dict[str, np.ndarray]
STREAMS = ("resid", "attn", "mlp")


def tokens_of(sequences: int, length: int, documents: np.ndarray) -> Tokens:
    """Tokens of one type, in the given documents."""
    numbers = np.arange(sequences * length, dtype=np.int32)
    return Tokens(numbers * 0, numbers // length, numbers % length, documents.astype(np.int32))


def resampled(folder: Path, values: Values, tokens: Tokens) -> pd.DataFrame:
    path = folder / "shard_0000.h5"
    values = {name: array.astype(np.float32) for name, array in values.items()}
    write_path_shard(path, values, tokens, np.ones(len(tokens), dtype=bool), {})
    return jackknife_paths([str(path)])


def random_values(layers: int, tokens: int, seed: int = 0) -> Values:
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(layers, tokens))
    # In float32 and with ties, which ranks must handle.
    values = {name: np.round(shared + rng.normal(size=shared.shape), 1).astype(np.float32) for name in QUANTITIES}
    values["path_attn"][0] = values["path_mlp"][0] = np.nan
    for name in ("step_attn", "step_mlp"):
        values[name] = 1 + np.abs(values[name])
    return values


def test_every_statistic_equals_scipy_and_leaving_out_by_hand(tmp_path: Path) -> None:
    documents = np.sort(np.random.default_rng(1).choice(7, 10 * 30, p=[0.3, 0.2, 0.15, 0.15, 0.1, 0.05, 0.05]))
    documents[150] = 99  # the only token of its document is the first of a sequence
    values, tokens = random_values(3, 300), tokens_of(10, 30, documents)
    table = resampled(tmp_path, values, tokens)
    assert set(table["clusters"]) == {8}
    sizes = np.unique(documents, return_counts=True)[1]
    np.testing.assert_allclose(table["clusters_effective"], 300**2 / (sizes**2).sum())
    found = table.set_index(["statistic", "layer", "kind", "resample"])["value"]
    assert not found.index.has_duplicates
    exact = {name: array.astype(np.float64) for name, array in values.items()}
    without_first = tokens.position > 0
    for draw, left_out in enumerate([None, *np.unique(documents)]):
        kind, number = ("observed", 0) if left_out is None else ("jackknife", draw - 1)
        rest = documents != left_out if left_out is not None else np.ones(300, dtype=bool)
        for layer in range(3):
            of = {name: array[layer] for name, array in exact.items()}
            expected = {f"length_{name}": of[f"path_{name}"][rest & without_first].mean() for name in STREAMS}
            expected |= {f"step_{name}": of[f"step_{name}"][rest & without_first].mean() for name in ("attn", "mlp")}
            expected["cosine"] = of["cosine_attn_mlp"][rest & without_first].mean()
            for suffix, keep in (("", rest & without_first), ("_all", rest)):
                for name in ("attn", "mlp"):
                    pair = of[f"path_{name}"][keep], of["path_resid"][keep]
                    r, rho = scipy.stats.pearsonr(*pair).statistic, scipy.stats.spearmanr(*pair).statistic
                    expected |= {f"r_{name}{suffix}": r, f"rho_{name}{suffix}": rho}
            assert set(expected) == set(table["statistic"])
            for statistic, value in expected.items():
                assert found[statistic, layer, kind, number] == pytest.approx(value, abs=1e-11, nan_ok=True)
                assert np.isnan(value) == (layer == 0 and statistic.split("_")[0] in ("r", "rho", "length")
                                           and statistic != "length_resid")  # fmt: skip
    assert len(found) == 14 * 3 * (1 + 8)


def test_one_document_has_no_interval(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    table = resampled(tmp_path, random_values(4, 60), tokens_of(2, 30, np.zeros(60)))
    assert table.loc[table["kind"] == "jackknife", "value"].isna().all()
    found = claims_table({"m": table}, [])
    assert set(found["verdict"]) == {"undetermined"}
    assert not recwarn.list


def with_document_effects(rng: np.random.Generator, layers: int, documents: np.ndarray, r: float) -> Values:
    """Normal values with an intraclass correlation of 1/3 within documents, so that a token is far less than an
    independent observation; each layer is a data set of its own. The paths of attention and MLP correlate with the
    residual stream's at ``r``."""
    numbers = np.unique(documents, return_inverse=True)[1]

    def normal() -> np.ndarray:
        of_documents = rng.normal(size=(layers, numbers.max() + 1))[:, numbers]
        return np.sqrt(1 / 3) * of_documents + np.sqrt(2 / 3) * rng.normal(size=(layers, len(documents)))

    resid = normal()
    values = {name: normal() for name in QUANTITIES} | {"path_resid": resid}
    return values | {name: r * resid + np.sqrt(1 - r**2) * values[name] for name in ("path_attn", "path_mlp")}


@pytest.mark.slow
def test_intervals_hold_the_truth_in_95_percent_of_samples(tmp_path: Path) -> None:
    """No less and no more often; intervals that treat tokens as independent contain it far less often."""
    rng, r, sets = np.random.default_rng(3), 0.5, 400
    documents = np.repeat(np.arange(50), rng.integers(4, 16, 50))
    documents = documents[: len(documents) // 8 * 8]
    resamples = Resamples(resampled(tmp_path, with_document_effects(rng, sets, documents, r),
                            tokens_of(8, len(documents) // 8, documents)))  # fmt: skip
    truths = {"length_resid": 0, "step_mlp": 0, "cosine": 0, "r_mlp": r, "r_attn_all": r}
    truths["rho_mlp"] = truths["rho_attn_all"] = 6 / np.pi * np.arcsin(r / 2)
    covered = {}
    for statistic, truth in truths.items():
        (values,) = resamples.of("observed", statistic)
        covered[statistic] = np.mean(
            np.abs(values[:, 0] - truth) <= resamples.half_width(*resamples.of("jackknife", statistic), statistic)
        )
    # The layers are independent, and these statistics nearly so.
    low, high = (scipy.stats.binom.ppf(level, sets, at) / sets for level, at in ((0.005, 0.93), (0.995, 0.97)))
    assert all(low <= share <= high for share in covered.values()), covered
    assert 0.93 <= np.mean(list(covered.values())) <= 0.97, covered
    (means,) = resamples.of("observed", "length_resid")
    naive = 1.96 / np.sqrt(len(documents))
    assert np.mean(np.abs(means[:, 0]) <= naive) < 0.8


def drawn(statistics: dict[str, np.ndarray], spread: float, clusters: int = 100, seed: int = 0) -> Resamples:
    """Given values of layers, with a standard error of about ``spread``."""
    rng = np.random.default_rng(seed)
    parts = []
    for statistic, values in statistics.items():
        around = values[:, None] + spread / np.sqrt(clusters) * rng.normal(size=(len(values), clusters))
        for kind, of in (("observed", values[:, None]), ("jackknife", around)):
            layer, draw = np.indices(of.shape)
            table = pd.DataFrame({"layer": layer.ravel(), "resample": draw.ravel(), "value": of.ravel()})
            parts.append(table.assign(statistic=statistic, kind=kind))
    table = pd.concat(parts)
    return Resamples(table.assign(clusters=clusters, clusters_effective=float(clusters)))


def verdicts(resamples: Resamples) -> dict[str, str]:
    return {row["claim"]: row["verdict"] for row in evaluate(CLAIMS, "path_length", "m", False, resamples)}


# Layer 0 has no path of attention and MLP.
NAN = np.nan
LAYERS = {
    "length_resid": np.array([1, 1, 1, 1, 1, 1, 1.2, 3]),
    "length_attn": np.array([NAN, 1, 1, 1, 1, 1, 1.2, 3]),
    "length_mlp": np.array([NAN, 1, 1, 1, 1, 1, 1.2, 3]),
    "step_attn": np.full(8, 1.0),
    "step_mlp": np.array([0.9, 0.9, 0.9, 2, 2, 2, 2, 2]),
    "r_attn": np.array([NAN, 0.5, 0.5, 0.1, 0.1, 0.1, 0.1, 0.1]),
    "r_attn_all": np.array([NAN, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9]),
    "r_mlp": np.array([NAN, 0.3, 0.3, 0.6, 0.6, 0.6, 0.6, 0.6]),
    "r_mlp_all": np.array([NAN, 0.3, 0.3, -0.2, -0.2, -0.2, -0.2, -0.2]),
    "rho_mlp": np.array([NAN, 0.9, -0.5, 0.6, 0.6, 0.6, 0.6, 0.6]),
    "rho_mlp_all": np.array([NAN, 0.0, 0.5, 0.57, 0.57, 0.57, 0.57, 0.57]),
    "cosine": np.array([0.05, -0.05, 0.05, -0.05, 0.05, -0.05, 0.05, -0.05]),
}
EARLY = np.array([NAN, 3, 1, 1, 1, 1, 1.2, 1])


@pytest.mark.parametrize(
    ("name", "otherwise"),
    [
        ("last_layers_largest_step_resid", {"length_resid": np.array([3, 1, 1, 1, 1, 1, 1.2, 1])}),
        ("last_layers_largest_step_attn", {"length_attn": EARLY}),
        ("last_layers_largest_step_mlp", {"length_mlp": EARLY}),
        ("mlp_step_larger", {"step_mlp": np.array([0.5, 0.5, 0.5, 0.5, 0.5, 1.2, 1.2, 1.2])}),
        ("mlp_follows_more", {"r_attn": LAYERS["r_mlp"], "r_mlp": LAYERS["r_attn"]}),
        ("first_token_reverses_sign", {"r_mlp": -LAYERS["r_mlp"]}),
        ("first_token_reverses_sign", {"r_mlp_all": LAYERS["r_mlp"]}),
        ("spearman_steady", {"rho_mlp_all": LAYERS["rho_mlp"] + 0.3}),
        ("spearman_steady", {"rho_mlp_all": LAYERS["rho_mlp"] - 0.3}),
        ("attn_mlp_near_orthogonal", {"cosine": 5 * LAYERS["cosine"]}),
    ],
)
def test_claims_follow_the_data(name: str, otherwise: dict[str, np.ndarray]) -> None:
    assert verdicts(drawn(LAYERS, 0.01))[name] == "supported"
    assert verdicts(drawn(LAYERS | otherwise, 0.01))[name] == "not supported"
    assert verdicts(drawn(LAYERS | otherwise, 50.0))[name] == "undetermined"
    assert verdicts(drawn(LAYERS, 0.01, clusters=29))[name] == "undetermined"


def test_claims_name_what_the_reference_says_and_what_training_brings() -> None:
    rows = pd.DataFrame(evaluate(CLAIMS, "path_length", "m", False, drawn(LAYERS, 0.01)))
    assert rows["claim"].is_unique and rows["reference"].str.len().min() > 20
    assert set(rows["clustered_by"]) == {"documents"} and set(rows["about"]) == {"model"}
    assert rows.loc[rows["of_training"], "claim"].tolist() == ["first_token_reverses_sign"]
    assert set(rows["clusters"]) == {100}


def test_layer_0_has_no_say_where_it_has_no_path() -> None:
    lengths = np.array([NAN, 2, 1, 1, 1, 1, 1, 4])[:, None]
    assert late_over_early(lengths) == [2]
    # The late layers are those of the model, layer 0 counted: in four, the last one.
    assert late_over_early(np.array([NAN, 1, 2, 3])[:, None]) == [1.5]
    for unknown in ([NAN], [NAN, 1], [NAN] * 4):
        assert np.isnan(late_over_early(np.array(unknown)[:, None])).all()


def test_share_of_layers_is_bounded_by_layers_of_a_known_sign() -> None:
    """Of six differences, two are far above zero and one far below."""

    def differ(fourth: float) -> Resamples:
        differences = np.array([NAN, 1, 1, 0.1, fourth, -0.1, -1])
        return drawn({"r_mlp": differences, "r_attn": 0 * differences}, 0.1)

    found = share_followed(differ(0.1))
    assert (found.effect, found.low, found.high) == pytest.approx((4 / 6, 2 / 6, 5 / 6))
    assert found.clusters == 100
    # Simultaneously: 2.3 standard errors are enough for one difference, and not enough for one of six.
    error = jackknife_error(np.subtract(*differ(0.1).of("jackknife", "r_mlp", "r_attn")))[4]
    edge = student_quantile(99, ALPHA / 6)
    assert student_quantile(99) < 2.3 < edge
    for errors, low, high in ((2.3, 2, 5), (edge * 1.01, 3, 5), (-2.3, 2, 5), (-edge * 1.01, 2, 4)):
        found = share_followed(differ(errors * error))
        assert (found.low, found.high) == pytest.approx((low / 6, high / 6))
    for unknown in (np.array([NAN]), np.array([NAN, 0.1, NAN])):
        assert np.isnan(share_followed(drawn({"r_mlp": unknown, "r_attn": unknown}, 0.1)).effect)


@pytest.mark.slow
def test_share_of_layers_without_a_difference_is_rarely_decided() -> None:
    """In at most 5% of samples, any of ten layers without a difference is found to have one."""
    rng, sets = np.random.default_rng(0), 150
    decided = 0
    for seed in range(sets):
        resamples = drawn({"r_mlp": 0.1 * rng.normal(size=11), "r_attn": np.zeros(11)}, 0.1 / np.sqrt(2), seed=seed)
        found = share_followed(resamples)
        decided += found.low > 0 or found.high < 1
    low, high = scipy.stats.binom.ppf([0.005, 0.995], sets, 0.05)
    assert low <= decided <= high


@pytest.mark.parametrize(
    ("signed", "folded"),
    [
        (Estimate(0.3, 0.1, 0.5), (0.3, 0.1, 0.5)),
        (Estimate(-0.3, -0.5, -0.1), (0.3, 0.1, 0.5)),
        (Estimate(-0.1, -0.3, 0.1), (0.1, 0, 0.3)),
        (Estimate(0.1, -0.1, 0.3), (0.1, 0, 0.3)),
    ],
)
def test_interval_of_an_absolute_value_is_folded_at_zero(signed: Estimate, folded: tuple[float, ...]) -> None:
    found = absolute(signed)
    assert (found.effect, found.low, found.high) == folded


def test_absolute_value_of_an_unknown_effect_is_unknown() -> None:
    found = absolute(Estimate(0.1, NAN, NAN))
    assert np.isnan([found.low, found.high]).all()


def test_claims_on_paths_with_a_signal(tmp_path: Path) -> None:
    """Eight layers: the residual stream follows the MLP, the last two move furthest, first tokens are outliers."""
    rng = np.random.default_rng(0)
    sequences, length, layers = 40, 20, 8
    tokens = tokens_of(sequences, length, np.repeat(np.arange(40), 20))
    further, first = np.array([1, 1, 1, 1, 1, 1, 3, 4])[:, None], tokens.position == 0
    values = {name: 10 * further + rng.normal(size=(layers, 800)) for name in QUANTITIES}
    values["path_mlp"] = values["path_resid"] + 0.1 * rng.normal(size=(layers, 800))
    values["step_mlp"] *= 2
    values["cosine_attn_mlp"] = 0.02 + 0.1 * rng.normal(size=(layers, 800))
    values["path_mlp"][:, first] -= 30
    values["path_resid"][:, first] += 30
    values["path_attn"][0] = values["path_mlp"][0] = NAN
    table = resampled(tmp_path, values, tokens)
    claims = claims_table({"m": table}, []).set_index("claim")
    assert claims.loc["last_layers_largest_step_resid", "effect"] == pytest.approx(4, abs=0.1)
    assert claims.loc["mlp_step_larger", "effect"] == pytest.approx(2, abs=0.05)
    assert claims.loc["mlp_follows_more", ["effect", "low", "high"]].tolist() == [1, 1, 1]
    assert set(claims["clusters"]) == {40}
    # A twentieth of the tokens moves from one end of the ranks to the other.
    steady = claims.loc["spearman_steady"]
    assert (steady["verdict"], steady["effect"] > 0.2) == ("not supported", True)
    assert (claims["verdict"].drop("spearman_steady") == "supported").all()
    # A mean of independent values has the classical standard error.
    of = table[(table["statistic"] == "cosine") & (table["layer"] == 3) & (table["kind"] == "jackknife")]["value"]
    assert jackknife_error(of.to_numpy()) == pytest.approx(0.1 / np.sqrt(40 * 19), rel=0.3)


def test_claims_about_training_are_not_supported_by_noise(tmp_path: Path) -> None:
    values = with_document_effects(np.random.default_rng(5), 8, np.repeat(np.arange(40), 20), 0.4)
    values["path_attn"][0] = values["path_mlp"][0] = NAN
    found = claims_table({"m": resampled(tmp_path, values, tokens_of(40, 20, np.repeat(np.arange(40), 20)))}, ["m"])
    assert "supported" not in set(found.loc[found["of_training"], "verdict"])
