"""Clusters left out in turn: against the rest of the sample by hand, and known standard errors."""

import numpy as np
import pytest
import scipy.stats
from samples import DOCUMENTS, TOKENS, Sample

from layerscope.stats.jackknife import (
    MOST,
    Groups,
    Jackknife,
    JackknifePearson,
    coarser,
    effective_number,
    jackknife_error,
)


@pytest.fixture(scope="module")
def sample() -> Sample:
    return Sample(1)


def means_without(jackknife: Jackknife, values: np.ndarray) -> np.ndarray:
    """Means of ``values`` [..., tokens] without each group."""
    return jackknife.sums(values) / jackknife.sums(np.ones(values.shape[-1]))


def test_groups_are_summed_and_averaged() -> None:
    groups = Groups(np.array([7, 3, 7, 7]))
    assert groups.sums(np.array([[1.0, 2, 3, 4], [0, 1, 0, 0]])).tolist() == [[2, 8], [1, 0]]
    assert groups.means(np.array([1.0, 2, 3, 5])).tolist() == [2, 3]
    assert groups.first.tolist() == [1, 0]


def test_leaving_out_a_document_is_the_rest_of_the_sample(sample: Sample) -> None:
    rows = sample.noise(2)
    unit_rows, y = ((v - v.mean()) / TOKENS**0.5 for v in (rows, sample.lengths))
    jackknife = Jackknife(sample.documents)
    found = JackknifePearson(jackknife, y).of(unit_rows)
    assert found.shape == (2, DOCUMENTS)
    means = means_without(jackknife, rows)
    for document in (0, 17, DOCUMENTS - 1):
        rest = sample.documents != document
        for i in range(2):
            expected = scipy.stats.pearsonr(rows[i, rest], sample.lengths[rest]).statistic
            assert found[i, document] == pytest.approx(expected, abs=1e-12)
            assert means[i, document] == pytest.approx(rows[i, rest].mean())


def test_what_does_not_vary_without_a_group_has_no_r_there() -> None:
    labels, y = np.repeat([0, 1, 2], 4), np.tile([-1.0, 1, -1, 1], 3) / 12**0.5
    rows = np.array([[1.0, 2, 3, 5, 0, 0, 0, 0, 0, 0, 0, 0]])
    found = JackknifePearson(Jackknife(labels), y).of((rows - rows.mean()) / 12**0.5)
    assert np.isnan(found).tolist() == [[True, False, False]]


def test_many_types_are_left_out_some_together(sample: Sample) -> None:
    groups = coarser(sample.types)
    of_type = {kind: set(groups[sample.types == kind]) for kind in np.unique(sample.types)}
    assert all(len(found) == 1 for found in of_type.values())  # a type is never divided
    assert len(np.unique(groups)) == MOST < len(of_type)
    # Dealt out from the largest down: the first group has the largest type and the largest of the second round.
    by_size = sorted(of_type, key=lambda kind: (-np.sum(sample.types == kind), kind))
    assert [of_type[kind] for kind in by_size] == [{at % MOST} for at in range(len(by_size))]
    assert coarser(np.array([5, 3, 5])).tolist() == [1, 0, 1]
    assert Jackknife(sample.types).clusters == len(of_type)
    assert len(Jackknife(sample.types).groups) == MOST


def test_the_jackknife_gives_the_error_of_a_mean() -> None:
    x = np.random.default_rng(0).normal(size=50)
    assert jackknife_error(means_without(Jackknife(np.arange(50)), x)) == pytest.approx(x.std(ddof=1) / 50**0.5)


def test_the_jackknife_by_documents_is_not_misled_by_their_sizes() -> None:
    """A mean over tokens of documents with effects: its error over new text, where tokens alone say far less."""
    rng, seen, estimated, naive = np.random.default_rng(0), [], [], []
    for _ in range(400):
        documents = np.repeat(np.arange(50), rng.integers(5, 60, 50))
        x = 0.5 * rng.normal(size=50)[documents] + rng.normal(size=len(documents))
        seen.append(x.mean())
        estimated.append(jackknife_error(means_without(Jackknife(documents), x)))
        naive.append(x.std() / np.sqrt(len(x)))
    assert np.mean(np.square(estimated)) ** 0.5 == pytest.approx(np.std(seen), rel=3 / np.sqrt(2 * 400))
    assert np.mean(naive) < 0.5 * np.std(seen)


def test_effective_number_of_groups() -> None:
    assert effective_number(np.full(7, 5)) == pytest.approx(7)
    assert effective_number(np.r_[90, np.ones(10)]) == pytest.approx(100**2 / (90**2 + 10))
    assert effective_number(np.array([])) == 0
