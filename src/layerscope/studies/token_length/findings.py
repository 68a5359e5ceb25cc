"""Findings of the study: sentences whose numbers come from its tables."""

import pandas as pd

from layerscope.report.tables import listed, with_minus
from layerscope.stats.claims import FEWEST
from layerscope.studies.token_length.dip_test import SMALLEST_P
from layerscope.studies.token_length.measures import TABLE_END, of_measure

DETECTED = 0.8  # power from which a mixture counts as detected


def headline(evidence: pd.DataFrame, models: list[str]) -> str:
    """How the median r of ``models`` changes from the first layer to the last, raw and given all confounds.

    Args:
        evidence: evidence.csv.
    """
    raw, given = (
        [_first_to_last(of_measure(evidence, measure, "median", model)) for model in models]
        for measure in ("r", "r_given_all")
    )
    if not models:
        return "No model is trained, so there is nothing to say of training."
    return (
        "From the first layer to the last, the median Pearson r of MLP neurons with token length goes from "
        f"{listed([f'{change} in {model}' for change, model in zip(raw, models, strict=True)])}; given frequency, "
        f"leading space and position, from {listed(given)}."
    )


def _first_to_last(layers: pd.DataFrame) -> str:
    return with_minus(f"{layers['value'].iloc[0]:+z.2f} to {layers['value'].iloc[-1]:+z.2f}")


def facts_of_sample(vocabularies: dict[str, pd.DataFrame], confounds: dict[str, pd.DataFrame]) -> list[str]:
    """Sentences on the text and the tokenizers.

    Args:
        vocabularies: tokenizer → its vocabulary table with counts in the sample.
        confounds: tokenizer → table of its confounds.
    """
    sentences = [_lengths(name, table) for name, table in vocabularies.items()]
    return sentences + [_confounds(name, table) for name, table in confounds.items()]


def findings(evidence: pd.DataFrame, multimodality: pd.DataFrame) -> list[str]:
    """Sentences on what the sample cannot tell.

    Args:
        evidence: evidence.csv.
        multimodality: multimodality.csv.
    """
    sentences = []
    documents = evidence["documents"].iloc[0]
    if documents < FEWEST:
        sentences.append(
            f"The sample has {documents} documents, and an interval takes at least {FEWEST}: raise sampling.sequences."
        )
    if multimodality.loc[multimodality["neurons"] > 0, "share"].isna().any():
        sentences.append(f"For more than {TABLE_END:,} values the dip test has no p, so which neurons pass is unknown.")
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


def _confounds(tokenizer: str, table: pd.DataFrame) -> str:
    r = table.set_index("confound")
    frequency, space, position = (
        with_minus(f"{r['pearson'][name]:+z.2f}") for name in ("log_frequency", "leading_space", "position")
    )
    over_types = with_minus(f"{r['pearson_types']['log_frequency']:+z.2f}")
    return (
        f"In the sample of {tokenizer}, length correlates with the logarithm of a token's frequency in the corpus at "
        f"r = {frequency} over tokens ({over_types} over types), with a leading space at {space} and with position at "
        f"{position}."
    )


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
