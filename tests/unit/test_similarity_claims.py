"""Claims of token_similarity: the jackknife against a plain computation, and data with a known answer."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from layerscope.studies.token_similarity.claims import CLAIMS, claims_table, independent
from layerscope.studies.token_similarity.jackknife import jackknife_layer, shuffled_without

Vectors = dict[str, np.ndarray]


def vectors(
    sentences: int, width: int, shared: float, mean: float, rng: np.random.Generator, scale: float = 1.0
) -> Vectors:
    """Dimensions with means of either sign that share the fraction ``shared`` of their variance over sentences."""
    common = np.sqrt(shared) * rng.normal(size=(sentences, 1))

    def dimensions() -> np.ndarray:
        own = np.sqrt(1 - shared) * rng.normal(size=(sentences, width))
        return scale * (mean * rng.choice([-1, 1], width) + common + own)

    return {site: dimensions() for site in "qkv"}


def jackknifed_layers(layers: list[Vectors], seed: int = 0) -> pd.DataFrame:
    return pd.concat([jackknife_layer(of, seed).assign(layer=layer) for layer, of in enumerate(layers)])


def judged(layers: list[Vectors], seed: int = 0) -> pd.DataFrame:
    """Rows of claims.csv by the claim's name."""
    return claims_table({"m": jackknifed_layers(layers, seed)}, []).set_index("claim")


def mean_of_blocks(vectors: Vectors) -> float:
    """Mean absolute cosine over pairs, from the whole matrix, averaged over the six blocks."""
    stacked = np.concatenate([vectors[site] for site in "qkv"], axis=1)
    norms = np.linalg.norm(stacked, axis=0)
    cosines = np.abs(stacked.T @ stacked) / np.outer(norms, norms)
    parts = np.split(np.arange(len(cosines)), np.cumsum([vectors[site].shape[1] for site in "qk"]))
    blocks = [cosines[np.ix_(p, p)][np.triu_indices(len(p), 1)].mean() for p in parts]
    return float(np.mean(blocks + [cosines[np.ix_(parts[i], parts[j])].mean() for i, j in ((0, 1), (0, 2), (1, 2))]))


def test_jackknife_equals_leaving_out_by_hand() -> None:
    """With more dimensions than are processed at a time, sites of different widths, and one zero dimension."""
    rng = np.random.default_rng(0)
    of = vectors(12, 150, 0.3, 1.0, rng)
    of["k"], of["v"] = of["k"][:, :70], 3 * of["v"][:, :64]
    table = jackknife_layer(of | {"q": np.insert(of["q"], 3, 0.0, axis=1)}, 0).set_index("resample")
    assert list(table.index) == list(range(-1, 12))
    for left_out in (-1, 0, 5, 11):
        kept = {site: array[np.arange(12) != left_out] for site, array in of.items()}
        assert table.loc[left_out, "similarity"] == pytest.approx(mean_of_blocks(kept), rel=1e-12)
        variances = [array.var(axis=0, ddof=1).mean() for array in kept.values()]
        variances[0] *= 150 / 151
        assert table.loc[left_out, "log_variance"] == pytest.approx(np.mean(np.log(variances)), rel=1e-12)


def test_shuffled_keeps_each_dimension_and_nothing_that_they_share() -> None:
    rng = np.random.default_rng(0)
    # One direction for all: every cosine is ±1, and like that of independent values after shuffling.
    one = {site: rng.normal(size=(40, 1)) * np.ones((40, 30)) for site in "qkv"}
    table = jackknife_layer({site: one["q"] for site in "qkv"}, 0)
    np.testing.assert_allclose(table["similarity"], 1)
    np.testing.assert_allclose(table["shuffled"], independent(table["sentences"]), rtol=0.1)
    # Means that are large compared with spreads are all that makes these similar.
    table = jackknife_layer(vectors(40, 30, 0, 3, rng), 0)
    np.testing.assert_allclose(table["shuffled"], table["similarity"], rtol=0.01)


