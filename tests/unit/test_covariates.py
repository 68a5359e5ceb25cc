"""Classes of token types, and covariates of tokens: what they are, and that the sample plays no part in them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from texts import PARTIAL, SPECIAL, TYPES, Text, covariates_of, table_of_types, text_of

from layerscope.stats.splines import INTERIOR_KNOTS, spline_basis
from layerscope.stats.weighted_median import weighted_median
from layerscope.summarize.covariates import ONE, POSITION, Covariates, orthogonal, scaled
from layerscope.summarize.token_classes import NO_CLASS, token_classes


def types_with(counts: list[int], characters: list[int] | None = None, **changes: list[bool]) -> pd.DataFrame:
    number = len(counts)
    table = {"characters": characters or [4] * number, "corpus_count": counts}
    kinds = {name: [False] * number for name in ("leading_space", "special", "partial")}
    return pd.DataFrame(table | kinds | changes)


def left_out(types: pd.DataFrame) -> np.ndarray:
    return np.isin(np.arange(len(types)), (SPECIAL, *PARTIAL))


def test_of_types_that_are_equally_frequent_the_first_have_classes() -> None:
    assert token_classes(types_with([3, 7, 3, 3, 7, 0]), 3).tolist() == [0, 1, 14, 14, 4, 14]


def test_special_and_partial_types_have_no_class_however_frequent_they_are() -> None:
    types = types_with([9, 8, 7, 6], special=[True, False, False, False], partial=[False, True, False, False])
    assert NO_CLASS == -1
    assert token_classes(types, 0).tolist() == [-1, -1, 12, 12]
    assert token_classes(types, 1).tolist() == [-1, -1, 2, 12]  # they are not among the most frequent
    assert token_classes(types, 4).tolist() == [-1, -1, 2, 3]


def test_rare_types_share_the_class_of_their_length_and_leading_space() -> None:
    types = types_with([0] * 4, characters=[3, 3, 3, 4], leading_space=[False, True, True, False])
    found = token_classes(types, 0)
    assert found.dtype == np.int32
    assert found.tolist() == [4 + 6, 4 + 7, 4 + 7, 4 + 8]


@pytest.mark.parametrize("most", [0, 1, 13, TYPES - 3, TYPES, 10 * TYPES])
def test_the_most_frequent_types_have_a_class_of_their_own(most: int) -> None:
    types = table_of_types(0)
    found = token_classes(types, most)
    assert ((found == NO_CLASS) == left_out(types)).all()
    own = np.flatnonzero(found == np.arange(TYPES))
    ranked = sorted(np.flatnonzero(~left_out(types)), key=lambda i: (-types["corpus_count"][i], i))
    assert own.tolist() == sorted(ranked[:most])
    for bucket in set(found) - set(own) - {NO_CLASS}:
        assert bucket >= TYPES  # so that no bucket is taken for a type
        members = types[found == bucket]
        assert members["characters"].nunique() == members["leading_space"].nunique() == 1


def test_more_classes_divide_buckets_and_leave_classes_alone() -> None:
    types = table_of_types(1)
    few, many = token_classes(types, 10), token_classes(types, 30)
    own = few < TYPES
    assert (many[own] == few[own]).all()
    assert (many[~own & (many >= TYPES)] == few[~own & (many >= TYPES)]).all()


def test_the_sample_plays_no_part() -> None:
    one, other = text_of(3, 4, 32), text_of(3, 40, 32)
    assert not one.types.equals(other.types)  # the counts in the sample differ
    assert np.array_equal(token_classes(one.types, 9), token_classes(other.types, 9))
    assert np.array_equal(covariates_of(one).of_types, covariates_of(other).of_types)


@pytest.fixture(scope="module")
def text() -> Text:
    return text_of(4, 20, 32)


def test_names_say_what_the_columns_are(text: Text) -> None:
    covariates, types = covariates_of(text), text.types
    names = covariates.names
    assert names[:5] == (ONE, "characters", "characters_below", "characters_above", "log_frequency")
    assert names[-2:] == ("leading_space", POSITION) and len(set(names)) == len(names)
    assert all(name == f"frequency_spline_{i}" for i, name in enumerate(names[5:-2], start=1))
    assert covariates.of_types.shape == (TYPES, len(names) - 1)
    column = dict(zip(names, covariates.of_types.T, strict=False))
    keep = ~left_out(types)
    median = np.median(np.repeat(types["characters"][keep], types["corpus_count"][keep]))
    assert np.array_equal(column[ONE], keep)
    assert np.array_equal(column["characters_below"], keep & (types["characters"] < median))
    assert np.array_equal(column["characters_above"], keep & (types["characters"] > median))
    for name, values in (
        ("characters", types["characters"]),
        ("log_frequency", np.log1p(types["corpus_count"])),
        ("leading_space", types["leading_space"].astype(float)),
    ):
        assert np.corrcoef(column[name][keep], values[keep])[0, 1] == pytest.approx(1, abs=1e-12), name


def test_covariates_have_mean_zero_and_variance_one_over_counted_tokens(text: Text) -> None:
    covariates, types = covariates_of(text), text.types
    counts = np.where(left_out(types), 0, types["corpus_count"])
    of_tokens = np.repeat(covariates.of_types, counts, axis=0)
    for name in ("characters", "leading_space"):
        values = of_tokens[:, covariates.names.index(name)]
        assert values.mean() == pytest.approx(0, abs=1e-12) and values.std() == pytest.approx(1, abs=1e-12), name


def test_frequency_covariates_are_orthogonal_over_tokens_of_one_more_than_their_counts(text: Text) -> None:
    covariates, types = covariates_of(text), text.types
    of_tokens = np.repeat(covariates.of_types, np.where(left_out(types), 0, 1 + types["corpus_count"]), axis=0)
    given = [i for i, name in enumerate(covariates.names) if name == ONE or "frequency" in name]
    gram = of_tokens[:, given].T @ of_tokens[:, given] / len(of_tokens)
    assert gram == pytest.approx(np.eye(len(given)), abs=1e-12)


def test_orthogonal_variables_are_those_that_are_no_combination_of_others() -> None:
    rng = np.random.default_rng(0)
    a, b, counts = rng.normal(size=50), rng.normal(size=50), rng.integers(0, 5, 50)
    some = counts > 0
    found = orthogonal([a, a + 1e-4 * b, 3 * a - b, b], counts)
    assert len(found) == 2
    gram = [[np.average(x * y, weights=counts) for x in found] for y in found]
    assert np.array(gram) == pytest.approx(np.eye(2), abs=1e-12)
    assert np.linalg.matrix_rank(np.column_stack([*found, a, b, np.ones(50)])[some], tol=1e-6) == 3


def test_left_out_tokens_have_covariates_of_zero(text: Text) -> None:
    z = covariates_of(text).of_tokens(text.tokens, text.length)
    assert z.shape == (len(text.tokens), len(covariates_of(text).names)) and z.dtype == np.float64
    assert (~text.keep).any() and (z[~text.keep] == 0).all() and (z[text.keep, 0] == 1).all()


@pytest.mark.parametrize("length", [1, 2, 512])
def test_position_is_centred_and_scaled_within_the_sequence(length: int) -> None:
    text = text_of(5, 3, length)
    position = covariates_of(text).of_tokens(text.tokens, length)[:, -1]
    expected = (np.arange(length) - (length - 1) / 2) * np.sqrt(12) / length
    assert position == pytest.approx(np.where(text.keep, np.tile(expected, 3), 0), abs=1e-14)
    if length == 512:
        assert np.std(expected) == pytest.approx(1, abs=1e-5) and expected.mean() == pytest.approx(0, abs=1e-12)


def test_frequency_covariates_span_every_cubic_and_the_splines(text: Text) -> None:
    """With the constant. So a line, or any curve that is smooth in log frequency, is taken out."""
    covariates, types = covariates_of(text), text.types
    given = [i for i, name in enumerate(covariates.names) if name == ONE or "frequency" in name]
    keep = ~left_out(types)
    columns = covariates.of_types[keep][:, given]
    x = np.log1p(types["corpus_count"].to_numpy())
    counts = np.where(keep, types["corpus_count"], 0)
    splines = spline_basis(x, counts)
    assert len(given) == splines.shape[1] == np.linalg.matrix_rank(columns) > 5
    for curve in (*(x**power for power in range(4)), *splines.T):
        fit = columns @ np.linalg.lstsq(columns, curve[keep], rcond=None)[0]
        assert fit == pytest.approx(curve[keep], abs=1e-10 * abs(curve).max())


def test_more_than_one_property() -> None:
    text = text_of(6, 2, 16)
    rng = np.random.default_rng(0)
    properties = {"characters": text.types["characters"].to_numpy(float), "valence": rng.normal(size=TYPES)}
    found = Covariates.of(text.types, properties)
    assert found.names[1:7] == tuple(f"{name}{side}" for name in properties for side in ("", "_below", "_above"))
    alone = covariates_of(text)
    for name in alone.names[:-1]:
        assert np.array_equal(found.of_types[:, found.names.index(name)], alone.of_types[:, alone.names.index(name)])


@pytest.mark.parametrize("counted", [0, 1, 4])
def test_types_of_few_or_no_counts_have_finite_covariates(counted: int) -> None:
    """With too few counts for a curve, frequency is a line."""
    types = table_of_types(7)
    types["corpus_count"] = np.where(np.arange(TYPES) < 3 + counted, 5, 0)
    text = Text(types, text_of(7, 2, 16).tokens, 16)
    covariates = covariates_of(text)
    assert np.isfinite(covariates.of_types).all()
    assert not any("spline" in name for name in covariates.names)


def test_weights_of_splines_are_how_often_each_value_counts() -> None:
    rng = np.random.default_rng(0)
    x, weights = rng.permutation(np.linspace(0, 9, 40)), rng.integers(1, 30, 40)
    knots = [np.sort(np.repeat(x, weights))[int(np.ceil(q * weights.sum())) - 1] for q in INTERIOR_KNOTS]
    basis = spline_basis(x, weights)
    assert basis.shape == (40, 4 + len(knots)) and basis.sum(axis=1) == pytest.approx(np.ones(40))
    # A cubic on either side of a knot, with two continuous derivatives there, and of no other place.
    for place, inside in ((knots[0], True), (knots[2], True), (knots[0] / 2 + knots[1] / 2, False)):
        curve = np.maximum(x - place, 0) ** 3
        rest = curve - basis @ np.linalg.lstsq(basis, curve, rcond=None)[0]
        assert (abs(rest).max() < 1e-9 * curve.max()) == inside


def test_values_that_count_nothing_move_no_knot() -> None:
    x = np.linspace(0, 1, 50)
    weights = np.where(np.arange(50) % 2, 3, 0)
    more = np.where(np.arange(50) % 2, 3, 0) * 7
    assert np.array_equal(spline_basis(x, weights), spline_basis(x, more))
    assert not np.allclose(spline_basis(x, weights)[1:-1], spline_basis(x, np.arange(50))[1:-1])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(0, 6)), min_size=1, max_size=20))
def test_weighted_median_is_that_of_the_repeated_values(pairs: list[tuple[int, int]]) -> None:
    values, counts = map(np.array, zip(*pairs, strict=True))
    repeated = np.repeat(values, counts)
    found = weighted_median(values / 2, counts)
    assert np.isnan(found) if not len(repeated) else found == np.median(repeated / 2)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.integers(0, 6)), min_size=1, max_size=20))
def test_scaled_values_are_standard_scores_over_tokens(pairs: list[tuple[float, int]]) -> None:
    values, counts = np.array([v for v, _ in pairs]), np.array([n for _, n in pairs])
    repeated = np.repeat(values, counts)
    found = scaled(values, counts)
    if not len(repeated):
        assert np.array_equal(found, values)
    elif repeated.std() > 1e-9 * (1 + abs(repeated).max()):
        expected = (values - repeated.mean()) / repeated.std()
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-6 * abs(expected).max())
    assert np.isfinite(found).all()


@pytest.mark.parametrize("value", [3.0, 0.1, np.log1p(5), -1e5 / 3])
def test_a_property_that_does_not_vary_over_counted_tokens_is_only_centred(value: float) -> None:
    """The rounding of its mean is no spread to divide by."""
    for count in range(1, 12):
        values, counts = np.full(8, value), np.full(8, count)
        values[7], counts[7] = 0, 0
        assert scaled(values, counts) == pytest.approx([0.0] * 7 + [-value], abs=1e-10, rel=1e-12)
