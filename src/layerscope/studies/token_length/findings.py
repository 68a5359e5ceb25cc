"""Findings of the study: sentences whose numbers come from its tables."""

import numpy as np
import pandas as pd

from layerscope.stats.claims import FEWEST
from layerscope.studies.token_length.dip_test import SMALLEST_P
from layerscope.studies.token_length.measures import TABLE_END, of_measure, share_of_neurons

DETECTED = 0.8  # power from which a mixture counts as detected


def findings(layers: pd.DataFrame, vocabularies: dict[str, pd.DataFrame]) -> list[str]:
    """Plain sentences for the report.

    Args:
        layers: layers.csv.
        vocabularies: tokenizer → its vocabulary table with counts in the sample.
    """
    sentences = [_lengths(name, table) for name, table in vocabularies.items()]
    for model, rows in layers.groupby("model", sort=False):
        sentences += [_sign(str(model), rows), _profile(str(model), rows), _spread(str(model), rows)]
    return sentences


def _lengths(tokenizer: str, vocabulary: pd.DataFrame) -> str:
    counted = vocabulary[~(vocabulary["special"] | vocabulary["partial"]) & (vocabulary["count"] > 0)]
    excluded = vocabulary["count"].sum() - counted["count"].sum()
    lengths = counted["characters"].repeat(counted["count"])
    return (
        f"The sample holds {len(lengths):,} tokens of {tokenizer}, of {len(counted):,} types. They are "
        f"{lengths.min()} to {lengths.max()} characters long, with a median of {lengths.median():g}; {excluded:,} "
        "special tokens and pieces of characters are left out."
    )


def _sign(model: str, rows: pd.DataFrame) -> str:
    neurons = rows["neurons"] - rows["neurons_constant"]
    positive = (rows["fraction_positive"] * neurons).sum() / neurons.sum()
    tilt = "positive" if positive > 0.5 else "negative"
    constant = rows["neurons_constant"].sum()
    return (
        f"{model}: {max(positive, 1 - positive):.0%} of its {neurons.sum():,} neurons correlate {tilt}ly with token "
        f"length, the median neuron of a layer between r = {rows['r_median'].min():+.3f} and "
        f"{rows['r_median'].max():+.3f}." + (f" {constant:,} neurons never vary and have no r." if constant else "")
    )


def _profile(model: str, rows: pd.DataFrame) -> str:
    first, last = rows.iloc[0], rows.iloc[-1]
    lowest = rows.loc[rows["r_median"].idxmin()]
    return (
        f"{model}: the median r is {first['r_median']:+.3f} in the first layer, {last['r_median']:+.3f} in the last, "
        f"and lowest ({lowest['r_median']:+.3f}) in layer {lowest['layer']:.0f}; the fraction of positive r goes from "
        f"{first['fraction_positive']:.0%} in the first layer to {last['fraction_positive']:.0%} in the last."
    )


def _spread(model: str, rows: pd.DataFrame) -> str:
    widest, last = rows.loc[rows["r_std"].idxmax()], rows.iloc[-1]
    return (
        f"{model}: r is spread most widely in layer {widest['layer']:.0f} (standard deviation {widest['r_std']:.3f}); "
        f"the last layer has {last['r_std'] / widest['r_std']:.0%} of that ({last['r_std']:.3f})."
    )


def evidence_findings(evidence: pd.DataFrame, confounds: dict[str, pd.DataFrame]) -> list[str]:
    """Sentences on confounds, the null and the size of the sample.

    Args:
        evidence: evidence.csv.
        confounds: tokenizer → table of its confounds.
    """
    sentences = [_confounds(name, table) for name, table in confounds.items()]
    for model, rows in evidence.groupby("model", sort=False):
        sentences += [*_two_questions(str(model), rows), _given(str(model), rows), _beyond_null(str(model), rows)]
    documents = evidence["documents"].iloc[0]
    if documents < FEWEST:
        sentences.append(
            f"The sample has {documents} documents, and an interval takes at least {FEWEST}: raise sampling.sequences."
        )
    return sentences


def _confounds(tokenizer: str, table: pd.DataFrame) -> str:
    r = table.set_index("confound")
    return (
        f"In the sample of {tokenizer}, length correlates with the logarithm of a token's frequency in the corpus at "
        f"r = {r['pearson']['log_frequency']:+.2f} over tokens "
        f"({r['pearson_types']['log_frequency']:+.2f} over types), with a leading space at "
        f"{r['pearson']['leading_space']:+.2f} and with position at {r['pearson']['position']:+.2f}."
    )


