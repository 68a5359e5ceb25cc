"""The study's part of the report."""

from pathlib import Path

import numpy as np
import pandas as pd

from layerscope.io.tables import read_csv
from layerscope.report.section import Files, Section, load_figures, run_rows
from layerscope.studies.token_similarity.vectors import FORMAT, PLACE


def section(files: Files) -> Section:
    """The study's part, from its table and figures."""
    table = read_csv(files.table("layers"))
    models = list(table["model"].unique())
    tables = {files.link(files.table("layers")): "a row a model, layer, token and block"}
    tables |= {
        f"token_similarity/{model}/": f"Parquet tables a layer of {model}: blocks, dimensions, histograms"
        for model in models
    }
    return Section(
        title="Token similarity",
        question="How alike are the dimensions of a token's query, key and value vectors over many sentences, and how "
        "does that change with depth?",
        findings=[sentence for model in models for sentence in findings(model, table[table["model"] == model])],
        figures=load_figures(files, Path(__file__).parent / "captions", models),
        tables=tables,
        runs=run_rows(files.runs, {FORMAT: PLACE}),
    )


def findings(model: str, rows: pd.DataFrame) -> list[str]:
    """Sentences with numbers from one model's rows of layers.csv."""
    target = rows[rows["token"] == "target"]
    other = rows[rows["token"] == "non_target"]
    null, centred_null = target["null_std"].iloc[0], target["centred_null_std"].iloc[0]
    first, last = target["layer"].min(), target["layer"].max()

    def over_blocks(table: pd.DataFrame, layer: int, column: str) -> float:
        return float(table.loc[table["layer"] == layer, column].mean())

    def centred_spread(layer: int) -> str:
        spread = over_blocks(target, layer, "centred_std")
        return "undefined (nothing varies)" if np.isnan(spread) else f"{spread:.3f}"

    pieces = int(target["target_pieces"].max())
    sentences = [
        f"{model}: {target['sentences'].iloc[0]} sentences. Averaged over the six blocks, the absolute cosine between "
        f"dimensions of the target goes from {over_blocks(target, first, 'cosine_abs_mean'):.2f} in the first layer to "
        f"{over_blocks(target, last, 'cosine_abs_mean'):.2f} in the last; of the non-target from "
        f"{over_blocks(other, first, 'cosine_abs_mean'):.2f} to {over_blocks(other, last, 'cosine_abs_mean'):.2f}.",
        f"{model}: the uncentred cosines of a fixed token in the first layer tell nothing of contexts: there its "
        f"vectors differ only by position, if at all. Centred over sentences, the spread of the target's cosines "
        f"is {centred_spread(first)} in the first layer and {centred_spread(last)} in the last, where independent "
        f"values give {centred_null:.3f} "
        f"({null:.3f} uncentred).",
    ]
    if pieces > 1:
        sentences.append(f"{model}: the target is split into up to {pieces} tokens; its last piece stands for it.")
    return sentences
