"""The study's part of the report."""

from pathlib import Path

from layerscope.report.section import Files, Section, load_figures
from layerscope.tables import read_csv, read_table
from layerscope.token_length.findings import evidence_findings, findings, modality_findings, power_findings


class TokenLengthFiles(Files):
    vocabularies: list[str]  # .../{tokenizer}/{corpus}/vocabulary.parquet
    evidence: str
    modality: str
    confounds: list[str]  # .../confounds_{tokenizer}.csv
    dip_power: list[str]  # .../dip_power_{tokenizer}.csv


def token_length_section(files: TokenLengthFiles, captions: dict[str, str], root: Path) -> Section:
    """Read the study's tables and figures.

    Args:
        files: their paths.
        captions: name of a figure → its caption.
        root: folder of the report, which links start from.
    """
    table, evidence = read_csv(files["layers"]), read_csv(files["evidence"])
    models = list(table["model"].unique())
    tokenizers = {Path(path).parts[-3]: read_table(path) for path in files["vocabularies"]}
    confounds = {Path(path).stem: read_csv(path) for path in files["confounds"]}
    power = {Path(path).stem.removeprefix("dip_power_"): read_csv(path) for path in files["dip_power"]}
    tables = {str(Path(files["layers"]).relative_to(root)): "a row a model and layer"}
    tables[str(Path(files["evidence"]).relative_to(root))] = "summaries of r with intervals and null bands"
    tables[str(Path(files["modality"]).relative_to(root))] = "how many neurons have several modes"
    tables |= {str(Path(path).relative_to(root)): "correlation of length with confounds" for path in files["confounds"]}
    tables |= {str(Path(path).relative_to(root)): "which modes the dip test could see" for path in files["dip_power"]}
    tables |= {f"token_length/{model}/": f"a Parquet table a layer of {model}, a row a neuron" for model in models}
    return Section(
        title="Token length",
        question="Do MLP neurons respond to the length of a token, and how does that change with depth?",
        findings=findings(table, tokenizers)
        + evidence_findings(evidence, confounds)
        + modality_findings(read_csv(files["modality"]))
        + power_findings(power),
        figures=load_figures(files, captions, models, root),
        tables=tables,
    )