def _two_questions(model: str, rows: pd.DataFrame) -> list[str]:
    """The first layer's median r with both intervals; nothing where an interval rests on too few clusters."""
    over_tokens, over_types = (of_measure(rows, measure, "median").iloc[0] for measure in ("r", "r_types"))
    if min(over_tokens["clusters"], over_types["clusters"]) < FEWEST:
        return []
    said = [f"{row['value']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]" for row in (over_tokens, over_types)]
    return [
        f"{model}: the median r of the first layer is {said[0]}, with the 95% interval for other documents of this "
        f"kind and this vocabulary (jackknife over {over_tokens['clusters']:,.0f} documents). Over token types, each "
        f"counted once, it is {said[1]}, with the 95% interval for new token types (jackknife over "
        f"{over_types['clusters']:,.0f} types)."
    ]


def _given(model: str, rows: pd.DataFrame) -> str:
    raw, frequency, every = (of_measure(rows, m, "median") for m in ("r", "r_given_frequency", "r_given_all"))
    beyond, still = (
        int(((rows["value"] < rows["null_low"]) | (rows["value"] > rows["null_high"])).sum()) for rows in (raw, every)
    )
    return (
        f"{model}: the median neuron's r, in absolute value and on average over layers, is "
        f"{raw['value'].abs().mean():.3f}, given frequency {frequency['value'].abs().mean():.3f}, and given leading "
        f"space and position too {every['value'].abs().mean():.3f}. It is outside the 95% null band (of neurons that "
        f"follow neither length nor frequency) in {beyond} of {len(raw)} layers, and given all three in {still}."
    )


def _beyond_null(model: str, rows: pd.DataFrame) -> str:
    def share(measure: str, method: str) -> float:
        return float(of_measure(rows, measure, f"significant_{method}")["value"].mean())

    return (
        f"{model}: at a false discovery rate of 5% over all its neurons, {share('r', 'bh'):.0%} correlate with length "
        f"beyond their null ({share('r', 'by'):.0%} by Benjamini–Yekutieli), and {share('r_given_all', 'bh'):.0%} "
        f"({share('r_given_all', 'by'):.0%}) given all three confounds."
    )


def multimodality_findings(multimodality: pd.DataFrame) -> list[str]:
    """Sentences on multimodal neurons; from multimodality.csv."""
    sentences = []
    for model, rows in multimodality.groupby("model", sort=False):

        def share(population: str, column: str = "share", of: pd.DataFrame = rows) -> str:
            value = share_of_neurons(of, population, column)
            return "an unknown share" if np.isnan(value) else f"{value:.1%}"

        sentences.append(
            f"{model}: in the dip test over tokens, {share('tokens')} of its neurons pass at p ≤ 5%, and "
            f"{share('tokens', 'share_unimodal')} of simulated unimodal neurons; over types {share('types')}, where at "
            f"most 5% of unimodal neurons are expected, and {share('types', 'share_bh')} at a false discovery rate of "
            f"5%; over the types of short tokens {share('short_types')}."
        )
    if multimodality.loc[multimodality["neurons"] > 0, "share"].isna().any():
        sentences.append(f"For more than {TABLE_END:,} values the dip test has no p, so which neurons pass is unknown.")
    return sentences


def power_findings(power: dict[str, pd.DataFrame]) -> list[str]:
    """Which mixtures of two modes the dip test could have detected over types; nothing where its p is unknown.

    Args:
        power: tokenizer → table of :func:`token_length.dip_test.dip_power_table`.
    """
    sentences = []
    for tokenizer, table in power.items():
        over_types = table[table["population"] == "types"]
        if over_types["power_1e5"].isna().any():
            continue
        found = [_smallest_separation(rows) for _, rows in over_types.groupby("share_of_smaller", sort=False)]
        sentences.append(
            f"With the {over_types['values'].iloc[0]:,} types of {tokenizer}'s sample the dip test (p ≤ "
            f"{SMALLEST_P:g}) detects at least {DETECTED:.0%} of simulated neurons with two modes that are far enough "
            f"apart: {'; '.join(found)}. Modes that are closer together may exist and go undetected."
        )
    return sentences


def _smallest_separation(mixture: pd.DataFrame) -> str:
    share, widest = mixture["share_of_smaller"].iloc[0], mixture["separation"].max()
    wide = mixture.loc[mixture["power_1e5"] >= DETECTED, "separation"]
    enough = f"{wide.min():g} standard deviations" if len(wide) else f"more than {widest:g} standard deviations"
    return f"{enough} where one has {share:.0%} of the types"