@pytest.mark.parametrize("left_out", [[], [0], [8], [1, 4, 8]])
def test_a_shuffle_without_a_sentence_is_the_same_shuffle(left_out: list[int]) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(9, 20))
    order = rng.permuted(np.indices(values.shape)[0], axis=0)
    gone = np.isin(np.arange(9), left_out)
    found, whole = shuffled_without(values, order, gone), np.take_along_axis(values, order, axis=0)
    np.testing.assert_array_equal(np.sort(found, axis=0), np.sort(values[~gone], axis=0))
    moved = (found != whole[: len(found)]).sum(axis=0)
    assert (moved == gone[order[: len(found)]].sum(axis=0)).all()  # only those that replace what is left out


def test_of_very_many_sentences_groups_are_left_out() -> None:
    rng = np.random.default_rng(0)
    of = vectors(430, 6, 0.5, 1, rng)
    table = jackknife_layer(of, 0).set_index("resample")
    assert list(table.index) == list(range(-1, 200))
    assert table["sentences"].tolist() == [430] + [427] * 30 + [428] * 170
    kept = {site: array[np.arange(430) % 200 != 7] for site, array in of.items()}
    assert table.loc[7, "similarity"] == pytest.approx(mean_of_blocks(kept))
    row = claims_table({"m": table.reset_index().assign(layer=0)}, []).set_index("claim").loc["early_cosines_extreme"]
    assert row["clusters"] == 430


def test_similarity_that_falls_with_its_means_alone() -> None:
    """The first layer has large means compared with its spreads, the last has none; neither shares anything."""
    rng = np.random.default_rng(0)
    claims = judged([vectors(54, 60, 0, mean, rng) for mean in (3, 1, 0)])
    assert claims.loc["similarity_falls", "verdict"] == "supported"
    assert claims.loc["similarity_falls_to_zero", "verdict"] == "supported"
    assert claims.loc["fall_beyond_mean_over_spread", "verdict"] == "undetermined"
    assert (claims["clusters"] == 54).all() and (claims["clustered_by"] == "sentences").all()
    assert (claims["reference"].str.len() > 20).all()


def test_similarity_that_falls_because_less_is_shared() -> None:
    rng = np.random.default_rng(0)
    claims = judged([vectors(54, 60, shared, 0, rng) for shared in (0.95, 0.6)])
    for name in ("similarity_falls", "fall_beyond_mean_over_spread"):
        assert claims.loc[name, "verdict"] == "supported"
    assert claims.loc["similarity_falls_to_zero", "verdict"] == "not supported"


def test_vectors_that_position_alone_tells_apart_share_more_and_are_no_sign_of_training() -> None:
    """The first layer has a third as many distinct vectors as sentences."""
    rng = np.random.default_rng(0)
    of_positions, places = vectors(18, 60, 0, 0.5, rng), rng.integers(18, size=54)
    first = {site: array[places] for site, array in of_positions.items()}
    name = "fall_beyond_mean_over_spread"
    assert judged([first, vectors(54, 60, 0, 0.5, rng)]).loc[name, "verdict"] == "supported"
    assert not next(claim for claim in CLAIMS if claim.name == name).of_training


@pytest.mark.parametrize(("mean", "verdict"), [(10, "supported"), (2, "not supported")])
def test_claim_on_the_first_layer(mean: float, verdict: str) -> None:
    """The last layer is the other way round."""
    rng = np.random.default_rng(0)
    claims = judged([vectors(40, 30, 0, m, rng) for m in (mean, 20 / mean)])
    assert claims.loc["early_cosines_extreme", "verdict"] == verdict
    x = mean**2 / (1 + mean**2)  # cosine of two dimensions with that ratio of mean to spread
    assert claims.loc["early_cosines_extreme", "effect"] == pytest.approx(x, rel=0.02)


def test_claim_on_the_variance_takes_the_outer_quarters() -> None:
    """Of nine layers: 0 and 1, and 7 and 8; each site counts equally."""
    rng = np.random.default_rng(0)
    scales = np.array([1, 1, 9, 9, 9, 9, 9, 2, 2.0])
    layers = [vectors(40, 30, 0.2, 1, rng, scale) for scale in scales]
    rising = [of | {"v": 1e3 * of["v"]} for of in layers]
    claims, back = judged(rising), judged(rising[::-1])
    assert claims.loc["variance_rises", "effect"] == pytest.approx(2 * np.log(2), abs=0.2)
    assert claims.loc["variance_rises", "verdict"] == "supported"
    assert back.loc["variance_rises", "effect"] == -claims.loc["variance_rises", "effect"]
    assert back.loc["variance_rises", "verdict"] == "not supported"


