"""The study's part of the report."""

from pathlib import Path

import pandas as pd

from layerscope.report.section import Section, load_figure
from layerscope.token_length.findings import evidence_findings, findings


def token_length_section(
    layers: str,
    figures: list[str],
    vocabularies: list[str],
    evidence: tuple[str, list[str]],
    captions: dict[str, str],
    root: Path,
) -> Section:
    """Read the study's tables and figures.

    Args:
        layers: path of layers.csv.
        figures: paths of the PNG files, in order.
        vocabularies: paths of the vocabulary tables, ``.../{tokenizer}/{corpus}/vocabulary.parquet``.
        evidence: paths of evidence.csv and of the tables of confounds, ``.../confounds_{tokenizer}.csv``.
        captions: name of a figure → its caption.
        root: folder of the report, which links start from.
    """
    table = pd.read_csv(layers)
    models = list(table["model"].unique())
    tokenizers = {Path(path).parts[-3]: pd.read_parquet(path) for path in vocabularies}
    weighed, confounds = pd.read_csv(evidence[0]), {Path(path).stem: pd.read_csv(path) for path in evidence[1]}
    tables = {str(Path(layers).relative_to(root)): "a row a model and layer"}
    tables[str(Path(evidence[0]).relative_to(root))] = "summaries of r with intervals, and what chance gives"
    tables |= {str(Path(path).relative_to(root)): "correlation of length with its confounds" for path in evidence[1]}
    tables |= {f"token_length/{model}/": f"a Parquet table a layer of {model}, a row a neuron" for model in models}
    return Section(
        title="Token length",
        question="Do MLP neurons respond to the length of a token, and how does that change with depth?",
        findings=findings(table, tokenizers) + evidence_findings(weighed, confounds),
        figures=[load_figure(path, captions, models, root) for path in figures],
        tables=tables,
    )
