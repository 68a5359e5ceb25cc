"""What the study found, in sentences whose numbers come from its tables."""

import pandas as pd


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
    left_out = vocabulary["count"].sum() - counted["count"].sum()
    lengths = counted["characters"].repeat(counted["count"])
    return (
        f"The {len(lengths):,} tokens of {tokenizer} that take part are {lengths.min()} to {lengths.max()} characters "
        f"long, with a median of {lengths.median():g}; they are {len(counted):,} different tokens. "
        f"{left_out:,} special tokens and pieces of characters are left out."
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