@pytest.mark.filterwarnings("error")
def test_a_first_layer_without_variance_leaves_its_rise_undefined() -> None:
    """A fixed token in the first layer of a model with rotary positions."""
    rng = np.random.default_rng(0)
    first = {site: array[:1].repeat(40, axis=0) for site, array in vectors(40, 10, 0, 1, rng).items()}
    claims = judged([first, vectors(40, 10, 0, 1, rng)])
    assert claims.loc["variance_rises", "verdict"] == "undetermined"
    assert claims.loc["variance_rises", "reason"] == "the effect or its interval is not defined"
    assert claims.loc["early_cosines_extreme", "effect"] == pytest.approx(1)


@pytest.mark.filterwarnings("error")
def test_a_model_of_one_layer_does_not_fall_or_rise() -> None:
    claims = judged([vectors(40, 10, 0.3, 1, np.random.default_rng(0))])
    assert claims.loc["similarity_falls", "verdict"] == "not supported"
    assert claims.loc["variance_rises", "verdict"] == "undetermined"


def test_few_sentences_decide_nothing() -> None:
    rng = np.random.default_rng(0)
    claims = judged([vectors(29, 20, shared, 0, rng) for shared in (0.95, 0.1)])
    assert (claims["verdict"] == "undetermined").all()
    assert (claims["reason"] == "29 sentences, and an interval takes at least 30").all()


def test_the_interval_is_that_of_the_jackknife() -> None:
    rng = np.random.default_rng(0)
    table = jackknifed_layers([vectors(30, 20, shared, 1, rng) for shared in (0.5, 0.1)])
    row = claims_table({"m": table}, []).set_index("claim").loc["similarity_falls"]
    values = table.pivot_table(index="resample", columns="layer", values="similarity")
    falls = (values[0] - values[1]).to_numpy()
    assert row["effect"] == falls[0]
    half = scipy.stats.t.ppf(0.975, 29) * np.sqrt(29 / 30 * ((falls[1:] - falls[1:].mean()) ** 2).sum())
    assert (row["low"], row["high"]) == pytest.approx((falls[0] - half, falls[0] + half))


@pytest.mark.slow
def test_intervals_cover_a_fall_of_zero_as_often_as_they_say() -> None:
    """100 pairs of layers of one distribution: 99% of the binomial distribution is between 89 and 99."""
    rng = np.random.default_rng(0)
    found = pd.concat([judged([vectors(30, 8, 0.3, 1, rng) for _ in range(2)], seed) for seed in range(100)])
    for name in ("similarity_falls", "fall_beyond_mean_over_spread"):
        rows = found.loc[name]
        assert 89 <= ((rows["low"] <= 0) & (rows["high"] >= 0)).sum() <= 99
        assert (rows["verdict"] == "supported").sum() <= 7  # 99.9% of the binomial distribution of 100 at 2.5%


def test_the_seed_of_the_shuffles_decides_nothing() -> None:
    rng = np.random.default_rng(0)
    layers = [vectors(54, 60, shared, 0.5, rng) for shared in (0.5, 0.2)]
    name = "fall_beyond_mean_over_spread"
    found = [judged(layers, seed).loc[name] for seed in range(10)]
    assert {row["verdict"] for row in found} == {"supported"}
    assert found[0]["effect"] != found[1]["effect"]
    error = (found[0]["high"] - found[0]["effect"]) / scipy.stats.t.ppf(0.975, 53)
    assert np.std([row["effect"] for row in found], ddof=1) < 0.1 * error


def test_independent_directions_have_the_expected_cosine() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 20000, 54))
    cosines = np.abs((x * y).sum(1)) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1)
    assert independent(pd.Series([54]))[0] == pytest.approx(cosines.mean(), rel=0.02)
