"""Claims on the tokenizer and the sample: intervals by hand, their coverage, and both verdicts."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from layerscope.stats.claims import Estimate, evaluate
from layerscope.studies.token_length.lengths_by_document import lengths_by_document
from layerscope.studies.token_length.sample_claims import SAMPLE_CLAIMS, SampleLengths, median_length, share_of_tokens
from layerscope.tokenize.token_shards import Tokens


def sample_of(lengths: list[np.ndarray]) -> SampleLengths:
    """Of documents with tokens of the given lengths."""
    table = pd.DataFrame(
        {"document": np.repeat(np.arange(len(lengths)), [len(of) for of in lengths]), "length": np.concatenate(lengths)}
    )
    return SampleLengths(table.value_counts(sort=False).reset_index())


def of_length(length: int) -> Callable[[SampleLengths], Estimate]:
    return share_of_tokens(lambda of: of.lengths == length)


def test_tokens_that_take_part_are_counted_by_document_and_length() -> None:
    vocabulary = pd.DataFrame({"characters": [13, 1, 4, 6], "special": [1, 0, 0, 0], "partial": [0, 1, 0, 0]})
    vocabulary[["special", "partial"]] = vocabulary[["special", "partial"]].astype(bool)
    vocabulary["corpus_count"] = 1
    ids = np.array([0, 2, 3, 2, 1, 2, 0, 3], dtype=np.int32)
    documents = np.array([0, 0, 0, 0, 0, 7, 7, 7], dtype=np.int32)
    table = lengths_by_document(vocabulary, Tokens(ids, ids, ids, documents))
    found = {(row.document, row.length): row.count for row in table[["document", "length", "count"]].itertuples()}
    counts = dict(zip(zip(table["document"], table["length"], strict=True), table["count"], strict=True))
    assert counts == {(0, 4): 2, (0, 6): 1, (7, 4): 1, (7, 6): 1} and len(found) == 4
    sample = SampleLengths(table)
    assert sample.documents == 2
    assert sample.lengths.tolist() == [4, 6] and sample.counts.tolist() == [[2, 1], [1, 1]]


def test_korn_and_graubards_interval_by_hand() -> None:
    """Clopper and Pearson's as quantiles of F, for as many tokens as the documents are worth."""
    rng = np.random.default_rng(0)
    lengths = [rng.choice([3, 4], rng.integers(5, 60), p=[1 - p, p]) for p in rng.beta(2, 5, 40)]
    found = of_length(4)(sample_of(lengths))
    tokens, total = np.array([len(of) for of in lengths]), sum(map(len, lengths))
    share = np.concatenate(lengths).tolist().count(4) / total
    without = [
        np.mean(np.concatenate([of for other, of in enumerate(lengths) if other != number]) == 4)
        for number in range(40)
    ]
    variance = 39 / 40 * np.sum((without - np.mean(without)) ** 2)
    df = total**2 / (tokens**2).sum() - 1
    quantile = [scipy.stats.t.ppf(0.975, of) for of in (total - 1, df)]
    worth = share * (1 - share) / variance * (quantile[0] / quantile[1]) ** 2
    assert worth < 0.5 * total
    seen = worth * share
    low_freedom, high_freedom = (2 * seen, 2 * (worth - seen + 1)), (2 * (seen + 1), 2 * (worth - seen))
    f_low, f_high = scipy.stats.f.ppf(0.025, *low_freedom), scipy.stats.f.ppf(0.975, *high_freedom)
    low = low_freedom[0] * f_low / (low_freedom[1] + low_freedom[0] * f_low)
    high = high_freedom[0] * f_high / (high_freedom[1] + high_freedom[0] * f_high)
    assert (found.effect, found.low, found.high) == pytest.approx((share, low, high))
    assert found.clusters == 40


def test_documents_are_worth_no_more_than_their_tokens() -> None:
    """All alike but one: then the interval is Clopper and Pearson's of all tokens, as scipy gives it."""
    lengths = [np.array([3, 4, 3, 3])] * 40
    found = of_length(4)(sample_of(lengths))
    expected = scipy.stats.binomtest(40, 160).proportion_ci(method="exact")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("length", [3, 17])
def test_none_and_all_have_an_end_by_the_number_of_tokens(length: int) -> None:
    """Of n tokens of which none is, no more than 1 - 0.025^(1/n) are."""
    found = of_length(length)(sample_of([np.full(10, 3)] * 40))
    edge = 1 - 0.025 ** (1 / 400)
    assert (found.low, found.high) == pytest.approx((0, edge) if length == 17 else (1 - edge, 1))
    assert found.effect == (length == 3)


