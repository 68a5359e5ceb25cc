"""What the report says in sentences: each number is that of its table, and none is said that rests on too little."""

import numpy as np
import pandas as pd
import pytest

from layerscope.report.claims import decimals
from layerscope.studies.token_length.findings import findings, headline, power_findings
from layerscope.studies.token_length.numbers import numbers

MORE = "and an interval takes at least 30: raise sampling.sequences."
MEASURES = ("r", "r_given_frequency", "r_given_all", "r_types")


def power(seen_from: dict[float, float]) -> pd.DataFrame:
    """A table in which mixtures of the given shares are always seen from a separation on."""
    rows = [
        {"population": population, "values": 1234, "share_of_smaller": share, "separation": separation}
        | {"power_1e5": float(separation >= at and population == "types")}
        for population in ("types", "short_types")
        for share, at in seen_from.items()
        for separation in np.arange(2, 8.5, 0.5)
    ]
    return pd.DataFrame(rows)


def test_the_smallest_separation_that_is_seen_is_said() -> None:
    (said,) = power_findings({"mini": power({0.5: 3.5, 0.2: 8, 0.05: 9})})
    assert "1,234 types of mini" in said
    assert "3.5 standard deviations where one has 50%" in said
    assert "8 standard deviations where one has 20%" in said
    assert "more than 8 standard deviations where one has 5%" in said


def test_of_a_power_of_four_fifths_and_not_less() -> None:
    table = power({0.5: 3})
    table.loc[table["separation"] == 3, "power_1e5"] = 0.79
    assert ": 3.5 standard deviations" in power_findings({"mini": table})[0]
    table.loc[table["separation"] == 3, "power_1e5"] = 0.8
    assert ": 3 standard deviations" in power_findings({"mini": table})[0]


def test_nothing_is_said_of_power_where_the_test_has_no_p() -> None:
    assert power_findings({"mini": power({0.5: 3}).assign(power_1e5=np.nan)}) == []


def evidence(documents: int, types: int) -> pd.DataFrame:
    """Of two layers; the first has a median r of 0.1 over tokens and of 0.2 over types."""
    rows = []
    for layer in (0, 1):
        for measure in MEASURES:
            over_types = measure == "r_types"
            value = (0.2 if over_types else 0.1) - 0.1 * layer
            row = {"model": "m", "layer": layer, "measure": measure, "statistic": "median", "value": value}
            row |= {"low": value - 0.01, "high": value + 0.03, "null_low": -0.05, "null_high": 0.05}
            rows.append(row | {"clusters": types if over_types else documents, "documents": documents})
        for measure in ("r", "r_given_all"):
            for method in ("bh", "by"):
                row = {"model": "m", "layer": layer, "measure": measure, "statistic": f"significant_{method}"}
                rows.append(row | {"value": 0.5, "documents": documents})
    return pd.DataFrame(rows)


def layers() -> pd.DataFrame:
    """Of two layers of 100 neurons; 10 of the second never vary."""
    columns = {"r_median": [0.1, -0.02], "r_std": [0.2, 0.1], "fraction_positive": [0.8, 0.4]}
    return pd.DataFrame({"layer": [0, 1], "neurons": [100, 100], "neurons_constant": [0, 10], **columns})


def multimodality(share: float) -> pd.DataFrame:
    shares = {"share": share, "share_unimodal": share, "share_bh": 0.01}
    rows = [{"population": name, "neurons": 100, **shares} for name in ("tokens", "types", "short_types")]
    return pd.DataFrame(rows * 2)


def test_numbers_of_layers_are_those_of_their_tables() -> None:
    said = numbers(layers(), evidence(40, 3000), multimodality(0.25))
    assert said["neurons that vary (that never vary, and have no r)"] == "190 (10)"
    assert said["neurons with r > 0 (first layer, last layer)"] == "61% (80%, 40%)"  # (80 + 0.4 · 90) / 190
    assert said["median r: first layer, last layer"] == "+0.100, -0.020"
    assert said["lowest median r, and its layer"] == "-0.020, 1"
    assert said["largest standard deviation of r, and its layer"] == "0.200, 0"
    assert said["layers whose median r is outside its null band"] == "1 of 2"
    assert said["given all three confounds"] == "50% (50%)"
    assert said["over types (at a false discovery rate of 5%)"] == "25.0% (1.0%)"


def test_the_headline_is_that_of_the_models_that_are_trained() -> None:
    said = headline(evidence(40, 3000), ["m"])
    assert said == (
        "From the first layer to the last, the median Pearson r of MLP neurons with token length goes from +0.10 to "
        "+0.00 in m; given frequency, leading space and position, from +0.10 to +0.00."
    )
    assert "No model is trained" in headline(evidence(40, 3000), [])


def test_both_questions_are_answered_with_their_intervals() -> None:
    said = list(numbers(layers(), evidence(40, 3000), multimodality(0.25)).values())
    assert {"+0.100 [+0.090, +0.130]", "+0.200 [+0.190, +0.230]"} < set(said)


@pytest.mark.parametrize(("documents", "types", "without"), [(29, 3000, "+0.100"), (40, 29, "+0.200")])
def test_an_interval_of_few_clusters_is_not_said(documents: int, types: int, without: str) -> None:
    table, dips = evidence(documents, types), multimodality(0.25)
    assert without in numbers(layers(), table, dips).values()
    said = findings(table, dips)
    assert said == ([f"The sample has 29 documents, {MORE}"] if documents == 29 else [])


def test_what_the_dip_test_does_not_know_is_said() -> None:
    said = numbers(layers(), evidence(40, 3000), multimodality(np.nan))
    assert said["over types of short tokens"] == "unknown" and not any("nan" in number for number in said.values())
    (why,) = findings(evidence(40, 3000), multimodality(np.nan))
    assert why == "For more than 72,000 values the dip test has no p, so which neurons pass is unknown."


@pytest.mark.parametrize(
    ("width", "digits"),
    [(1.0, 3), (0.02, 3), (0.01, 3), (0.0099, 4), (0.0004, 5), (1e-9, 6), (0.0, 3), (np.inf, 3), (np.nan, 3)],
)
def test_an_interval_is_shown_with_two_of_its_digits(width: float, digits: int) -> None:
    assert decimals(width) == digits
