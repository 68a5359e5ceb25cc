"""The study's part of the report."""

from pathlib import Path

from layerscope.extract.activation_shards import FORMAT, PLACE
from layerscope.io.tables import read_csv, read_table
from layerscope.report.section import Files, Section, Summary, load_figures, run_rows
from layerscope.studies.token_length.findings import findings, power_findings
from layerscope.studies.token_length.numbers import numbers
from layerscope.studies.token_length.property_findings import property_findings


def section(files: Files) -> Section:
    """The study's part, from its tables and figures."""
    table, evidence, multimodality = (read_csv(files.table(name)) for name in ("layers", "evidence", "multimodality"))
    models = list(table["model"].unique())
    vocabularies = {name: read_table(path) for name, path in files.of_tokenizers("vocabularies").items()}
    confounds = {name: read_csv(path) for name, path in files.of_tokenizers("confounds").items()}
    power = {name: read_csv(path) for name, path in files.of_tokenizers("dip_power").items()}
    properties = [files.table("properties")] if "properties" in files.tables else []
    of_properties = [sentence for path in properties for sentence in property_findings(read_csv(path))]
    tables = {
        files.link(files.table("layers")): "one row per model and layer",
        files.link(files.table("evidence")): "summaries of r with their intervals and null bands",
        **{files.link(path): "r with properties of tokens" for path in properties},
        files.link(files.table("multimodality")): "how many neurons are multimodal",
        **{files.link(path): "correlation of length with its confounds" for path in files.tables["confounds"]},
        **{files.link(path): "power of the dip test" for path in files.tables["dip_power"]},
        **{f"token_length/{model}/": f"one Parquet table per layer of {model}, one row per neuron" for model in models},
    }
    return Section(
        title="Token length",
        question="Do MLP neurons respond to the length of a token, and how does that change with depth?",
        findings=[
            *findings(vocabularies, confounds, evidence, multimodality),
            *of_properties,
            *power_findings(power),
        ],
        figures=load_figures(files, Path(__file__).parent / "captions"),
        tables=tables,
        runs=run_rows(files.runs, {FORMAT: PLACE}),
        summary=Summary.of(
            {
                model: numbers(*(rows[rows["model"] == model] for rows in (table, evidence, multimodality)))
                for model in models
            }
        ),
    )