def test_one_document_has_a_share_and_no_interval(recwarn: pytest.WarningsRecorder) -> None:
    sample = sample_of([np.array([3, 4, 4, 17])])
    rows = evaluate(SAMPLE_CLAIMS, "s", "t", False, sample)
    assert {row["verdict"] for row in rows} == {"undetermined"}
    assert of_length(4)(sample).effect == 0.5
    assert not recwarn.list


def test_the_interval_of_a_share_holds_it() -> None:
    """Of documents that differ, in at least 95% of samples; an interval of independent tokens in far fewer."""
    rng, sets = np.random.default_rng(1), 150
    held, naive = [], []
    for _ in range(sets):
        tokens = rng.integers(10, 80, 40)
        hits = rng.binomial(tokens, rng.beta(3, 12, 40))
        table = pd.DataFrame({"document": np.tile(np.arange(40), 2), "length": np.repeat([4, 3], 40)})
        found = of_length(4)(SampleLengths(table.assign(count=np.r_[hits, tokens - hits])))
        held.append(found.low <= 0.2 <= found.high)
        seen, total = hits.sum(), tokens.sum()
        plain = scipy.stats.beta.ppf([0.025, 0.975], [seen, seen + 1], [total - seen + 1, total - seen])
        naive.append(plain[0] <= 0.2 <= plain[1])
    assert scipy.stats.binom.ppf(0.002, sets, 0.95) / sets <= np.mean(held) < 1
    assert np.mean(naive) < 0.85


def test_the_median_and_its_interval_are_of_samples_of_as_many_documents() -> None:
    rng = np.random.default_rng(2)
    lengths = [rng.integers(1, 4 + rng.integers(1, 8), rng.integers(5, 30)) for _ in range(35)]
    found = median_length(sample_of(lengths))
    assert found.effect == np.median(np.concatenate(lengths))
    medians = [np.median(np.concatenate([lengths[i] for i in rng.integers(0, 35, 35)])) for _ in range(2000)]
    # Medians move in steps of a half.
    assert (found.low, found.high) == pytest.approx(np.quantile(medians, [0.025, 0.975]), abs=0.5)
    assert found.low < found.high
    assert found.clusters == 35


def verdicts(lengths: list[np.ndarray]) -> dict[str, str]:
    return {row["claim"]: row["verdict"] for row in evaluate(SAMPLE_CLAIMS, "s", "t", False, sample_of(lengths))}


def documents(shares: dict[int, float], number: int = 60, tokens: int = 200, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.choice(list(shares), tokens, p=list(shares.values())) for _ in range(number)]


USUAL = {1: 0.2, 3: 0.24, 4: 0.125, 6: 0.435}


@pytest.mark.parametrize(
    ("name", "otherwise"),
    [
        ("lengths_1_to_16", {1: 0.2, 3: 0.24, 4: 0.125, 6: 0.43, 17: 0.005}),
        ("median_length_4", {1: 0.2, 3: 0.2, 4: 0.05, 5: 0.1, 6: 0.45}),
        ("one_in_eight_at_median", {1: 0.2, 3: 0.24, 4: 0.2, 6: 0.36}),
        ("one_in_eight_at_median", {1: 0.2, 3: 0.27, 4: 0.07, 6: 0.46}),
    ],
)
def test_claims_on_the_sample_follow_it(name: str, otherwise: dict[int, float]) -> None:
    assert verdicts(documents(USUAL))[name] == "supported"
    assert verdicts(documents(otherwise))[name] == "not supported"
    # Documents that differ much say little, and too few nothing.
    apart = [np.full(200, length) for length in np.resize([4, *[3] * 7, 4, *[6] * 7], 32)]
    apart[5][:2] = 17
    assert set(verdicts(apart).values()) == {"undetermined"}
    assert set(verdicts(documents(USUAL, number=29)).values()) == {"undetermined"}


def test_no_long_token_in_a_small_sample_leaves_the_claim_open() -> None:
    """Where of 3,687 tokens none is, one in a thousand may be."""
    assert 1 - 0.025 ** (1 / 3687) > 0.001 > 1 - 0.025 ** (1 / 3688)
    for tokens, expected in ((3687, "undetermined"), (3688, "supported")):
        split = np.array_split(np.resize([3, 4, 5], tokens), 40)
        assert verdicts(split)["lengths_1_to_16"] == expected


def test_what_the_claims_are_about() -> None:
    rows = evaluate(SAMPLE_CLAIMS, "token_length", "tokenizer t", False, sample_of(documents(USUAL)))
    assert {row["about"] for row in rows} == {"sample"}
    assert {row["clustered_by"] for row in rows} == {"documents"}
    assert not any(row["of_training"] for row in rows)
    assert [row["criterion"] for row in rows] == ["effect < 0.001", "3.5 < effect < 4.5", "0.1 < effect < 0.15"]
