"""The study's part of the report."""

from pathlib import Path

import pandas as pd

from layerscope.extract.activation_shards import FORMAT, PLACE
from layerscope.report.section import Files, Section, Summary, run_rows
from layerscope.report.tables import Table
from layerscope.studies.token_length.findings import facts_of_sample, findings, headline, power_findings
from layerscope.studies.token_length.measures import of_measure
from layerscope.studies.token_length.numbers import numbers
from layerscope.studies.token_length.property_findings import property_findings

HEADINGS = {
    "model": "model",
    "layer": "layer",
    "neurons": "neurons",
    "r_median": "median r",
    "given_all": "given frequency, space, position",
    "types": "over types",
    "r_q05": "5% quantile of r",
    "r_q95": "95% quantile of r",
    "r_std": "standard deviation of r",
    "fraction_positive": "share of r > 0",
}
DOWNLOADS = {
    "layers": "one row per model and layer",
    "evidence": "summaries of r with their intervals and null bands",
    "properties": "r with properties of tokens",
    "multimodality": "how many neurons are multimodal",
    "matches": "neurons of two models matched",
    "profiles": "quantiles of r of two models at the same depths",
    "confounds": "correlation of length with its confounds",
    "dip_power": "power of the dip test",
}


def section(files: Files) -> Section:
    """The study's part, from its tables and figures."""
    table, evidence, multimodality = (files.table(name) for name in ("layers", "evidence", "multimodality"))
    models = list(table["model"].unique())
    vocabularies, confounds, power = map(files.of_tokenizers, ("vocabularies", "confounds", "dip_power"))
    of_properties = property_findings(files.table("properties")) if "properties" in files.tables else []
    runs = run_rows(files.runs, {FORMAT: PLACE})
    return Section(
        name="token_length",
        title="Token length",
        question="Do MLP neurons respond to the length of a token, and how does that change with depth?",
        headline=headline(evidence, files.named_first([run.model for run in runs if run.weights == "trained"])),
        findings=[*findings(evidence, multimodality), *of_properties],
        figures=files.load_figures(Path(__file__).parent / "captions"),
        downloads=files.downloads(DOWNLOADS),
        runs=runs,
        facts={str(model): _facts(rows, evidence) for model, rows in table.groupby("model", sort=False)},
        layers=Table.of(_with_evidence(table, evidence), HEADINGS),
        sample=[*facts_of_sample(vocabularies, confounds), *power_findings(power)],
        summary=Summary.of(
            {
                model: numbers(*(rows[rows["model"] == model] for rows in (table, evidence, multimodality)))
                for model in models
            }
        ),
    )


def _facts(rows: pd.DataFrame, evidence: pd.DataFrame) -> dict[str, str]:
    return {
        "layers": f"{len(rows)}",
        "MLP neurons": f"{rows['neurons'].sum():,}",
        "tokens": f"{rows['tokens'].iloc[0]:,}",
        "documents": f"{evidence['documents'].iloc[0]:,}",
    }


def _with_evidence(layers: pd.DataFrame, evidence: pd.DataFrame) -> pd.DataFrame:
    """layers.csv with medians of two other measures of r."""
    for name, measure in (("given_all", "r_given_all"), ("types", "r_types")):
        medians = of_measure(evidence, measure, "median")[["model", "layer", "value"]]
        layers = layers.merge(medians.rename(columns={"value": name}), on=["model", "layer"], how="left")
    return layers
